"""What this machine is to know of a workspace: planned, shown, done once by root, undone. A file a platform."""
