"""`stores mcp`: what a coding agent may see and do of the workspace."""
