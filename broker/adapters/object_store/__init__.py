"""The store of objects behind a process of its own: its socket, both ends of it, and what it does for control."""
