"""What people and other programs see of a line over HTTP: a process of its own, beside the service."""
