"""What the operating system is asked: processes, ports, costs, files that change. A file a platform, the same verbs."""
