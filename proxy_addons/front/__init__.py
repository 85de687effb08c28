"""The front: what clients talk to. It relays what is plain and local, and asks mitmproxy, behind it, for all else."""
