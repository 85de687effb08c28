"""The other ends: how commands ask the supervisor, the dashboard, the event broker and the issuer."""
