"""Results on disk become summary.json, tables, claims with verdicts, and one HTML page.

Reads `results/` and `claims/` only: no host is asked, no account is asked.
"""
