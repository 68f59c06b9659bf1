"""Backtest: the forecasts of the test rows beside simpler ones of the same rows, and the scores of all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.arrays import Floats
from pipeline.evaluation import baselines, distributions, metrics
from pipeline.evaluation.scores import Scores
from pipeline.forecasting import forecaster, rivals
from pipeline.forecasting.bars import Bars
from pipeline.forecasting.fitting import calibration_rows, rolled_widths
from pipeline.forecasting.forecasts import Forecasts, Interval
from pipeline.forecasting.intervals import PROBABILITIES
from pipeline.forecasting.recipe import Recipe
from pipeline.forecasting.rivals import CLOSES, CONSTANT, GARCH, RANGE, Calibration, Rolled
from pipeline.forecasting.windows import FittedRows

if TYPE_CHECKING:
    import keras

    from pipeline.settings.preset import Preset

_WINDOW = 250  # sessions of a rolling coverage: a trading year
_GOOD = (0.93, 0.97)  # coverage of a good window of the 95 % interval


_SCALE_OF = {CONSTANT: "constant", CLOSES: "closes", RANGE: "range", GARCH: "garch"}


class Backtest(NamedTuple):
    """Forecasts of the test rows; arrays have shape (n,) and are in the currency of the prices."""

    actual: Floats
    made: Forecasts  # as they would have been served
    next_widths: Floats  # half-widths of the row after the last, shape (10,)
    network: Floats  # forecasts of the network alone, not mixed with naive
    naive: Floats
    drift: Floats
    ar1: Floats
    ewma: Forecasts  # naive with the EWMA of closes, calibrated once
    reference: Forecasts  # naive with the simple scale that has the best interval score before the test rows
    reference_next_widths: Floats  # as `next_widths`
    reference_name: str

    @property
    def reference_alone(self) -> Backtest:
        """Return the backtest of the reference in place of the network."""
        return self._replace(made=self.reference, next_widths=self.reference_next_widths)


def backtest(network: keras.Model, recipe: Recipe, bars: Bars, fitted: FittedRows, preset: Preset) -> Backtest:
    """Return the forecasts of the test rows, each from the rows before it.

    Args:
        network: fitted to the rows before test only.
        recipe: of the network.
        bars: the whole history, shape (n,).
        fitted: its parts.
        preset: of the network.
    """
    rows = fitted.windows.test
    train_stop = fitted.split.test
    closes = bars.close
    naive = baselines.naive(closes, rows)
    said = _tested(network, recipe, bars, fitted)
    best = _best_reference(bars, fitted, recipe.scale_window, preset)
    return Backtest(
        actual=closes[rows.start : rows.stop],
        made=forecaster.combined(said.predicted, naive, recipe, said.widths[:-1]),
        next_widths=said.widths[-1],
        network=said.predicted.forecast,
        naive=naive,
        drift=baselines.drift(closes, rows, train_stop),
        ar1=baselines.ar1(closes, rows, train_stop),
        ewma=rivals.ewma_once(bars, calibration_rows(fitted.windows), rows, recipe.scale_window),
        reference=best.rolled.forecasts.last(len(rows)),
        reference_next_widths=best.rolled.next_widths,
        reference_name=best.name,
    )


class _Tested(NamedTuple):
    """Predictions of the test rows, and the half-widths of these rows and of the row after them."""

    predicted: forecaster.Predicted
    widths: Floats  # shape (n + 1, 10)


def _tested(network: keras.Model, recipe: Recipe, bars: Bars, fitted: FittedRows) -> _Tested:
    rows = fitted.windows.test
    if recipe.distribution is None:
        said = forecaster.predicted(network, bars, rows, recipe)
        return _Tested(said, np.tile(recipe.widths, (len(rows) + 1, 1)))
    held_out = range(fitted.windows.validation.start, rows.stop)
    said = forecaster.predicted(network, bars, held_out, recipe)
    widths = rolled_widths(said, bars, held_out, recipe, rows.start)
    return _Tested(forecaster.Predicted(*(column[-len(rows) :] for column in said)), widths)


def forecasts_of(network: keras.Model, recipe: Recipe, bars: Bars, fitted: FittedRows) -> Forecasts:
    """Return the forecasts of the test rows by another network, as it would have served them.

    Args:
        network: fitted to none of the test rows.
        recipe: of the network.
        bars: the whole history, shape (n,).
        fitted: its parts.
    """
    said = _tested(network, recipe, bars, fitted)
    return forecaster.combined(
        said.predicted, baselines.naive(bars.close, fitted.windows.test), recipe, said.widths[:-1]
    )


def next_widths(network: keras.Model, recipe: Recipe, bars: Bars, rows: range) -> Floats:
    """Return the half-widths of the session after the history, calibrated on rows that did not fit the network.

    Args:
        network: fitted to none of `rows`.
        recipe: of the network, with output `distribution`.
        bars: the whole history, shape (n,).
        rows: at least one, up to row n - 1.

    Returns:
        Shape (10,).
    """
    said = forecaster.predicted(network, bars, rows, recipe)
    widths: Floats = rolled_widths(said, bars, rows, recipe, rows.stop)[-1]
    return widths


def interval_p_worse(actual: Floats, bounds: Interval, other: Interval, last_closes: Floats) -> float:
    """Return the p value of Diebold and Mariano that the 95 % intervals of `bounds` score worse than others."""
    mine = distributions.interval_score(actual, *bounds, 0.95) / last_closes
    others = distributions.interval_score(actual, *other, 0.95) / last_closes
    return metrics.compare_losses(mine, others).p_worse


def recipe_of_reference(recipe: Recipe, tested: Backtest) -> Recipe:
    """Return the recipe that serves the reference of a backtest in place of the network."""
    return recipe.with_scale_alone(_SCALE_OF[tested.reference_name], tested.reference_next_widths)


class _Reference(NamedTuple):
    """A reference and its forecasts up to the last test row."""

    name: str
    rolled: Rolled


def _best_reference(bars: Bars, fitted: FittedRows, window: int, preset: Preset) -> _Reference:
    """Return the reference with the lowest mean 95 % interval score on rows before the test rows."""
    tested = fitted.windows.test
    before = calibration_rows(fitted.windows)
    rows = range(before.start, tested.stop)
    candidates = rivals.all_references(
        bars,
        rows,
        train_stop=before.start,
        window=window,
        decay=preset.range_decay,
        calibration=Calibration(preset.calibration_rows, preset.adaptive_step),
    )
    last = bars.close[before.start - 1 : before.stop - 1]
    actual = bars.close[before.start : before.stop]
    known = len(before)
    scores = {}
    for name, rolled in candidates.items():
        scores[name] = float(np.mean(_interval_losses(actual, rolled.forecasts.first(known), 95, last)))
    best = min(scores, key=lambda name: scores[name])
    return _Reference(best, candidates[best])


def scored(tested: Backtest, train_closes: Floats) -> Scores:
    """Return the scores of a backtest.

    Args:
        tested: the backtest, in which some close moved.
        train_closes: closes before the test rows, shape (m,).
    """
    actual = tested.actual
    made = tested.made
    rmse = metrics.rmse(actual, made.forecast)
    naive_rmse = metrics.rmse(actual, tested.naive)
    ar1_rmse = metrics.rmse(actual, tested.ar1)
    network_rmse = metrics.rmse(actual, tested.network)
    worse = metrics.diebold_mariano(actual, made.forecast, tested.naive)
    return Scores(
        test_rows=len(actual),
        rmse=rmse,
        naive_rmse=naive_rmse,
        drift_rmse=metrics.rmse(actual, tested.drift),
        ar1_rmse=ar1_rmse,
        network_rmse=network_rmse,
        mae=metrics.mae(actual, made.forecast),
        naive_mae=metrics.mae(actual, tested.naive),
        mape_pct=metrics.mape_pct(actual, made.forecast),
        naive_mape_pct=metrics.mape_pct(actual, tested.naive),
        mase=_defined(metrics.mase(actual, made.forecast, train_closes)),
        direction_acc=_defined(metrics.direction_acc(actual, made.forecast, tested.naive)),
        dm_statistic=_defined(worse.statistic),
        dm_p_value=worse.p_worse,
        coverage_80=metrics.coverage(actual, *made.interval(80)),
        coverage_95=metrics.coverage(actual, *made.interval(95)),
        width_80=metrics.mean_width(*made.interval(80)),
        width_95=metrics.mean_width(*made.interval(95)),
        rmse_over_naive=rmse / naive_rmse,
        skill=metrics.skill(rmse, naive_rmse),
        ar1_skill=metrics.skill(ar1_rmse, naive_rmse),
        ar1_dm_p_value=metrics.diebold_mariano(actual, tested.ar1, tested.naive).p_worse,
        network_skill=metrics.skill(network_rmse, naive_rmse),
        network_dm_p_value=metrics.diebold_mariano(actual, tested.network, tested.naive).p_worse,
    ).model_copy(update=_interval_scores(tested))


def _interval_scores(tested: Backtest) -> dict[str, float | None]:
    """Return the scores of intervals and quantiles, in per cent of the last close."""
    actual = tested.actual
    last = tested.naive
    scores: dict[str, float | None] = {}
    for prefix, made in (("", tested.made), ("ewma_", tested.ewma), ("reference_", tested.reference)):
        for level in (80, 95):
            scores[f"{prefix}interval_score_{level}_pct"] = float(np.mean(_interval_losses(actual, made, level, last)))
        loss = distributions.pinball(actual, made.quantiles, np.array(PROBABILITIES) / 100)
        scores[f"{prefix}pinball_pct"] = float(np.mean(100 * loss / last))
        scores[f"{prefix}coverage_95"] = metrics.coverage(actual, *made.interval(95))
    losses, ewma, reference = (
        _interval_losses(actual, made, 95, last) for made in (tested.made, tested.ewma, tested.reference)
    )
    hits = distributions.inside(actual, *tested.made.interval(95))
    del scores["coverage_95"]  # the scores of the forecast have it
    return scores | {
        "coverage_50": metrics.coverage(actual, *tested.made.interval(50)),
        "interval_skill_95": metrics.skill(float(losses.mean()), float(ewma.mean())),
        "reference_skill_95": metrics.skill(float(losses.mean()), float(reference.mean())),
        "reference_dm_p_value": metrics.compare_losses(losses, reference).p_worse,
        "kupiec_95_p_value": distributions.kupiec_p_value(hits, 0.95),
        "christoffersen_95_p_value": distributions.christoffersen(hits).p_value,
        "good_windows_95": _defined(distributions.good_windows(hits, _WINDOW, *_GOOD)),
    }


def _interval_losses(actual: Floats, made: Forecasts, level: int, last: Floats) -> Floats:
    return 100 * distributions.interval_score(actual, *made.interval(level), level / 100) / last


def _defined(score: float) -> float | None:
    return score if math.isfinite(score) else None
