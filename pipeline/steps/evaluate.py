"""Step `evaluate`: the scores of the network on the test rows, beside forecasts that need no network."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from pipeline import calendar
from pipeline.arrays import Dates, Floats
from pipeline.errors import DataError
from pipeline.evaluation import baselines, metrics
from pipeline.evaluation.amounts import same
from pipeline.evaluation.scores import FoldScores, Scores
from pipeline.forecasting import forecaster
from pipeline.old_names import present_name
from pipeline.outcome import Outcome
from pipeline.store.formats import arrays_of, frame_bytes, frame_of

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.steps.unit import Unit


class Baselines(NamedTuple):
    """Forecasts of the same rows by simpler means, each of shape (n,), in the currency of the prices."""

    naive: Floats
    drift: Floats
    ar1: Floats
    network: Floats  # alone, not mixed with naive


def evaluate(unit: Unit) -> Outcome:
    """Score the network on the test rows, beside naive, drift, AR(1) and the network alone on the same rows."""
    from pipeline.forecasting import model
    from pipeline.reporting import plots

    arrays = arrays_of(unit.read("scaled.npz"))
    closes = arrays["closes"]
    sessions = arrays["sessions"]
    rows = unit.windows.test
    known = unit.split.test
    network = model.from_bytes(unit.read("model.keras"))
    made = forecaster.forecast(network, closes, rows, unit.recipe)
    alone = forecaster.forecast(network, closes, rows, unit.recipe._replace(weight=1.0))
    others = Baselines(
        naive=baselines.naive(closes, rows),
        drift=baselines.drift(closes, rows, known),
        ar1=baselines.ar1(closes, rows, known),
        network=alone.forecast,
    )
    actual = closes[rows.start : rows.stop]
    tested = sessions[rows.start : rows.stop]
    if same(actual, others.naive).all():
        raise DataError(
            "Closes must move in the test rows.", f"{len(rows)} equal closes", "Look at the prices; take another START."
        )
    walked = _walk_forward(unit)
    scores = _scores(actual, made, others, closes[:known]).model_copy(update={"walk_forward": walked.scores})
    return Outcome(
        files={
            "metrics.json": scores.to_json(),
            "predictions.parquet": frame_bytes(_predictions(tested, actual, made, others)),
            "close.png": plots.closes(sessions, closes, rows, unit.ticker, unit.currency),
            "forecast.png": plots.actual_and_forecast(tested, actual, made, scores, unit.ticker, unit.currency),
            "residuals.png": plots.residuals(tested, actual, made.forecast, others.naive, unit.ticker, unit.currency),
        },
        attach=("metrics.json", "predictions.parquet", "close.png", "forecast.png", "residuals.png"),
        metrics=scores.metrics(),
        curves=walked.curves,
    )


def _scores(actual: Floats, made: forecaster.Forecasts, others: Baselines, train_closes: Floats) -> Scores:
    rmse = metrics.rmse(actual, made.forecast)
    naive_rmse = metrics.rmse(actual, others.naive)
    ar1_rmse = metrics.rmse(actual, others.ar1)
    network_rmse = metrics.rmse(actual, others.network)
    worse = metrics.diebold_mariano(actual, made.forecast, others.naive)
    return Scores(
        test_rows=len(actual),
        rmse=rmse,
        naive_rmse=naive_rmse,
        drift_rmse=metrics.rmse(actual, others.drift),
        ar1_rmse=ar1_rmse,
        network_rmse=network_rmse,
        mae=metrics.mae(actual, made.forecast),
        naive_mae=metrics.mae(actual, others.naive),
        mape_pct=metrics.mape_pct(actual, made.forecast),
        naive_mape_pct=metrics.mape_pct(actual, others.naive),
        mase=_defined(metrics.mase(actual, made.forecast, train_closes)),
        direction_acc=_defined(metrics.direction_acc(actual, made.forecast, others.naive)),
        dm_statistic=_defined(worse.statistic),
        dm_p_value=worse.p_worse,
        coverage_80=metrics.coverage(actual, made.low_80, made.high_80),
        coverage_95=metrics.coverage(actual, made.low_95, made.high_95),
        width_80=metrics.mean_width(made.low_80, made.high_80),
        width_95=metrics.mean_width(made.low_95, made.high_95),
        rmse_over_naive=rmse / naive_rmse,
        skill=metrics.skill(rmse, naive_rmse),
        ar1_skill=metrics.skill(ar1_rmse, naive_rmse),
        ar1_dm_p_value=metrics.diebold_mariano(actual, others.ar1, others.naive).p_worse,
        network_skill=metrics.skill(network_rmse, naive_rmse),
        network_dm_p_value=metrics.diebold_mariano(actual, others.network, others.naive).p_worse,
    )


def _defined(score: float) -> float | None:
    return score if math.isfinite(score) else None


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


def _predictions(sessions: Dates, actual: Floats, made: forecaster.Forecasts, others: Baselines) -> pd.DataFrame:
    import pandas as pd

    bounds = made._asdict()
    columns = {
        "close": actual,
        "forecast": bounds.pop("forecast"),
        **others._asdict(),
        **bounds,
    }
    return pd.DataFrame(columns, index=calendar.session_index(sessions))
