"""Step `evaluate`: the scores of the network on the test rows, beside forecasts that need no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline import calendar
from pipeline.arrays import Dates
from pipeline.errors import DataError
from pipeline.evaluation import metrics
from pipeline.evaluation.amounts import same
from pipeline.evaluation.scores import FoldScores, Scores
from pipeline.forecasting.backtest import Backtest, backtest, recipe_of_reference, scored
from pipeline.forecasting.bars import Bars
from pipeline.forecasting.rivals import SCALE_OF
from pipeline.old_names import present_name
from pipeline.outcome import Outcome
from pipeline.serving import promotion
from pipeline.store.formats import arrays_of, frame_bytes, frame_of

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.forecasting.inference import Network
    from pipeline.forecasting.recipe import Recipe
    from pipeline.forecasting.windows import FittedRows
    from pipeline.plan import Plan
    from pipeline.steps.unit import Unit


class Evaluation(NamedTuple):
    """A network on its test rows, or the reference in its place."""

    tested: Backtest
    scores: Scores
    served: Recipe  # of the network that would be served, with the intervals of the next session
    candidate: str  # "network", or the name of the reference that took its place


def evaluation(
    network: Network, recipe: Recipe, refitted: Recipe, bars: Bars, fitted: FittedRows, plan: Plan
) -> Evaluation:
    """Return the scores of a network on its test rows; the reference takes its place if it breaks a rule of the gate.

    Args:
        network: fitted to the rows before test only.
        recipe: of the network.
        refitted: of the network that would be served.
        bars: the whole history.
        fitted: its parts.
        plan: for its preset and its gate.

    Raises:
        DataError: when no close of the test rows moves.
    """
    tested = backtest(network, recipe, bars, fitted, plan.preset)
    if same(tested.actual, tested.naive).all():
        raise DataError(
            "Closes must move in the test rows.",
            f"{len(fitted.windows.test)} equal closes",
            "Look at the prices; take another START.",
        )
    train_closes = bars.close[: fitted.split.test]
    scores = scored(tested, train_closes)
    candidate = "network"
    if plan.preset.output == "distribution" and _breaks_a_rule(plan, recipe, scores, tested.reference_name):
        candidate = f"{tested.reference_name} alone"
        tested = tested.reference_alone
        scores = scored(tested, train_closes)
    return Evaluation(tested, scores, served_recipe(refitted, tested, candidate), candidate)


def served_recipe(refitted: Recipe, tested: Backtest, candidate: str) -> Recipe:
    """Return the recipe that would be served: of the network, or of the reference in its place.

    Args:
        refitted: of the network that would be served.
        tested: as an `Evaluation` has it.
        candidate: likewise.
    """
    if candidate == "network":
        return refitted.with_widths(tested.next_widths)
    return recipe_of_reference(refitted, tested)


def evaluate(unit: Unit) -> Outcome:
    """Score the network on the test rows, beside forecasts and intervals that need no network, on the same rows.

    The recipe that is served gets the intervals of the next session: by now the closes of all test rows are known.
    """
    from pipeline.forecasting import inference
    from pipeline.reporting import plots

    arrays = arrays_of(unit.read("scaled.npz"))
    bars = Bars(arrays["open"], arrays["high"], arrays["low"], arrays["closes"])
    sessions = arrays["sessions"]
    rows = unit.fitted.windows.test
    network = inference.load(unit.read("model.keras"), unit.recipe)
    tested, scores, served, candidate = evaluation(network, unit.recipe, unit.refitted, bars, unit.fitted, unit.plan)
    dates = sessions[rows.start : rows.stop]
    walked = _walk_forward(unit)
    scores = scores.model_copy(update={"walk_forward": walked.scores})
    return Outcome(
        files={
            "served.keras": unit.read("refitted.keras" if unit.plan.preset.refit else "model.keras"),
            "served.json": served.to_json(),
            "metrics.json": scores.to_json(),
            "predictions.parquet": frame_bytes(_predictions(dates, tested)),
            "close.png": plots.closes(sessions, bars.close, rows, unit.ticker, unit.currency),
            "forecast.png": plots.actual_and_forecast(
                dates, tested.actual, tested.made, scores, unit.ticker, unit.currency
            ),
            "intervals.png": plots.intervals(
                dates, tested.actual, tested.made, scores, unit.ticker, reference=tested.reference_name
            ),
            "residuals.png": plots.residuals(
                dates, tested.actual, tested.made.forecast, tested.naive, unit.ticker, unit.currency
            ),
        },
        attach=("metrics.json", "predictions.parquet", "close.png", "forecast.png", "intervals.png", "residuals.png"),
        metrics=scores.metrics(),
        tags={
            "reference": tested.reference_name,
            "candidate": candidate,
        },
        curves=walked.curves,
        model=("served.keras", "served.json"),
    )


def _breaks_a_rule(plan: Plan, recipe: Recipe, scores: Scores, reference: str) -> bool:
    """Return whether the gate would refuse the network's forecasts for what they are."""
    challenger = promotion.challenger_of(scores, recipe.cutoff, reference=reference)
    return any(not rule.passed for rule in promotion.quality_rules(challenger, plan.gate))


class _Walked(NamedTuple):
    """Scores of a walk-forward: over all folds, and one value per fold."""

    scores: FoldScores | None
    curves: dict[str, list[float]]


def _walk_forward(unit: Unit) -> _Walked:
    if not unit.plan.walk_forward:
        return _Walked(None, {})
    frame = frame_of(unit.read("walk_forward.parquet")).rename(columns=present_name)
    folds = [_fold_scores(rows) for _, rows in frame.groupby("fold")]
    curves = {f"fold/{name}": [getattr(fold, name) for fold in folds] for name in FoldScores.model_fields}
    curves["fold/weight"] = [float(rows["weight"].iloc[0]) for _, rows in frame.groupby("fold")]
    return _Walked(_fold_scores(frame), curves)


def _fold_scores(rows: pd.DataFrame) -> FoldScores:
    actual = rows["close"].to_numpy()
    naive = rows["naive"].to_numpy()
    rmse = metrics.rmse(actual, rows["forecast"].to_numpy())
    naive_rmse = metrics.rmse(actual, naive)
    return FoldScores(
        rmse=rmse,
        naive_rmse=naive_rmse,
        skill=0.0 if same(actual, naive).all() else metrics.skill(rmse, naive_rmse),
        coverage_95=metrics.coverage(actual, rows["low_95"].to_numpy(), rows["high_95"].to_numpy()),
    )


def _predictions(sessions: Dates, tested: Backtest) -> pd.DataFrame:
    import pandas as pd

    columns = {
        "close": tested.actual,
        **tested.made.columns(),
        **{name: getattr(tested, name) for name in ("naive", "drift", "ar1", "network")},
    }
    rivals = {"ewma": tested.ewma, "reference": tested.reference}
    rivals |= {SCALE_OF[name]: one for name, one in tested.references.items()}
    for name, rival in rivals.items():
        for side, bound in rival.interval(95)._asdict().items():
            columns[f"{name}_{side}_95"] = bound
    return pd.DataFrame(columns, index=calendar.session_index(sessions))
