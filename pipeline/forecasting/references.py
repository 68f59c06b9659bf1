"""References: simple models of the scale, the expected size of the next log return.

Entry t of each result uses rows before t only, so that entry n is the scale of the session after the last row.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pipeline.arrays import Floats
from pipeline.forecasting.bars import LEAST, Bars, range_variance, returns

CLOSE_DECAY = 0.94
_PER_CENT = 100  # the optimizer of `arch` wants returns of about this size
_FITS = 64  # that a process remembers: recipe and references of a night fit the same closes, in 25 ms


def ewma(variances: Floats, window: int, decay: float) -> Floats:
    """Return the exponentially weighted scale of each row, shape (n + 1,).

    Source: J.P. Morgan, "RiskMetrics", 1996 (with decay 0.94 for squared returns of days).

    Args:
        variances: one per row, shape (n,); row 0 has none and is not read.
        window: number of rows behind an entry, the newest with the greatest weight. No other row has an influence, so
            that a forecast from the last rows has the same scale as one from the whole history. The first `window + 1`
            entries are NaN.
        decay: weight of a row relative to the row after it, 0 to 1.
    """
    known = variances[1:]
    if len(known) < window:
        return np.full(len(variances) + 1, np.nan)
    weights = decay ** np.arange(window)[::-1]
    every = np.lib.stride_tricks.sliding_window_view(known, window)  # every[i]: rows i+1 .. i+window
    scale = np.sqrt(every @ (weights / weights.sum()))
    return np.concatenate((np.full(window + 1, np.nan), np.maximum(scale, LEAST)))


def close_ewma(closes: Floats, window: int) -> Floats:
    """Return `ewma` of squared log returns with decay 0.94, shape (n + 1,)."""
    return ewma(returns(closes) ** 2, window, CLOSE_DECAY)


def range_ewma(bars: Bars, window: int, decay: float) -> Floats:
    """Return `ewma` of `range_variance`, shape (n + 1,)."""
    return ewma(range_variance(bars), window, decay)


def deviation(closes: Floats) -> float:
    """Return the standard deviation of the log returns of `closes`, shape (m,): the same scale for every row."""
    return max(LEAST, float(np.std(np.diff(np.log(closes)))))


class Garch(NamedTuple):
    """The recursion variance[t] = omega + (alpha + gamma [r[t-1] < 0]) r[t-1]^2 + beta variance[t-1], in per cent."""

    omega: float
    alpha: float
    gamma: float
    beta: float
    start: float  # variance before the first return of a window


def fit_garch(closes: Floats) -> Garch:
    """Fit GJR-GARCH(1,1) with Student's t to the log returns of `closes`, shape (m,), rows of train only.

    Returns that never move, and a fit without finite numbers, give a constant variance.

    Source: Glosten, Jagannathan and Runkle, "On the relation between the expected value and the volatility of the
    nominal excess return on stocks", 1993.
    """
    return _fitted(np.ascontiguousarray(closes, dtype="float64").tobytes())


@lru_cache(maxsize=_FITS)
def _fitted(closes: bytes) -> Garch:
    from arch import arch_model

    percents = _PER_CENT * np.diff(np.log(np.frombuffer(closes)))
    variance = float(np.mean(percents**2))
    if variance > 0:
        model = arch_model(percents, mean="Zero", vol="GARCH", p=1, o=1, q=1, dist="t", rescale=False)
        omega, alpha, gamma, beta, *_ = model.fit(disp="off", show_warning=False).params.to_list()
        if np.isfinite([omega, alpha, gamma, beta]).all():
            return Garch(omega, alpha, gamma, beta, variance)
    return Garch(variance, 0.0, 0.0, 0.0, variance)


def garch(closes: Floats, fitted: Garch, window: int) -> Floats:
    """Return the scale by GJR-GARCH, shape (n + 1,).

    Args:
        closes: prices, shape (n,).
        fitted: the parameters.
        window: number of returns behind an entry, as for `ewma`: the variance before them has faded by then.
    """
    percents = _PER_CENT * np.diff(np.log(closes))
    if len(percents) < window:
        return np.full(len(closes) + 1, np.nan)
    every = np.lib.stride_tricks.sliding_window_view(percents, window)  # every[i]: rows i+1 .. i+window
    variances = np.full(len(every), fitted.start)
    for past in every.T:  # the oldest return first
        news = np.where(past < 0, fitted.alpha + fitted.gamma, fitted.alpha)
        variances = fitted.omega + news * past**2 + fitted.beta * variances
    scale = np.maximum(np.sqrt(variances) / _PER_CENT, LEAST)
    return np.concatenate((np.full(window + 1, np.nan), scale))
