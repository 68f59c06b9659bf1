"""Blending of the network with naive, and of its scale with those of the references.

forecast = last close + weight * (network - last close), and log scale = the weighted mean of several log scales.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from pipeline.arrays import Floats
from pipeline.evaluation.metrics import FEWEST_ROWS, diebold_mariano
from pipeline.forecasting.student_t import student_t_loss, student_t_unit

_STEPS = 10
_PRIOR_ROWS = 250  # a trading year
_SIGNIFICANT = 0.05  # largest p of naive being as good as the mixture


def blend(forecast: Floats, last_closes: Floats, weight: float) -> Floats:
    """Return the mixture of `forecast` and naive, shape (n,). Weight 0 is naive, 1 the network alone."""
    return last_closes + weight * (forecast - last_closes)


def choose_weight(actual: Floats, forecast: Floats, last_closes: Floats, *, shrink: bool = False) -> float:
    """Return the weight of the network, 0 to 1. It is 0 unless the mixture beats naive significantly on validation.

    The weight minimises the squared error (Bates and Granger, "The combination of forecasts", 1969). Errors are
    returns, so that each session counts the same at any price level. Validation has also chosen the best epoch and
    therefore flatters the network, so naive is kept unless the one-sided Diebold-Mariano test rejects it at 5 %.

    Args:
        actual: closes of the validation rows, shape (n,), in order of time.
        forecast: the network's forecasts of them, shape (n,).
        last_closes: the close before each of them, shape (n,).
        shrink: draw the weight towards 0 as if `_PRIOR_ROWS` further rows asked for naive.

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
    if naive.p_worse >= _SIGNIFICANT:
        return 0.0
    rows = len(actual_returns)
    return weight * rows / (rows + _PRIOR_ROWS) if shrink else weight


def choose_scale_weights(residual_returns: Floats, log_scales: Floats) -> tuple[float, ...]:
    """Return the weights of the logarithms of several scales, which add up to 1: the scale is a geometric mean.

    The weights have the largest likelihood of Student's t on rows that neither the network nor its best epoch saw, and
    are drawn towards equal weights as if `_PRIOR_ROWS` further rows asked for them: with few rows, equal weights
    forecast better than fitted ones (Smith and Wallis, "A simple explanation of the forecast combination puzzle",
    2009).

    Args:
        residual_returns: log(close / forecast) of the rows, shape (n,).
        log_scales: shape (n, k).
    """
    rows, several = log_scales.shape
    equal = np.full(several, 1 / several)
    candidates = _simplex(several)
    likelihoods = [_likelihood(residual_returns, log_scales @ weights) for weights in candidates]
    best = candidates[int(np.argmax(likelihoods))]
    return tuple(float(weight) for weight in (rows * best + _PRIOR_ROWS * equal) / (rows + _PRIOR_ROWS))


def _simplex(several: int) -> list[Floats]:
    """Return all weights in steps of a tenth that add up to 1, equal ones first."""
    counts = [one for one in itertools.product(range(_STEPS + 1), repeat=several) if sum(one) == _STEPS]
    return [np.full(several, 1 / several), *(np.array(one) / _STEPS for one in counts)]


def _likelihood(residual_returns: Floats, log_scale: Floats) -> float:
    """Return the mean log likelihood up to a constant, at the best level: the level is calibrated later."""
    standardised = residual_returns / np.exp(log_scale)
    unit = student_t_unit(standardised)
    if unit == 0:
        return 0.0  # no close moved: every weight is as good
    return -float(np.mean(log_scale + math.log(unit) + student_t_loss(standardised / unit)))
