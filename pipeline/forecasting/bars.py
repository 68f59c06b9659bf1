"""Bars: open, high, low and close of each session, and the variance that the range of a session shows."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pipeline.arrays import Floats
from pipeline.evaluation.amounts import at_most

LEAST = 1e-4  # smallest expected standard deviation, for a price that has not moved; 0 would be a divisor


class Bars(NamedTuple):
    """Prices of a history, each of shape (n,), ascending by session. An unusable price is NaN, except in `close`."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats

    @classmethod
    def of_closes(cls, closes: Floats) -> Bars:
        """Return bars of which only the close is known."""
        unknown = np.full(len(closes), np.nan)
        return cls(unknown, unknown, unknown, closes)

    def up_to(self, stop: int) -> Bars:
        """Return the bars of the rows before `stop`."""
        return Bars(*(column[:stop] for column in self))


def returns(closes: Floats) -> Floats:
    """Return the log return of each row, shape (n,); NaN in row 0."""
    return np.concatenate(([np.nan], np.diff(np.log(closes))))


def range_variance(bars: Bars) -> Floats:
    """Return the variance of each row's log return as its range shows it, shape (n,); NaN in row 0.

    It is the estimate of Garman and Klass ("On the estimation of security price volatilities from historical data",
    1980, their practical estimator) of the hours of trading, plus the squared return from the last close to the open. A
    row whose open, high or low is unusable has the squared return of its close.
    """
    squared = returns(bars.close) ** 2
    last = np.concatenate(([np.nan], bars.close[:-1]))
    usable = (bars.open > 0) & (bars.low > 0) & np.isfinite(bars.high)
    usable &= at_most(bars.low, np.minimum(bars.open, bars.close))
    usable &= at_most(np.maximum(bars.open, bars.close), bars.high)
    with np.errstate(divide="ignore", invalid="ignore"):
        trading = 0.5 * np.log(bars.high / bars.low) ** 2
        trading -= (2 * math.log(2) - 1) * np.log(bars.close / bars.open) ** 2
        variance = trading + np.log(bars.open / last) ** 2
    usable &= variance > 0
    return np.where(usable, variance, squared)
