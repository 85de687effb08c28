"""Looking into a host's traffic: what is watched, what is kept of it, how it is shown, exported and sent again."""
