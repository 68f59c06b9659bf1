"""The recipe: all values beside the weights that turn prices into a forecast."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np

from pipeline.arrays import Floats
from pipeline.forecasting import target
from pipeline.forecasting.intervals import LEVELS
from pipeline.forecasting.references import Garch
from pipeline.forecasting.scale import Scaler
from pipeline.old_names import present_names

SCALES = ("range", "network", "garch", "closes", "constant")  # EWMA of the range, ..., EWMA of closes, deviation
MIXED = 3  # the first ones are mixed; the others are served alone, where they are the better reference


class Distribution(NamedTuple):
    """The values that output `distribution` needs beside the weights."""

    range_decay: float  # of the EWMA of the range
    log_variance_center: float  # of the input log range variance, as the scaler's
    log_variance_spread: float
    unit: float  # scale of the t distribution of log return / EWMA of the range on train
    garch: Garch
    garch_level: float  # factor that gives GARCH the mean log scale of the EWMA of the range on train
    deviation: float  # of train's log returns
    scale_weights: tuple[float, ...]  # of the logarithms of SCALES
    calibration_rows: int  # newest residuals that half-widths are quantiles of
    adaptive_step: float  # of the levels


class Recipe(NamedTuple):
    """All values beside the weights that turn prices into a forecast. Stored as `recipe.json`."""

    ticker: str
    calendar: str
    target: target.Target
    lookback: int
    scaler_kind: str
    center: float
    spread: float
    weight: float  # of the network against naive
    half_width_80: float  # of the interval, in scales
    half_width_95: float
    cutoff: str  # last session that training saw
    cutoff_close: float  # its close; another value today means that the source restated the history
    return_edges: tuple[float, ...]  # deciles of train's log returns
    preset: str = ""  # its name; "" in a model that was logged before this field existed, as for `cell`
    cell: str = ""
    currency: str = ""  # of the closes; "" if it is unknown
    half_widths: tuple[float, ...] = ()  # of each of LEVELS; () in a model of earlier code, which has two
    distribution: Distribution | None = None  # None for output `point`

    def to_json(self) -> bytes:
        """Return the content of recipe.json."""
        values = self._asdict()
        if self.distribution:
            values["distribution"] = {**self.distribution._asdict(), "garch": self.distribution.garch._asdict()}
        return json.dumps(values, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Recipe:
        """Return the recipe that `to_json` wrote."""
        values = present_names(json.loads(data))
        if values.get("distribution"):
            found = values["distribution"]
            weights = tuple(found["scale_weights"])
            values["distribution"] = Distribution(
                **{**found, "garch": Garch(**found["garch"]), "scale_weights": weights}
            )
        values["half_widths"] = tuple(values.get("half_widths", ()))
        return cls(**values)

    @property
    def scaler(self) -> Scaler:
        """Return the scaler that was fitted on train."""
        return Scaler(self.scaler_kind, self.center, self.spread)  # type: ignore[arg-type]

    @property
    def scale_window(self) -> int:
        """Return the number of returns behind the scale of a row: the returns inside its window."""
        return max(1, self.lookback - 1)

    @property
    def first_forecast(self) -> int:
        """Return the number of sessions that a forecast needs, which is also the first row that can be forecast."""
        return max(target.first_value(self.target) + self.lookback, self.scale_window + 1)

    @property
    def widths(self) -> Floats:
        """Return the half-width of each of LEVELS, in scales, shape (10,); NaN where earlier code calibrated none."""
        if self.half_widths:
            return np.array(self.half_widths)
        known = {80: self.half_width_80, 95: self.half_width_95}
        return np.array([known.get(level, np.nan) for level in LEVELS])

    @property
    def metrics(self) -> dict[str, float]:
        """Return its weights as metrics of a run: of the network against naive, and of the mixed scales."""
        if self.distribution is None:
            return {"weight": self.weight}
        mixed = zip(SCALES[:MIXED], self.distribution.scale_weights[:MIXED], strict=True)
        return {"weight": self.weight, **{f"scale_weight/{name}": weight for name, weight in mixed}}

    def with_widths(self, half_widths: Floats) -> Recipe:
        """Return the recipe with other half-widths, shape (10,)."""
        widths = tuple(float(width) for width in half_widths)
        named = dict(zip(LEVELS, widths, strict=True))
        return self._replace(half_widths=widths, half_width_80=named[80], half_width_95=named[95])

    def with_scale_weights(self, *weights: float) -> Recipe:
        """Return the recipe of a distribution with other weights of SCALES; missing ones are 0."""
        assert self.distribution is not None  # noqa: S101 - the caller has one
        padded = weights + (0.0,) * (len(SCALES) - len(weights))
        return self._replace(distribution=self.distribution._replace(scale_weights=padded))

    def with_scale_alone(self, name: str, half_widths: Floats) -> Recipe:
        """Return the recipe that forecasts as naive, with one of SCALES and its half-widths, shape (10,).

        GARCH's scale has the level of the EWMA of the range here: its half-widths are converted.
        """
        assert self.distribution is not None  # noqa: S101 - the caller has one
        alone = self._replace(weight=0.0).with_scale_weights(*(float(name == one) for one in SCALES))
        return alone.with_widths(half_widths / (self.distribution.garch_level if name == "garch" else 1.0))

    def with_weights_of(self, other: Recipe) -> Recipe:
        """Return the recipe with the weights of another one: of the network against naive, and of SCALES."""
        weighted = self._replace(weight=other.weight)
        if weighted.distribution is None or other.distribution is None:
            return weighted
        return weighted.with_scale_weights(*other.distribution.scale_weights)

    @property
    def uses_network(self) -> bool:
        """Return whether the network has a weight."""
        scale = self.distribution.scale_weights[SCALES.index("network")] if self.distribution else 0.0
        return self.weight != 0 or scale != 0

    def rebased(self, factor: float) -> Recipe:
        """Return the recipe for prices that a restatement multiplied by `factor`. Returns stay the same."""
        if self.target != "close":
            return self._replace(cutoff_close=self.cutoff_close * factor)
        return self._replace(
            center=self.center * factor,
            spread=self.spread * factor,
            cutoff_close=self.cutoff_close * factor,
        )
