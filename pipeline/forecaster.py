"""From closes to a forecast in dollars, and nothing in between left out: what `evaluate` scores is what serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline import target, windows
from pipeline.errors import DataError
from pipeline.scale import Scaler

if TYPE_CHECKING:
    import keras

Floats = npt.NDArray[np.float64]


class Recipe(NamedTuple):
    """What a network needs around it to speak dollars. `recipe.json`."""

    ticker: str
    target: target.Target
    lookback: int
    scaler_kind: str
    center: float
    spread: float

    @property
    def scaler(self) -> Scaler:
        """Return the scaler that was fitted on train."""
        return Scaler(self.scaler_kind, self.center, self.spread)  # type: ignore[arg-type]


def first_forecast(recipe: Recipe) -> int:
    """Return how many closes the first forecast needs, which is also the row that it forecasts."""
    return target.first_value(recipe.target) + recipe.lookback


def forecast(network: keras.Model, closes: Floats, rows: range, recipe: Recipe) -> Floats:
    """Return the forecast close of each of `rows` in dollars, shape (len(rows),).

    Args:
        network: takes (n, lookback, 1).
        closes: prices in dollars, shape (n,), ascending by session.
        rows: which rows to forecast, each from the rows before it; `len(closes)` is the session after the last.
        recipe: what the network was trained with.

    Raises:
        DataError: when there are too few closes, or one that is not a positive number.
    """
    from pipeline import model

    need = first_forecast(recipe)
    if not rows or rows.start < need or rows.stop > len(closes) + 1:
        raise DataError(
            f"A forecast of {recipe.ticker} needs the last {need} closes before it.",
            f"{len(closes)} closes",
            "Send more closes, oldest first.",
        )
    if not (np.isfinite(closes).all() and (closes > 0).all()):
        raise DataError("Closes must be positive numbers, in dollars.", f"{closes.min()} among them", "Correct them.")
    scaled = recipe.scaler.scale(target.to_values(closes, recipe.target))
    predicted = model.predict(network, windows.inputs(scaled, rows, recipe.lookback))
    return target.to_dollars(recipe.scaler.unscale(predicted), closes[rows.start - 1 : rows.stop - 1], recipe.target)
