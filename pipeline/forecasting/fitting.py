"""Fits one network to the histories of one ticker or of several, and a recipe to each of them.

A network of output `distribution` uses validation twice: its first half chooses the best epoch, its second half the
weights, which therefore see a network that no row of theirs has shaped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.arrays import Floats
from pipeline.evaluation import metrics
from pipeline.forecasting import inference, intervals, references, target
from pipeline.forecasting.bars import Bars
from pipeline.forecasting.blend import blend, choose_scale_weights, choose_weight
from pipeline.forecasting.forecaster import (
    Predicted,
    combined,
    log_range_variance,
    mixed,
    network_inputs,
    predicted,
    reference_scale,
    scale_of,
    simple_scales,
)
from pipeline.forecasting.recipe import MIXED, Distribution, Recipe
from pipeline.forecasting.scale import Scaler, fit_scaler
from pipeline.forecasting.student_t import student_t_unit
from pipeline.forecasting.windows import Windows, inputs

if TYPE_CHECKING:
    from pipeline.forecasting.inference import Network
    from pipeline.forecasting.training import Trained
    from pipeline.settings.preset import Preset

_CALIBRATION_SHARE = 10  # without a validation part intervals are calibrated on the last tenth of train
_RANGE_ALONE = (1.0, 0.0, 0.0, 0.0, 0.0)  # weights of SCALES until they are chosen


class History(NamedTuple):
    """The rows of one ticker, and its scaler."""

    ticker: str
    calendar: str
    currency: str  # "" if it is unknown
    bars: Bars  # rows from `train_stop` on have no influence
    scaler: Scaler  # of the target, fitted on rows before `train_stop`
    laid: Windows  # the rows that train and validation predict
    cutoff: str  # session of row `train_stop - 1`
    train_stop: int  # first row that training must not see


class Fitted(NamedTuple):
    """A trained network, and the recipe of each history."""

    trained: Trained
    recipes: list[Recipe]


def fit(
    histories: Sequence[History],
    preset: Preset,
    *,
    preset_name: str,
    learned: Sequence[bool] | None = None,
    on_epoch: Callable[[int, int, float], None] | None = None,
) -> Fitted:
    """Train the network, then choose the weights and the intervals of each history on rows that did not fit it.

    Without a validation part the intervals are calibrated on the last tenth of train and are too narrow.

    Args:
        histories: at least one.
        preset: what defines the network and its training.
        preset_name: its name.
        learned: whether the network is fitted to each history. One that it is not fitted to gets weights of 0: its
            forecasts are naive, with the scale of the reference. By default all are.
        on_epoch: called after each epoch.

    Raises:
        TrainingDiverged: when the loss is not finite or grows away.
    """
    from pipeline.forecasting import training

    known = [one._replace(bars=one.bars.up_to(one.train_stop)) for one in histories]
    recipes = [first_recipe(one, preset, preset_name) for one in known]
    parts = [Parts.of(one, preset) for one in known]
    learned = learned or [True] * len(known)
    taught = [at for at, one in enumerate(learned) if one]
    train = _samples(known, recipes, [one.train for one in parts], taught)
    stop = _samples(known, recipes, [one.stop for one in parts], taught) if preset.validation_fraction else None
    trained = training.train(*train, preset, validation=stop, on_epoch=on_epoch)
    network = inference.as_loaded(trained.network, recipes[0])
    finished = [
        with_choices(network, one, recipe, part.choice, preset, uses_network=uses)
        for one, recipe, part, uses in zip(known, recipes, parts, learned, strict=True)
    ]
    return Fitted(trained, finished)


def refit(
    histories: Sequence[History],
    preset: Preset,
    evaluated: Fitted,
    *,
    preset_name: str,
    learned: Sequence[bool] | None = None,
    on_epoch: Callable[[int, int, float], None] | None = None,
) -> Fitted:
    """Train a network on every row up to `train_stop`, with the epochs and the weights that the evaluation chose.

    Args:
        histories: with all rows in `laid.train`.
        preset: as for `fit`.
        evaluated: the result of `fit` for the same tickers, in the same order.
        preset_name: as for `fit`.
        learned: as for `fit`.
        on_epoch: as for `fit`.

    Raises:
        TrainingDiverged: when the loss is not finite or grows away.
    """
    from pipeline.forecasting import training

    known = [one._replace(bars=one.bars.up_to(one.train_stop)) for one in histories]
    recipes = [first_recipe(one, preset, preset_name) for one in known]
    taught = [at for at, one in enumerate(learned or [True] * len(known)) if one]
    train = _samples(known, recipes, [one.laid.train for one in known], taught)
    epochs = preset.model_copy(update={"epochs": evaluated.trained.best_epoch, "patience": None})
    trained = training.train(*train, epochs, on_epoch=on_epoch)
    pairs = zip(recipes, evaluated.recipes, strict=True)
    chosen = [recipe.with_weights_of(one).with_widths(one.widths) for recipe, one in pairs]
    return Fitted(trained, chosen)


def rolled_widths(said: Predicted, bars: Bars, rows: range, recipe: Recipe, first: int) -> Floats:
    """Return the calibrated half-widths of each row from `first` to the row after `rows`, shape (m, 10).

    Those of row t use residuals of rows before t only: of the network on `rows`, and of a simple scale before them.
    That is the recipe's own scale where the network has no weight, else the EWMA of the range.

    Args:
        said: the network's predictions of `rows`.
        bars: shape (n,), with n at least `rows.stop`.
        rows: successive rows that did not fit the network.
        recipe: of the network, with output `distribution`.
        first: at least `rows.start`.
    """
    assert recipe.distribution is not None  # noqa: S101 - the caller's presets have one
    scale = reference_scale(bars, recipe) if recipe.uses_network else mixed(simple_scales(bars, recipe), recipe)
    most = recipe.distribution.calibration_rows
    filled = range(max(recipe.first_forecast, rows.start - most), rows.start)
    before = bars.close[filled.start - 1 : filled.stop - 1]
    last = bars.close[rows.start - 1 : rows.stop - 1]
    made = combined(said, last, recipe, recipe.widths[np.newaxis])
    residuals = np.concatenate(
        (
            intervals.residuals(
                bars.close[filled.start : filled.stop], before, before, scale[filled.start : filled.stop]
            ),
            intervals.residuals(bars.close[rows.start : rows.stop], made.center, last, made.scale),
        )
    )
    return intervals.roll(residuals, first - filled.start, most=most, step=recipe.distribution.adaptive_step)


def calibration_rows(laid: Windows) -> range:
    """Return validation, or the last tenth of train where there is none: intervals are then too narrow."""
    return laid.validation or laid.train[-max(1, len(laid.train) // _CALIBRATION_SHARE) :]


class Parts(NamedTuple):
    """The rows of one history by their use."""

    train: range
    stop: range  # choose the best epoch
    choice: range  # choose weights and intervals

    @classmethod
    def of(cls, history: History, preset: Preset) -> Parts:
        """Return the rows of a history by their use."""
        laid = history.laid
        if preset.output == "point":
            return cls(laid.train, laid.validation, calibration_rows(laid))
        middle = laid.validation.start + len(laid.validation) // 2
        return cls(laid.train, range(laid.validation.start, middle), range(middle, laid.validation.stop))


def _samples(
    histories: Sequence[History], recipes: Sequence[Recipe], parts: Sequence[range], taught: Sequence[int]
) -> tuple[Floats, Floats]:
    """Return the windows of the parts of the taught histories, with their targets.

    Their shapes are (n, lookback) or (n, lookback, 2), and (n,).
    """
    windows, targets = [], []
    for at in taught:
        history, recipe, rows = histories[at], recipes[at], parts[at]
        windows.append(inputs(network_inputs(history.bars, recipe), rows, recipe.lookback))
        targets.append(_targets(history.bars, recipe)[rows.start : rows.stop])
    if len(windows) == 1:
        return windows[0], targets[0]  # a view: one ticker needs no copy
    return np.concatenate(windows), np.concatenate(targets)


def _targets(bars: Bars, recipe: Recipe) -> Floats:
    """Return the target of each row, shape (n,)."""
    values = target.to_values(bars.close, recipe.target)
    if recipe.distribution is None:
        return recipe.scaler.scale(values)
    return values / (recipe.distribution.unit * reference_scale(bars, recipe)[:-1])


def first_recipe(history: History, preset: Preset, preset_name: str) -> Recipe:
    """Return the recipe before training: the scalers, and neutral weights."""
    closes = history.bars.close
    recipe = Recipe(
        ticker=history.ticker,
        calendar=history.calendar,
        target=preset.target,
        lookback=preset.lookback,
        scaler_kind=history.scaler.kind,
        center=history.scaler.center,
        spread=history.scaler.spread,
        weight=1.0,
        half_width_80=0.0,
        half_width_95=0.0,
        cutoff=history.cutoff,
        cutoff_close=float(closes[-1]),
        return_edges=tuple(metrics.decile_edges(np.diff(np.log(closes)))),
        preset=preset_name,
        cell=preset.cell,
        currency=history.currency,
    )
    if preset.output == "point":
        return recipe
    variance = fit_scaler(log_range_variance(history.bars), "standard")
    fitted = closes[: history.laid.train.stop]  # validation, which chooses the weights, must be new to GARCH too
    distribution = Distribution(
        range_decay=preset.range_decay,
        log_variance_center=variance.center,
        log_variance_spread=variance.spread,
        unit=1.0,
        garch=references.fit_garch(fitted),
        garch_level=1.0,
        deviation=references.deviation(fitted),
        scale_weights=_RANGE_ALONE,
        calibration_rows=preset.calibration_rows,
        adaptive_step=preset.adaptive_step,
    )
    recipe = recipe._replace(distribution=distribution)
    rows = slice(recipe.first_forecast, history.laid.train.stop)
    unit = student_t_unit(_targets(history.bars, recipe)[rows])
    garch = references.garch(closes, distribution.garch, recipe.scale_window)[rows]
    level = np.exp(np.mean(np.log(reference_scale(history.bars, recipe)[rows]) - np.log(garch)))
    return recipe._replace(distribution=distribution._replace(unit=unit or 1.0, garch_level=float(level)))


def with_choices(
    network: Network, history: History, recipe: Recipe, rows: range, preset: Preset, *, uses_network: bool
) -> Recipe:
    """Return the recipe with the weights and the intervals that `rows` choose."""
    closes = history.bars.close
    actual = closes[rows.start : rows.stop]
    last = closes[rows.start - 1 : rows.stop - 1]
    said = predicted(network, history.bars, rows, recipe)
    if preset.blend and uses_network:
        shrink = recipe.distribution is not None
        recipe = recipe._replace(weight=choose_weight(actual, said.forecast, last, shrink=shrink))
    elif preset.blend:
        recipe = recipe._replace(weight=0.0)
    made = blend(said.forecast, last, recipe.weight)
    if recipe.distribution is None:
        return recipe.with_widths(intervals.calibrate(intervals.residuals(actual, made, last, scale_of(said, recipe))))
    if uses_network:
        weights = choose_scale_weights(np.log(actual / intervals.center(made, last)), np.log(said.scales[:, :MIXED]))
        recipe = recipe.with_scale_weights(*weights)
    calibrated = range(history.laid.validation.start, history.train_stop)
    said = predicted(network, history.bars, calibrated, recipe)
    return recipe.with_widths(rolled_widths(said, history.bars, calibrated, recipe, history.train_stop)[-1])
