"""Checks of the past: the ledger against its copies, and the night against the future."""
