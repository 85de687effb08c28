"""The environment in which a service runs: the shell's own, `.env` files, mise and direnv, and what we add."""
