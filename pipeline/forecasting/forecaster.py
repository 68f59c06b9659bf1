"""From closes to a forecast. `evaluate`, `forecast` and the served model all call this module."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.arrays import Floats
from pipeline.errors import DataError
from pipeline.evaluation import metrics
from pipeline.forecasting import intervals, target, windows
from pipeline.forecasting.blend import blend, choose_weight
from pipeline.forecasting.scale import Scaler
from pipeline.old_names import old_name, present_names

if TYPE_CHECKING:
    import keras

    from pipeline.forecasting.training import Trained
    from pipeline.settings.preset import Preset

_CALIBRATION_SHARE = 10  # without a validation part intervals are calibrated on the last tenth of train


class Recipe(NamedTuple):
    """All values beside the weights that turn closes into a forecast. Stored as `recipe.json`."""

    ticker: str
    calendar: str
    target: target.Target
    lookback: int
    scaler_kind: str
    center: float
    spread: float
    weight: float  # of the network against naive
    half_width_80: float  # of the interval, in volatilities
    half_width_95: float
    cutoff: str  # last session that training saw
    cutoff_close: float  # its close; another value today means that the source restated the history
    return_edges: tuple[float, ...]  # deciles of train's log returns
    preset: str = ""  # its name; "" in a model that was logged before this field existed, as for `cell`
    cell: str = ""
    currency: str = ""  # of the closes; "" if it is unknown

    def to_json(self) -> bytes:
        """Return the content of recipe.json."""
        return json.dumps(self._asdict(), indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Recipe:
        """Return the recipe that `to_json` wrote."""
        return cls(**present_names(json.loads(data)))

    @property
    def scaler(self) -> Scaler:
        """Return the scaler that was fitted on train."""
        return Scaler(self.scaler_kind, self.center, self.spread)  # type: ignore[arg-type]

    @property
    def volatility_window(self) -> int:
        """Return the number of returns behind the volatility of a row: the returns inside its window."""
        return max(1, self.lookback - 1)

    def rebased(self, factor: float) -> Recipe:
        """Return the recipe for prices that a restatement multiplied by `factor`. Returns stay the same."""
        if self.target != "close":
            return self._replace(cutoff_close=self.cutoff_close * factor)
        return self._replace(
            center=self.center * factor,
            spread=self.spread * factor,
            cutoff_close=self.cutoff_close * factor,
        )


class Forecasts(NamedTuple):
    """Forecast closes and the bounds of their intervals, each of shape (n,)."""

    forecast: Floats
    low_80: Floats
    high_80: Floats
    low_95: Floats
    high_95: Floats


def columns(made: Forecasts) -> dict[str, Floats]:
    """Return forecasts and bounds under the names of earlier versions.

    The code that was logged with these versions calls it, and so they answer with the columns of their signature.
    """
    return {old_name(name): values for name, values in made._asdict().items()}


class Fitted(NamedTuple):
    """A trained network and its recipe."""

    trained: Trained
    recipe: Recipe


def fit(
    closes: Floats,
    laid: windows.Windows,
    scaler: Scaler,
    preset: Preset,
    *,
    preset_name: str,
    ticker: str,
    calendar: str,
    currency: str,
    cutoff: str,
    train_stop: int,
    on_epoch: Callable[[int, int, float], None] | None = None,
) -> Fitted:
    """Train the network, then choose its blend weight and its intervals on rows that did not fit its weights.

    Without a validation part the intervals are calibrated on the last tenth of train and are too narrow.

    Args:
        closes: prices, shape (n,). Rows from `train_stop` on have no influence.
        laid: the rows that train and validation predict.
        scaler: fitted on rows before `train_stop`.
        preset: what defines the network and its training.
        preset_name: its name.
        ticker: the ticker of `closes`.
        calendar: the calendar of its exchange.
        currency: of `closes`; "" if it is unknown.
        cutoff: session of row `train_stop - 1`.
        train_stop: first row that training must not see.
        on_epoch: called after each epoch.

    Raises:
        TrainingDiverged: when the loss is not finite or grows away.
    """
    from pipeline.forecasting import training

    known = closes[:train_stop]
    scaled = scaler.scale(target.to_values(known, preset.target))

    def part(rows: range) -> tuple[Floats, Floats]:
        return windows.inputs(scaled, rows, laid.lookback), scaled[rows.start : rows.stop]

    validation = part(laid.validation) if laid.validation else None
    trained = training.train(*part(laid.train), preset, validation=validation, on_epoch=on_epoch)
    rows = laid.validation or laid.train[-max(1, len(laid.train) // _CALIBRATION_SHARE) :]
    recipe = Recipe(
        ticker=ticker,
        calendar=calendar,
        target=preset.target,
        lookback=preset.lookback,
        scaler_kind=scaler.kind,
        center=scaler.center,
        spread=scaler.spread,
        weight=1.0,
        half_width_80=0.0,
        half_width_95=0.0,
        cutoff=cutoff,
        cutoff_close=float(known[-1]),
        return_edges=tuple(metrics.decile_edges(np.diff(np.log(known)))),
        preset=preset_name,
        cell=preset.cell,
        currency=currency,
    )
    actual = known[rows.start : rows.stop]
    last = known[rows.start - 1 : rows.stop - 1]
    unblended = _network_alone(trained.network, known, rows, recipe)
    weight = choose_weight(actual, unblended, last) if preset.blend else 1.0
    expected = intervals.volatility(known, recipe.volatility_window)[rows.start : rows.stop]
    half_widths = intervals.calibrate(actual, blend(unblended, last, weight), last, expected)
    return Fitted(trained, recipe._replace(weight=weight, half_width_80=half_widths[80], half_width_95=half_widths[95]))


def first_forecast(recipe: Recipe) -> int:
    """Return the number of closes that a forecast needs, which is also the first row that can be forecast."""
    return max(target.first_value(recipe.target) + recipe.lookback, recipe.volatility_window + 1)


def forecast(network: keras.Model, closes: Floats, rows: range, recipe: Recipe) -> Forecasts:
    """Return the forecast close of each of `rows`, with its intervals.

    Args:
        network: takes (n, lookback, 1).
        closes: prices, shape (n,), ascending by session.
        rows: rows to forecast, each from the rows before it; `len(closes)` is the session after the last.
        recipe: the recipe of the network.

    Raises:
        DataError: for too few closes, or a close that is not a positive number.
    """
    need = first_forecast(recipe)
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
    last = closes[rows.start - 1 : rows.stop - 1]
    made = blend(_network_alone(network, closes, rows, recipe), last, recipe.weight)
    expected = intervals.volatility(closes, recipe.volatility_window)[rows.start : rows.stop]
    bounds = intervals.around(made, last, expected, {80: recipe.half_width_80, 95: recipe.half_width_95})
    return Forecasts(made, *bounds[80], *bounds[95])


def _network_alone(network: keras.Model, closes: Floats, rows: range, recipe: Recipe) -> Floats:
    """Return the network's own forecasts, before blending, shape (len(rows),)."""
    from pipeline.forecasting import model

    scaled = recipe.scaler.scale(target.to_values(closes, recipe.target))
    predicted = model.predict(network, windows.inputs(scaled, rows, recipe.lookback))
    return target.to_closes(recipe.scaler.unscale(predicted), closes[rows.start - 1 : rows.stop - 1], recipe.target)
