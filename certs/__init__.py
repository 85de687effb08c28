"""The local certificate authority and the leaf certificates that it issues on demand."""
