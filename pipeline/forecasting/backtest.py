"""Backtest: the forecasts of the test rows beside simpler ones of the same rows, and the scores of all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.arrays import Floats
from pipeline.evaluation import baselines, distributions, metrics
from pipeline.evaluation.scores import ReferenceScores, Scores
from pipeline.forecasting import forecaster, rivals
from pipeline.forecasting.bars import Bars
from pipeline.forecasting.fitting import calibration_rows, rolled_widths
from pipeline.forecasting.forecasts import Forecasts, Interval
from pipeline.forecasting.intervals import PROBABILITIES
from pipeline.forecasting.recipe import Recipe
from pipeline.forecasting.rivals import SCALE_OF, Calibration, Rolled
from pipeline.forecasting.windows import FittedRows

if TYPE_CHECKING:
    from pipeline.forecasting.inference import Network
    from pipeline.settings.preset import Preset


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
    references: dict[str, Forecasts]  # naive with each simple scale, by name, calibrated every night
    reference_name: str  # of the one with the best interval score before the test rows
    reference_next_widths: Floats  # its `next_widths`

    @property
    def reference(self) -> Forecasts:
        """Return the forecasts of the best reference."""
        return self.references[self.reference_name]

    @property
    def reference_alone(self) -> Backtest:
        """Return the backtest of the reference in place of the network."""
        return self._replace(made=self.reference, next_widths=self.reference_next_widths)


def backtest(network: Network, recipe: Recipe, bars: Bars, fitted: FittedRows, preset: Preset) -> Backtest:
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
    rolled = _references(bars, fitted, recipe.scale_window, preset)
    best = _best(rolled, bars.close, fitted)
    return Backtest(
        actual=closes[rows.start : rows.stop],
        made=forecaster.combined(said.predicted, naive, recipe, said.widths[:-1]),
        next_widths=said.widths[-1],
        network=said.predicted.forecast,
        naive=naive,
        drift=baselines.drift(closes, rows, train_stop),
        ar1=baselines.ar1(closes, rows, train_stop),
        ewma=rivals.ewma_once(bars, calibration_rows(fitted.windows), rows, recipe.scale_window),
        references={name: one.forecasts.last(len(rows)) for name, one in rolled.items()},
        reference_name=best,
        reference_next_widths=rolled[best].next_widths,
    )


class _Tested(NamedTuple):
    """Predictions of the test rows, and the half-widths of these rows and of the row after them."""

    predicted: forecaster.Predicted
    widths: Floats  # shape (n + 1, 10)


def _tested(network: Network, recipe: Recipe, bars: Bars, fitted: FittedRows) -> _Tested:
    rows = fitted.windows.test
    if recipe.distribution is None:
        said = forecaster.predicted(network, bars, rows, recipe)
        return _Tested(said, np.tile(recipe.widths, (len(rows) + 1, 1)))
    held_out = range(fitted.windows.validation.start, rows.stop)
    said = forecaster.predicted(network, bars, held_out, recipe)
    widths = rolled_widths(said, bars, held_out, recipe, rows.start)
    return _Tested(forecaster.Predicted(*(column[-len(rows) :] for column in said)), widths)


def forecasts_of(network: Network, recipe: Recipe, bars: Bars, fitted: FittedRows) -> Forecasts:
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


def next_widths(network: Network, recipe: Recipe, bars: Bars, rows: range) -> Floats:
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
    mine = distributions.interval_score_pct(actual, *bounds, 0.95, last_closes)
    others = distributions.interval_score_pct(actual, *other, 0.95, last_closes)
    return metrics.compare_losses(mine, others).p_worse


def recipe_of_reference(recipe: Recipe, tested: Backtest) -> Recipe:
    """Return the recipe that serves the reference of a backtest in place of the network."""
    return recipe.with_scale_alone(SCALE_OF[tested.reference_name], tested.reference_next_widths)


def _references(bars: Bars, fitted: FittedRows, window: int, preset: Preset) -> dict[str, Rolled]:
    """Return the forecasts of all references, from the calibration rows to the last test row."""
    before = calibration_rows(fitted.windows)
    return rivals.all_references(
        bars,
        range(before.start, fitted.windows.test.stop),
        train_stop=before.start,
        window=window,
        decay=preset.range_decay,
        calibration=Calibration(preset.calibration_rows, preset.adaptive_step),
    )


def _best(references: dict[str, Rolled], closes: Floats, fitted: FittedRows) -> str:
    """Return the name of the reference with the lowest mean 95 % interval score on rows before the test rows."""
    before = calibration_rows(fitted.windows)
    last = closes[before.start - 1 : before.stop - 1]
    actual = closes[before.start : before.stop]
    scores = {}
    for name, rolled in references.items():
        losses = _interval_losses(actual, rolled.forecasts.first(len(before)), 95, last)
        scores[name] = float(losses.mean())
    return min(scores, key=lambda name: scores[name])


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


def _interval_scores(tested: Backtest) -> dict[str, Any]:
    """Return the scores of intervals and quantiles, in per cent of the last close."""
    actual = tested.actual
    last = tested.naive
    made = _distribution_scores(actual, tested.made, last)
    ewma = _distribution_scores(actual, tested.ewma, last)
    references = {SCALE_OF[name]: _distribution_scores(actual, one, last) for name, one in tested.references.items()}
    reference = references[SCALE_OF[tested.reference_name]]
    losses, best = (_interval_losses(actual, one, 95, last) for one in (tested.made, tested.reference))
    hits = distributions.inside(actual, *tested.made.interval(95))
    return {
        **made.model_dump(exclude={"coverage_95"}),  # the scores of the forecast have it
        **{f"ewma_{name}": value for name, value in ewma.model_dump().items()},
        **{f"reference_{name}": value for name, value in reference.model_dump().items()},
        "references": references,
        "coverage_50": metrics.coverage(actual, *tested.made.interval(50)),
        "interval_skill_95": metrics.skill(made.interval_score_95_pct, ewma.interval_score_95_pct),
        "reference_skill_95": metrics.skill(made.interval_score_95_pct, reference.interval_score_95_pct),
        "reference_dm_p_value": metrics.compare_losses(losses, best).p_worse,
        "kupiec_95_p_value": distributions.kupiec_p_value(hits, 0.95),
        "christoffersen_95_p_value": distributions.christoffersen(hits).p_value,
        "good_windows_95": _defined(distributions.good_windows(hits, distributions.WINDOW, *distributions.GOOD)),
    }


def _distribution_scores(actual: Floats, made: Forecasts, last: Floats) -> ReferenceScores:
    loss = distributions.pinball(actual, made.quantiles, np.array(PROBABILITIES) / 100)
    return ReferenceScores(
        interval_score_80_pct=float(_interval_losses(actual, made, 80, last).mean()),
        interval_score_95_pct=float(_interval_losses(actual, made, 95, last).mean()),
        pinball_pct=float(np.mean(100 * loss / last)),
        coverage_95=metrics.coverage(actual, *made.interval(95)),
    )


def _interval_losses(actual: Floats, made: Forecasts, level: int, last: Floats) -> Floats:
    return distributions.interval_score_pct(actual, *made.interval(level), level / 100, last)


def _defined(score: float) -> float | None:
    return score if math.isfinite(score) else None
