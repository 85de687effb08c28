"""Services that start when somebody asks for them, and go to sleep when nobody does."""
