"""Where frames come from, and how their bytes become pixels."""
