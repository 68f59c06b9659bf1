"""Results of a run: one row per ticker, plots, and the HTML report."""
