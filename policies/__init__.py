"""Decisions, as pure functions of what is known."""
