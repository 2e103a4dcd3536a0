"""The ledger of verdicts, answers and lessons, and the kept frames; the only package with SQL."""
