"""The supervisor's own process: how it starts, ends, and becomes the next one; what it starts beside services."""
