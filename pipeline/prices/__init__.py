"""Prices: sources, snapshots, comparison with the last snapshot, checks."""
