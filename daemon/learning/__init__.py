"""A lesson's path, and every other way to a new version."""
