"""The service: everything that reads, writes, waits or is called."""

import memory  # noqa: F401  # before any numeric library
