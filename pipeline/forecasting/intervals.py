"""Intervals around a forecast, by split-conformal calibration on rows that the weights have not seen.

The residual of a row is |log(close / forecast)| over the volatility expected for that row, so that an interval is wide
after wild days and narrow after calm ones. Its quantile over the calibration rows, times tomorrow's volatility, is the
half-width of the interval in log terms.

Sources: Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, "Distribution-free predictive inference for regression", 2018
(split-conformal, residuals scaled by a spread); J.P. Morgan, "RiskMetrics", 1996 (volatility, decay 0.94 for days).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pipeline.arrays import Floats

LEVELS = (80, 95)  # per cent
_DECAY = 0.94
_CALMEST = 1e-4  # volatility of a price that has stood still; 0 would divide
_CENT = 0.01  # no price is below it, whatever a network says


class Interval(NamedTuple):
    """Bounds in dollars, each of shape (n,)."""

    low: Floats
    high: Floats


def volatility(closes: Floats, window: int) -> Floats:
    """Return the standard deviation of log returns expected for each row, shape (n + 1,): entry t knows rows < t only.

    Args:
        closes: prices in dollars, shape (n,). Entry n is for the session after the last.
        window: returns that an entry is made of, the newest with the greatest weight; no other row has any influence,
            so that a forecast from the last closes alone has the same interval as one from the whole history. The
            first `window + 1` entries are NaN.
    """
    squares = np.diff(np.log(closes)) ** 2  # entry i is the return of row i+1
    if len(squares) < window:
        return np.full(len(closes) + 1, np.nan)
    weights = _DECAY ** np.arange(window)[::-1]
    every = np.lib.stride_tricks.sliding_window_view(squares, window)  # every[i]: returns of rows i+1 .. i+window
    known = np.sqrt(every @ (weights / weights.sum()))
    return np.concatenate((np.full(window + 1, np.nan), np.maximum(known, _CALMEST)))


def calibrate(actual: Floats, forecast: Floats, volatilities: Floats) -> dict[int, float]:
    """Return the half-width of the interval of each of `LEVELS`, in volatilities.

    With n rows it is the ceil((n + 1) * level)-th smallest residual: a new row of the same kind then lies inside at
    least that often. With fewer than 19 rows there is none for 95 %: the largest is taken.

    Args:
        actual: closes of the calibration rows in dollars, shape (n,).
        forecast: what was forecast for them, shape (n,).
        volatilities: what `volatility` expected for them, shape (n,).
    """
    residuals = np.sort(np.abs(np.log(actual / np.maximum(forecast, _CENT))) / volatilities)
    count = len(residuals)
    return {level: float(residuals[min(count, -(-(count + 1) * level // 100)) - 1]) for level in LEVELS}


def around(forecast: Floats, volatilities: Floats, half_widths: Mapping[int, float]) -> dict[int, Interval]:
    """Return the interval of each level around `forecast`.

    Args:
        forecast: dollars, shape (n,).
        volatilities: what `volatility` expects for the same rows, shape (n,).
        half_widths: of `calibrate`.
    """
    center = np.maximum(forecast, _CENT)
    spread = {level: np.exp(half_width * volatilities) for level, half_width in half_widths.items()}
    return {level: Interval(center / wide, center * wide) for level, wide in spread.items()}
