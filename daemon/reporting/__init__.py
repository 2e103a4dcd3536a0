"""Reporting: heatmaps, plots and the report."""
