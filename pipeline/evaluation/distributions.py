"""Scores of intervals and of quantiles. Prices of the same rows in one currency, shape (n,), in order of time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.arrays import Bools, Floats
from pipeline.evaluation.amounts import at_most

WINDOW = 250  # sessions of a rolling coverage: a trading year
GOOD = (0.93, 0.97)  # coverage of a good window of the 95 % interval


class Independence(NamedTuple):
    """Christoffersen's test of the order of misses."""

    statistic: float
    p_value: float  # small: misses come in clusters


def interval_score(actual: Floats, low: Floats, high: Floats, level: float) -> Floats:
    """Return the interval score of each row, shape (n,), in the currency: the width, and 2 / (1 - level) of each miss.

    Lower is better, and only the true quantiles have the lowest expected score.

    Source: Gneiting and Raftery, "Strictly proper scoring rules, prediction, and estimation", 2007, equation 43
    (Winkler, "A decision-theoretic approach to interval estimation", 1972).

    Args:
        actual: prices, shape (n,).
        low: lower bounds, shape (n,).
        high: upper bounds, shape (n,).
        level: nominal coverage, 0 to 1.
    """
    below = np.maximum(low - actual, 0)
    above = np.maximum(actual - high, 0)
    return high - low + 2 / (1 - level) * (below + above)


def interval_score_pct(actual: Floats, low: Floats, high: Floats, level: float, last_closes: Floats) -> Floats:
    """Return `interval_score` in per cent of the close before each row, shape (n,): comparable among tickers."""
    return 100 * interval_score(actual, low, high, level) / last_closes


def pinball(actual: Floats, quantiles: Floats, probabilities: Floats) -> Floats:
    """Return the mean pinball loss of each row over its quantiles, shape (n,), in the currency. Lower is better.

    Source: Koenker and Bassett, "Regression quantiles", 1978; its mean over evenly spaced probabilities is half the
    continuous ranked probability score (Gneiting and Ranjan, 2011).

    Args:
        actual: prices, shape (n,).
        quantiles: shape (n, k).
        probabilities: of the quantiles, 0 to 1, shape (k,).
    """
    above = actual[:, np.newaxis] - quantiles
    losses: Floats = np.maximum(probabilities * above, (probabilities - 1) * above).mean(axis=1)
    return losses


def inside(actual: Floats, low: Floats, high: Floats) -> Bools:
    """Return whether each close lies from `low` to `high`, both included, shape (n,)."""
    return at_most(low, actual) & at_most(actual, high)


def kupiec_p_value(hits: Bools, level: float) -> float:
    """Return the p value of Kupiec's test: small where the share of hits is not `level`.

    Source: Kupiec, "Techniques for verifying the accuracy of risk measurement models", 1995 (proportion of failures).

    Args:
        hits: whether each row lies inside its interval, shape (n,).
        level: nominal coverage, 0 to 1.
    """
    from scipy.stats import chi2

    misses = int(np.sum(~hits))
    expected = _log_likelihood(misses, len(hits), 1 - level)
    observed = _log_likelihood(misses, len(hits), misses / len(hits))
    return float(chi2.sf(2 * (observed - expected), 1))


def christoffersen(hits: Bools) -> Independence:
    """Test whether a miss is as likely after a miss as after a hit.

    Statistic 0 and p value 1 where no row, or each row, is a miss: there is nothing to compare.

    Source: Christoffersen, "Evaluating interval forecasts", 1998 (first-order Markov alternative).

    Args:
        hits: whether each row lies inside its interval, shape (n,), at least two rows.
    """
    from scipy.stats import chi2

    missed = ~hits
    before, after = missed[:-1], missed[1:]
    both = int(np.sum(before & after))
    first = int(np.sum(~before & after))
    after_miss, after_hit = int(np.sum(before)), int(np.sum(~before))
    if not after_miss or not after_hit or both + first == 0:
        return Independence(0.0, 1.0)
    pooled = (both + first) / len(after)
    apart = _log_likelihood(both, after_miss, both / after_miss) + _log_likelihood(first, after_hit, first / after_hit)
    together = _log_likelihood(both + first, len(after), pooled)
    statistic = 2 * (apart - together)
    return Independence(float(statistic), float(chi2.sf(statistic, 1)))


def pit(actual: Floats, quantiles: Floats, probabilities: Floats) -> Floats:
    """Return the probability integral transform of each row, shape (n,), 0 to 1: even if the quantiles are right.

    Between two quantiles it is interpolated on the logarithm of prices. Below the first quantile it is half of its
    probability, above the last one the middle of the rest.

    Source: Dawid, "Statistical theory: the prequential approach", 1984.

    Args:
        actual: prices, shape (n,).
        quantiles: ascending, shape (n, k).
        probabilities: of the quantiles, 0 to 1, ascending, shape (k,).
    """
    ends = np.concatenate(([probabilities[0] / 2], probabilities, [(1 + probabilities[-1]) / 2]))
    transformed = np.empty(len(actual))
    for row, (close, bounds) in enumerate(zip(np.log(actual), np.log(quantiles), strict=True)):
        if close < bounds[0]:
            transformed[row] = ends[0]
        elif close > bounds[-1]:
            transformed[row] = ends[-1]
        else:
            transformed[row] = np.interp(close, bounds, probabilities)
    return transformed


def good_windows(hits: Bools, window: int, lowest: float, highest: float) -> float:
    """Return the share of windows of successive rows with a coverage from `lowest` to `highest`; NaN without one."""
    if len(hits) < window:
        return float("nan")
    counts = np.convolve(hits, np.ones(window), "valid")
    return float(np.mean((counts >= lowest * window - 1e-9) & (counts <= highest * window + 1e-9)))


def _log_likelihood(events: int, trials: int, share: float) -> float:
    """Return the binomial log likelihood without its constant, with 0 log 0 = 0."""
    from scipy.special import xlogy

    return float(xlogy(events, share) + xlogy(trials - events, 1 - share))
