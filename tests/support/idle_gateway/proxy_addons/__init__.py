"""A gateway that routes nothing: for tests of the supervisor, which need no more of one than that it is ready."""
