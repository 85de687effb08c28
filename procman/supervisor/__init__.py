"""All processes of a workspace: what is asked of them, and what is told of them."""
