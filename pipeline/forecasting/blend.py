"""Blending of the network with naive: forecast = last close + weight * (network - last close)."""

from __future__ import annotations

import numpy as np

from pipeline.arrays import Floats
from pipeline.evaluation.metrics import FEWEST_ROWS, diebold_mariano

_SIGNIFICANT = 0.05  # largest p of naive being as good as the mixture


def blend(forecast: Floats, last_closes: Floats, weight: float) -> Floats:
    """Return the mixture of `forecast` and naive, shape (n,). Weight 0 is naive, 1 the network alone."""
    return last_closes + weight * (forecast - last_closes)


def choose_weight(actual: Floats, forecast: Floats, last_closes: Floats) -> float:
    """Return the weight of the network, 0 to 1. It is 0 unless the mixture beats naive significantly on validation.

    The weight minimises the squared error (Bates and Granger, "The combination of forecasts", 1969). Errors are
    returns, so that each session counts the same at any price level. Validation has also chosen the best epoch and
    therefore flatters the network, so naive is kept unless the one-sided Diebold-Mariano test rejects it at 5 %.

    Args:
        actual: closes of the validation rows, shape (n,), in order of time.
        forecast: the network's forecasts of them, shape (n,).
        last_closes: the close before each of them, shape (n,).

    Returns:
        0 with fewer rows than the test needs, and for a network that never moves.
    """
    actual_returns = actual / last_closes - 1
    forecast_returns = forecast / last_closes - 1
    power = float(forecast_returns @ forecast_returns)
    if len(actual_returns) < FEWEST_ROWS or not power:
        return 0.0
    weight = float(np.clip(actual_returns @ forecast_returns / power, 0, 1))
    naive_returns = np.zeros_like(actual_returns)
    naive = diebold_mariano(actual_returns, naive_returns, weight * forecast_returns)
    return weight if naive.p_worse < _SIGNIFICANT else 0.0
