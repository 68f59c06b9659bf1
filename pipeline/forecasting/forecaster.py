"""From prices to a forecast. `evaluate`, `forecast` and the served model all call this module."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.arrays import Floats
from pipeline.errors import DataError
from pipeline.forecasting import intervals, references, target, windows
from pipeline.forecasting.bars import LEAST, Bars, range_variance, returns
from pipeline.forecasting.blend import blend
from pipeline.forecasting.forecasts import Forecasts, columns
from pipeline.forecasting.recipe import SCALES, Recipe

if TYPE_CHECKING:
    from pipeline.forecasting.inference import Network

__all__ = ["Recipe", "columns", "first_forecast", "forecast", "predicted"]  # code that was logged earlier calls some


class Predicted(NamedTuple):
    """Forecasts and scales of n rows, before the weights of the recipe combine them."""

    forecast: Floats  # of the network alone, shape (n,)
    scales: Floats  # shape (n, 5): SCALES; shape (n, 1) for output `point`: the EWMA of closes


def first_forecast(recipe: Recipe) -> int:
    """Return the number of sessions that a forecast needs, which is also the first row that can be forecast."""
    return recipe.first_forecast


def forecast(network: Network, history: Bars | Floats, rows: range, recipe: Recipe) -> Forecasts:
    """Return the forecast close of each of `rows`, with its distribution.

    Args:
        network: as `inference.load` returns it.
        history: bars of n sessions, ascending; the closes alone suffice for output `point`.
        rows: rows to forecast, each from the rows before it; n is the session after the last.
        recipe: the recipe of the network.

    Raises:
        DataError: for too few sessions, or a close that is not a positive number.
    """
    bars = history if isinstance(history, Bars) else Bars.of_closes(history)
    _check(bars.close, rows, recipe)
    said = predicted(network, bars, rows, recipe)
    return combined(said, bars.close[rows.start - 1 : rows.stop - 1], recipe, recipe.widths[np.newaxis])


def combined(said: Predicted, last_closes: Floats, recipe: Recipe, half_widths: Floats) -> Forecasts:
    """Return forecasts from predictions, by the weights of the recipe.

    Args:
        said: predictions of n rows.
        last_closes: the close before each of them, shape (n,).
        recipe: of the network.
        half_widths: of each row, shape (n, 10), or of all rows, shape (1, 10).
    """
    made = blend(said.forecast, last_closes, recipe.weight)
    return Forecasts(
        forecast=made,
        center=intervals.center(made, last_closes),
        scale=scale_of(said, recipe),
        half_widths=np.broadcast_to(half_widths, (len(made), len(intervals.LEVELS))),
    )


def scale_of(said: Predicted, recipe: Recipe) -> Floats:
    """Return the combined scale of each row, shape (n,): a weighted geometric mean."""
    if recipe.distribution is None:
        return said.scales[:, 0]
    return mixed(said.scales, recipe)


def mixed(scales: Floats, recipe: Recipe) -> Floats:
    """Return the geometric mean of `SCALES`, shape (n, 5), by the weights of a recipe of output `distribution`."""
    assert recipe.distribution is not None  # noqa: S101 - the caller has one
    logs: Floats = np.log(scales) @ np.array(recipe.distribution.scale_weights)
    return np.exp(logs)


def simple_scales(bars: Bars, recipe: Recipe) -> Floats:
    """Return `SCALES` of each row, shape (n + 1, 5), with a network that leaves the EWMA of the range as it is."""
    known = recipe.distribution
    assert known is not None  # noqa: S101 - the caller has one
    window = recipe.scale_window
    reference = reference_scale(bars, recipe)
    garch = known.garch_level * references.garch(bars.close, known.garch, window)
    closes = references.close_ewma(bars.close, window)
    return np.column_stack((reference, reference, garch, closes, np.full(len(reference), known.deviation)))


def predicted(network: Network, bars: Bars, rows: range, recipe: Recipe) -> Predicted:
    """Return the predictions of network and references for `rows`, each from the rows before it."""
    from pipeline.forecasting import inference

    last = bars.close[rows.start - 1 : rows.stop - 1]
    outputs = inference.predict(network, windows.inputs(network_inputs(bars, recipe), rows, recipe.lookback))
    if recipe.distribution is None:
        values = recipe.scaler.unscale(outputs[:, 0])
        scale = reference_scale(bars, recipe)[rows.start : rows.stop]
        return Predicted(target.to_closes(values, last, recipe.target), scale[:, np.newaxis])
    scales = simple_scales(bars, recipe)[rows.start : rows.stop]
    location = outputs[:, 0] * recipe.distribution.unit * scales[:, 0]  # of the log return
    scales[:, SCALES.index("network")] *= np.exp(outputs[:, 1])
    return Predicted(last * np.exp(location), scales)


def network_inputs(bars: Bars, recipe: Recipe) -> Floats:
    """Return the scaled inputs of each session: shape (n,) for output `point`, else (n, 2)."""
    if recipe.distribution is None:
        return recipe.scaler.scale(target.to_values(bars.close, recipe.target))
    scale = recipe.distribution
    log_variance = (log_range_variance(bars) - scale.log_variance_center) / scale.log_variance_spread
    return np.column_stack((recipe.scaler.scale(returns(bars.close)), log_variance))


def log_range_variance(bars: Bars) -> Floats:
    """Return the log of each row's range variance, shape (n,); a price that has not moved has a least one."""
    return np.log(np.maximum(range_variance(bars), LEAST**2))


def reference_scale(bars: Bars, recipe: Recipe) -> Floats:
    """Return the scale of each row without the network, shape (n + 1,)."""
    if recipe.distribution is None:
        return references.close_ewma(bars.close, recipe.scale_window)
    return references.range_ewma(bars, recipe.scale_window, recipe.distribution.range_decay)


def _check(closes: Floats, rows: range, recipe: Recipe) -> None:
    need = recipe.first_forecast
    if not rows or rows.start < need or rows.stop > len(closes) + 1:
        raise DataError(
            f"A forecast of {recipe.ticker} needs the last {need} closes before it.",
            f"{len(closes)} closes",
            "Send more closes, oldest first.",
        )
    broken = np.flatnonzero(~(np.isfinite(closes) & (closes > 0)))
    if len(broken):
        raise DataError(
            "Closes must be positive numbers.",
            f"{closes[broken[0]]} in row {broken[0]}, and {len(broken) - 1} more",
            "Correct or remove these rows.",
        )
