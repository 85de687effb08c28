"""The gateway: mitmproxy with the addons that route each request to the local service, its remote, or a page that says why."""
