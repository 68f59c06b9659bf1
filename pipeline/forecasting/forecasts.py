"""Forecasts: for each row the close, the scale of its log return, and the distribution around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipeline.arrays import Floats
from pipeline.forecasting.intervals import LEVELS, PROBABILITIES, SHOWN
from pipeline.old_names import old_name

NAMES = (
    "forecast",
    *(f"{side}_{level}" for level in SHOWN for side in ("low", "high")),
    "scale",
    *(f"q{probability:02d}" for probability in PROBABILITIES),
)  # of the columns that a forecast has in tables


class Interval(NamedTuple):
    """Bounds, each of shape (n,)."""

    low: Floats
    high: Floats


@dataclass(frozen=True)
class Forecasts:
    """Forecast closes and their distributions."""

    forecast: Floats  # shape (n,), in the currency of the closes
    center: Floats  # shape (n,): the forecast, or the least price above 0 that intervals are built around
    scale: Floats  # shape (n,): expected size of the log return
    half_widths: Floats  # shape (n, 10): of the interval of each of `LEVELS`, in scales; NaN where it is unknown

    def interval(self, level: int) -> Interval:
        """Return the interval of one of `LEVELS`."""
        wide = np.exp(self.half_widths[:, LEVELS.index(level)] * self.scale)
        return Interval(self.center / wide, self.center * wide)

    @property
    def quantiles(self) -> Floats:
        """Return the quantiles of `PROBABILITIES`, shape (n, 19): the bounds of intervals, and the center."""
        bounds = {50: self.center}
        for probability in PROBABILITIES[: len(PROBABILITIES) // 2]:
            bounds[probability], bounds[100 - probability] = self.interval(100 - 2 * probability)
        return np.column_stack([bounds[probability] for probability in PROBABILITIES])

    def first(self, count: int) -> Forecasts:
        """Return the first `count` rows."""
        return self._rows(slice(count))

    def last(self, count: int) -> Forecasts:
        """Return the last `count` rows, at least one."""
        return self._rows(slice(-count, None))

    def _rows(self, rows: slice) -> Forecasts:
        return Forecasts(self.forecast[rows], self.center[rows], self.scale[rows], self.half_widths[rows])

    def columns(self) -> dict[str, Floats]:
        """Return the columns of `NAMES`, each of shape (n,)."""
        bounds = [bound for level in SHOWN for bound in self.interval(level)]
        return dict(zip(NAMES, (self.forecast, *bounds, self.scale, *self.quantiles.T), strict=True))

    def _asdict(self) -> dict[str, Floats]:
        """Return forecast and bounds as the code that was logged with earlier versions asks for them."""
        named = self.columns()
        return {name: named[name] for name in ("forecast", "low_80", "high_80", "low_95", "high_95")}


def columns(made: Forecasts) -> dict[str, Floats]:
    """Return forecasts and bounds under the names of earlier versions.

    The code that was logged with these versions calls it, and so they answer with the columns of their signature.
    """
    return {old_name(name): values for name, values in made._asdict().items()}
