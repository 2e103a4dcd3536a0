"""The service: everything that reads, writes, waits or is called."""
