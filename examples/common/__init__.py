"""What the sample services share: a web server on the standard library, pages in two languages, calls to siblings.

Each service is its own folder; in real life this would be the framework of its team's choice.
"""
