"""Drift of the scene: light, signals, causes, the monitor."""
