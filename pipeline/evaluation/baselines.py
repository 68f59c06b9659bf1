"""Baselines of the point forecast, with two fitted numbers at most.

Each forecasts one session ahead: the forecast of row t uses the rows before t, and numbers fitted to the train rows.
Targets are rows at or after `train_stop`, the first row after train; row `len(closes)` is the session to come.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pipeline.arrays import Floats


class Ar1(NamedTuple):
    """The line r[t] = const + phi * r[t-1], where r[t] = log(close[t] / close[t-1])."""

    const: float
    phi: float


def naive(closes: Floats, targets: range) -> Floats:
    """Return the random walk's forecast: the close before each target row, shape (len(targets),)."""
    return closes[targets.start - 1 : targets.stop - 1]


def drift(closes: Floats, targets: range, train_stop: int) -> Floats:
    """Return the random walk with drift: the close before, grown by train's mean log return; shape (len(targets),).

    Source: Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 5.2, here on logarithms of prices.

    Args:
        closes: prices, shape (n,), ascending by session.
        targets: rows to forecast.
        train_stop: first row after train, at least 2.
    """
    # Log returns add up: those of rows 1 to train_stop - 1 are the return from the first row to the last.
    growth = float(np.log(closes[train_stop - 1] / closes[0])) / (train_stop - 1)
    return naive(closes, targets) * math.exp(growth)


def ar1(closes: Floats, targets: range, train_stop: int) -> Floats:
    """Return the forecast of a first-order autoregression of log returns, shape (len(targets),).

    Args:
        closes: prices, shape (n,), ascending by session.
        targets: rows to forecast.
        train_stop: first row after train, at least 4: two numbers need two pairs of returns.
    """
    last = naive(closes, targets)
    before = closes[targets.start - 2 : targets.stop - 2]
    const, phi = fit_ar1(closes[:train_stop])
    return last * np.exp(const + phi * np.log(last / before))


def fit_ar1(train_closes: Floats) -> Ar1:
    """Return the least-squares line through pairs of successive log returns of train.

    Source: Hamilton, "Time Series Analysis", 1994, 5.2: maximum likelihood given the first return.

    Args:
        train_closes: prices, shape (m,), ascending by session, rows of train only.
    """
    # AutoReg of statsmodels gives the same two numbers; importing it takes half a second longer.
    from statsmodels.regression.linear_model import OLS

    returns = np.diff(np.log(train_closes))
    pairs = np.column_stack((np.ones(len(returns) - 1), returns[:-1]))  # (m - 2, 2)
    const, phi = OLS(returns[1:], pairs).fit().params
    return Ar1(float(const), float(phi))
