"""The console: a line's pages and API over HTTP, in a process of its own beside the service."""
