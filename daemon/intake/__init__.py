"""Intake: the sources of frames, and the decoding of images."""
