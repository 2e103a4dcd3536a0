"""Composition: what an image is made of, how much of it and where; for parts whose pieces are good and their number or
place is not."""
