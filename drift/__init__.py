"""Whether the scene has changed: light, signals, the monitor."""
