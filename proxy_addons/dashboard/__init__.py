"""The page for people, and the HTTP API behind it: answered inside the gateway's process, on the front itself."""
