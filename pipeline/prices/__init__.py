"""Prices: where they come from, what has changed since the last snapshot, and whether they can be used."""
