"""What makes a service ready to run: its clone, its setup, and the record of that."""
