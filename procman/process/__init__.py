"""One process: its plan, its lives one after another, and everything that came of it."""
