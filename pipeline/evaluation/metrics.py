"""Error metrics. `actual` and `forecast` are prices of the same rows in one currency, shape (n,)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.arrays import Floats
from pipeline.errors import UsageError
from pipeline.evaluation.amounts import at_most, same

FEWEST_ROWS = 10  # with fewer rows the variance of Diebold and Mariano is too uncertain
_SMALLEST_SHARE = 1e-4  # of a bin of `psi`; the logarithm of an empty one is infinite


class DieboldMariano(NamedTuple):
    """The result of `diebold_mariano`."""

    statistic: float  # above 0 when `forecast` has the larger squared errors; no unit
    p_worse: float  # one-sided: small when `forecast` is worse than `other`
    lags: int  # autocovariances in the variance, beside that of lag 0


def mse(actual: Floats, forecast: Floats) -> float:
    """Return the mean squared error, in the currency squared."""
    return float(np.mean((actual - forecast) ** 2))


def rmse(actual: Floats, forecast: Floats) -> float:
    """Return the root of `mse`, in the currency of the prices."""
    return float(np.sqrt(mse(actual, forecast)))


def mae(actual: Floats, forecast: Floats) -> float:
    """Return the mean absolute error, in the currency of the prices."""
    return float(np.mean(np.abs(actual - forecast)))


def mape_pct(actual: Floats, forecast: Floats) -> float:
    """Return the mean absolute error as a percentage of the actual close."""
    return float(100 * np.mean(np.abs((actual - forecast) / actual)))


def mase(actual: Floats, forecast: Floats, train_closes: Floats) -> float:
    """Return `mae` over the naive forecast's `mae` on train: 1 means errors as large as those of naive there. No unit.

    NaN if the closes never moved on train, because the errors of naive are 0 there.

    Source: Hyndman and Koehler, "Another look at measures of forecast accuracy", 2006.
    """
    if same(train_closes[1:], train_closes[:-1]).all():
        return float("nan")
    return mae(actual, forecast) / mae(train_closes[1:], train_closes[:-1])


def skill(model_rmse: float, naive_rmse: float) -> float:
    """Return 1 - model / naive, both RMSE of the same rows. 0 is as good as naive; no unit."""
    return 1 - model_rmse / naive_rmse


def direction_acc(actual: Floats, forecast: Floats, last_closes: Floats) -> float:
    """Return the share of rows, 0 to 1, in which the close moved in the direction of the forecast.

    A row counts if both moved: an unchanged close has no direction, nor has a forecast that equals the last close. NaN
    if no row counts, as for the naive forecast.

    Args:
        actual: prices, shape (n,).
        forecast: prices, shape (n,).
        last_closes: the close before each row, shape (n,).
    """
    counts = ~same(actual, last_closes) & ~same(forecast, last_closes)
    right = np.sign(actual - last_closes) == np.sign(forecast - last_closes)
    return float(np.mean(right[counts])) if counts.any() else float("nan")


def diebold_mariano(
    actual: Floats, forecast: Floats, other: Floats, horizon: int = 1, lags: int | None = None
) -> DieboldMariano:
    """Test whether `forecast` has larger squared errors than `other` on the same rows.

    The statistic is the mean of d = (actual - forecast)^2 - (actual - other)^2 over its standard error, compared with
    Student's t with n - 1 degrees of freedom. Forecasts with equal errors in every row give statistic 0 and p_worse 1.
    If d is the same in every row but not 0, the statistic is infinite. NaN gives NaN.

    Sources: Diebold and Mariano, "Comparing predictive accuracy", 1995 (the test); Newey and West, "A simple, positive
    semi-definite, heteroskedasticity and autocorrelation consistent covariance matrix", 1987 (Bartlett weights) and
    "Automatic lag selection in covariance matrix estimation", 1994 (floor(4 (n / 100)^(2/9)) lags); Harvey, Leybourne
    and Newbold, "Testing the equality of prediction mean squared errors", 1997 (correction for few rows, Student's t).

    Args:
        actual: prices (or returns, as for the other two), shape (n,), in order of time.
        forecast: prices, shape (n,).
        other: the forecast to compare with, shape (n,).
        horizon: sessions from the last known row to the forecast row; errors overlap for horizon - 1 rows.
        lags: autocovariances to use; by default the larger of horizon - 1 and the rule of 1994.

    Raises:
        UsageError: with fewer than 10 rows, or with no more rows than `horizon`.
    """
    return compare_losses((actual - forecast) ** 2, (actual - other) ** 2, horizon, lags)


def compare_losses(losses: Floats, other_losses: Floats, horizon: int = 1, lags: int | None = None) -> DieboldMariano:
    """Test whether losses of any kind are larger than others of the same rows, as `diebold_mariano` does.

    Args:
        losses: shape (n,), in order of time.
        other_losses: to compare with, shape (n,).
        horizon: as for `diebold_mariano`.
        lags: as for `diebold_mariano`.

    Raises:
        UsageError: as `diebold_mariano` does.
    """
    loss = losses - other_losses
    rows = len(loss)
    fewest = max(FEWEST_ROWS, horizon + 1)
    if rows < fewest:
        raise UsageError(
            f"Forecasts {horizon} session(s) ahead must be compared on at least {fewest} rows.",
            f"{rows} row(s)",
            "Compare on more rows: set a smaller train_fraction or use a longer history.",
        )
    if lags is None:
        lags = max(horizon - 1, int(4 * (rows / 100) ** (2 / 9)))
    if np.ptp(loss) == 0:  # no variance to divide by
        worse = float(np.sign(loss[0]))
        return DieboldMariano(worse * np.inf if worse else 0.0, 0.0 if worse > 0 else 1.0, lags)

    from scipy.stats import t
    from statsmodels.regression.linear_model import OLS

    # A regression on a constant: its t value is the mean over the Newey-West standard error.
    fit = OLS(loss, np.ones(rows)).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False})
    few_rows = np.sqrt((rows + 1 - 2 * horizon + horizon * (horizon - 1) / rows) / rows)
    statistic = float(fit.tvalues[0] * few_rows)
    return DieboldMariano(statistic, float(t.sf(statistic, rows - 1)), lags)


def coverage(actual: Floats, low: Floats, high: Floats) -> float:
    """Return the share of rows, 0 to 1, with a close from `low` to `high`, both included."""
    return float(np.mean(at_most(low, actual) & at_most(actual, high)))


def mean_width(low: Floats, high: Floats) -> float:
    """Return the mean distance between the bounds, in the currency of the prices."""
    return float(np.mean(high - low))


def decile_edges(values: Floats) -> Floats:
    """Return the 9 edges that cut `values` into ten bins of (nearly) equally many, ascending, in their unit; no NaN."""
    return np.quantile(values, np.arange(1, 10) / 10)


def bin_shares(values: Floats, edges: Floats) -> Floats:
    """Return the share of `values`, 0 to 1, in each bin, shape (len(edges) + 1,). A value on an edge is in the lower.

    Args:
        values: shape (n,), no NaN.
        edges: inner edges, ascending, in the unit of the values; the outer bins are open.
    """
    return np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1) / len(values)


def psi(expected: Floats, sample: Floats, edges: Floats) -> float:
    """Return the population stability index of `sample`: 0 means the expected distribution; no unit.

    The sum over bins of (a - e) log(a / e), for actual share a and expected share e. By custom, below 0.1 is stable and
    above 0.25 is changed. Without a change it is about (bins - 1) / n, so n must be some hundreds. Shares below 0.0001
    count as 0.0001.

    Sources: Siddiqi, "Credit Risk Scorecards", 2006 (index, custom); Yurdakul, "Statistical properties of population
    stability index", 2018 (its size without a change).

    Args:
        expected: past share of each bin, 0 to 1, shape (len(edges) + 1,), from `bin_shares`.
        sample: new values, shape (n,), no NaN.
        edges: inner edges of the bins, from `decile_edges` of the past values.
    """
    was = np.maximum(expected, _SMALLEST_SHARE)
    now = np.maximum(bin_shares(sample, edges), _SMALLEST_SHARE)
    return float(np.sum((now - was) * np.log(now / was)))
