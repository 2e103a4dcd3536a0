"""Inference: a frame is scored, observed and recorded."""
