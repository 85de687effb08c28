"""The gateway: mitmproxy, with addons that send a request to the local service, its remote, or a page that says why."""
