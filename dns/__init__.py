"""The DNS resolver for the workspace's domain: `zone` answers, `server` listens."""
