"""`stores doctor`: the way of a request, link by link, as this machine sees it."""
