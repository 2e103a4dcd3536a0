"""Decisions, as pure functions of what is known."""

import memory  # noqa: F401  # before any numeric library
