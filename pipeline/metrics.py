"""Error figures. `actual` and `forecast` are dollars of the same rows, shape (n,); each docstring names its unit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def mse(actual: Floats, forecast: Floats) -> float:
    """Return the mean squared error, in dollars squared."""
    return float(np.mean((actual - forecast) ** 2))


def rmse(actual: Floats, forecast: Floats) -> float:
    """Return the root of `mse`, in dollars."""
    return float(np.sqrt(mse(actual, forecast)))


def mae(actual: Floats, forecast: Floats) -> float:
    """Return the mean absolute error, in dollars."""
    return float(np.mean(np.abs(actual - forecast)))


def mape_pct(actual: Floats, forecast: Floats) -> float:
    """Return the mean absolute error as a percentage of the actual close."""
    return float(100 * np.mean(np.abs((actual - forecast) / actual)))


def mase(actual: Floats, forecast: Floats, train_closes: Floats) -> float:
    """Return `mae` over the naive forecast's `mae` on train: 1 is as wrong as naive was there. No unit.

    Source: Hyndman and Koehler, "Another look at measures of forecast accuracy", 2006.
    """
    return mae(actual, forecast) / mae(train_closes[1:], train_closes[:-1])


def skill(model_rmse: float, naive_rmse: float) -> float:
    """Return 1 - model / naive, both RMSE of the same rows. 0 is no better than doing nothing; no unit."""
    return 1 - model_rmse / naive_rmse
