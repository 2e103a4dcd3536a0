"""Decisions, as pure functions of their arguments."""

import memory  # noqa: F401  # before any numeric library
