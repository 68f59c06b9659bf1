"""Intervals around a forecast, by split-conformal calibration on rows that did not fit the weights.

The residual of a row is |log(close / forecast)| over the volatility expected for that row. Intervals are therefore wide
after volatile days and narrow after calm ones. The quantile of the residuals of the calibration rows, times tomorrow's
volatility, is the half-width of the interval in log terms.

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
_CALMEST = 1e-4  # least volatility, for a price that has not moved; 0 would be a divisor
_LEAST = 1e-4  # of the last close: least forecast that an interval is built around, since a network may give 0


class Interval(NamedTuple):
    """Bounds, each of shape (n,)."""

    low: Floats
    high: Floats


def volatility(closes: Floats, window: int) -> Floats:
    """Return the expected standard deviation of each row's log return, shape (n + 1,): entry t uses rows < t only.

    Args:
        closes: prices, shape (n,). Entry n is for the session after the last.
        window: number of returns behind an entry, the newest with the greatest weight. No other row has an influence,
            so that a forecast from the last closes has the same interval as one from the whole history. The first
            `window + 1` entries are NaN.
    """
    squares = np.diff(np.log(closes)) ** 2  # entry i is the return of row i+1
    if len(squares) < window:
        return np.full(len(closes) + 1, np.nan)
    weights = _DECAY ** np.arange(window)[::-1]
    every = np.lib.stride_tricks.sliding_window_view(squares, window)  # every[i]: returns of rows i+1 .. i+window
    known = np.sqrt(every @ (weights / weights.sum()))
    return np.concatenate((np.full(window + 1, np.nan), np.maximum(known, _CALMEST)))


def calibrate(actual: Floats, forecast: Floats, last_closes: Floats, volatilities: Floats) -> dict[int, float]:
    """Return the half-width of the interval of each of `LEVELS`, in volatilities.

    With n rows it is the ceil((n + 1) * level)-th smallest residual: a new row of the same kind then lies inside at
    least that often. With fewer than 19 rows this residual does not exist for 95 %; the largest is used.

    Args:
        actual: closes of the calibration rows, shape (n,).
        forecast: their forecasts, shape (n,).
        last_closes: the close before each of them, shape (n,).
        volatilities: entries of `volatility` for the same rows, shape (n,).
    """
    center = np.maximum(forecast, _LEAST * last_closes)
    residuals = np.sort(np.abs(np.log(actual / center)) / volatilities)
    count = len(residuals)
    half_widths = {}
    for level in LEVELS:
        rank = -(-(count + 1) * level // 100)  # (count + 1) * level / 100, rounded up without floats
        half_widths[level] = float(residuals[min(count, rank) - 1])
    return half_widths


def around(
    forecast: Floats, last_closes: Floats, volatilities: Floats, half_widths: Mapping[int, float]
) -> dict[int, Interval]:
    """Return the interval of each level around `forecast`.

    Args:
        forecast: prices, shape (n,).
        last_closes: the close before each of them, shape (n,).
        volatilities: entries of `volatility` for the same rows, shape (n,).
        half_widths: the result of `calibrate`.
    """
    center = np.maximum(forecast, _LEAST * last_closes)
    spread = {level: np.exp(half_width * volatilities) for level, half_width in half_widths.items()}
    return {level: Interval(center / wide, center * wide) for level, wide in spread.items()}
