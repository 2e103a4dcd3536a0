"""Learning: teaching, lessons, and every other way to a new version."""
