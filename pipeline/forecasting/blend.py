"""How much of the network's move is worth following: forecast = last close + weight * (network - last close)."""

from __future__ import annotations

import numpy as np

from pipeline.arrays import Floats

_FIVE_PER_CENT = 1.645  # of the normal distribution, one-sided


def blend(forecast: Floats, last_closes: Floats, weight: float) -> Floats:
    """Return the mixture of `forecast` and naive in dollars, shape (n,). Weight 0 is naive, 1 the network alone."""
    return last_closes + weight * (forecast - last_closes)


def choose_weight(actual: Floats, forecast: Floats, last_closes: Floats) -> float:
    """Return the weight between 0 and 1 for a network that did so on validation; 0 unless it clearly beat naive there.

    The weight of least squares (Bates and Granger, "The combination of forecasts", 1969), on returns so that each
    session counts the same at any price level. Validation has also chosen the best epoch, so that it flatters the
    network: naive is kept unless the mixture beats it significantly, by the one-sided test of Diebold and Mariano,
    "Comparing predictive accuracy", 1995, at 5 %.

    Args:
        actual: closes of the validation rows in dollars, shape (n,).
        forecast: the network's, shape (n,).
        last_closes: the close before each of them, shape (n,).
    """
    moved, said = actual / last_closes - 1, forecast / last_closes - 1
    power = float(said @ said)
    if len(moved) < 2 or not power:  # noqa: PLR2004 - one row has no spread
        return 0.0
    weight = float(np.clip(moved @ said / power, 0, 1))
    gains = moved**2 - (moved - weight * said) ** 2
    return weight if gains.mean() > _FIVE_PER_CENT * gains.std(ddof=1) / np.sqrt(len(gains)) else 0.0
