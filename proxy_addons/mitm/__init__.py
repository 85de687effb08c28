"""Mitmproxy's own side: its master, server and layers, subclassed where they fall short of what a gateway must do."""
