"""Windows as views and as the recipe's copies: seconds and memory by the number of rows."""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from pipeline.arrays import Floats
from pipeline.forecasting.windows import inputs

LOOKBACK = 100
PAIRS = 5


def by_loop(values: Floats) -> Floats:
    """Return the windows as the published recipe makes them."""
    windows = [values[row - LOOKBACK : row] for row in range(LOOKBACK, len(values))]
    return np.array(windows)


def as_views(values: Floats) -> Floats:
    """Return the windows of Closecast."""
    return inputs(values, range(LOOKBACK, len(values)), LOOKBACK)


def measured(call: Callable[[Floats], Floats], values: Floats) -> tuple[float, float]:
    """Return seconds, and the peak memory over that of the values."""
    started = time.perf_counter()
    call(values)
    seconds = time.perf_counter() - started
    tracemalloc.start()
    call(values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seconds, peak / values.nbytes


def main() -> None:
    """Print a line for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000, 10_000, 100_000, 1_000_000, 10_000_000])
    parser.add_argument("--loop", type=int, default=100_000, help="the most rows for which the loop runs too")
    asked = parser.parse_args()
    for rows in asked.rows:
        values = np.random.default_rng(0).normal(size=rows)
        ours = [measured(as_views, values) for _ in range(PAIRS)]
        line = f"{rows:>10,} rows: views {1e6 * statistics.median(one[0] for one in ours):9.1f} us"
        line += f", peak memory {ours[0][1]:.4f} of the values"
        if rows <= asked.loop:
            loop = [measured(by_loop, values) for _ in range(PAIRS)]
            ratios = [slow[0] / fast[0] for slow, fast in zip(loop, ours, strict=True)]
            line += f"; loop {statistics.median(ratios):,.0f} times ({min(ratios):,.0f} to {max(ratios):,.0f})"
            line += f", peak memory {loop[0][1]:.0f} times the values"
        print(line)


if __name__ == "__main__":
    main()
