"""The languages of pages and reports: one catalogue (`de.po`) each, in which English needs none."""
