"""The local OpenID provider, ``https://auth.<domain>``: keys, tokens, and the site that gives them out.

Nothing here knows mitmproxy: `proxy_addons.issuer_site` is its door in the gateway, ``__main__`` that of the commands.
"""
