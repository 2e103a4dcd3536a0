"""The service and its commands: all input and output."""

import memory  # noqa: F401  # before any numeric library
