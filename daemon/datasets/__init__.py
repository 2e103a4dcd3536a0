"""Data sets: labelled, rendered, played, imported and exported images."""
