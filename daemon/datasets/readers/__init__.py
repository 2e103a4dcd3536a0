"""Readers of published data sets, one file for each layout."""
