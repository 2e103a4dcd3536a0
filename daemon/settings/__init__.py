"""The settings of a line."""
