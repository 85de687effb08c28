"""Procfile-style supervision of services on the host: registration, processes, the command line."""
