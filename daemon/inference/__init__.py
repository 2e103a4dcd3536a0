"""A frame's path: scored, observed, recorded."""
