"""The network of a unit: what it sees, how it is trained, how well it forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline import calendar
from pipeline.arrays import Dates, Floats
from pipeline.errors import DataError
from pipeline.evaluation import baselines, metrics
from pipeline.forecasting import forecaster
from pipeline.outcome import Outcome
from pipeline.store.formats import arrays_of, frame_bytes, frame_of, json_bytes

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.steps.unit import Unit


def evaluate(unit: Unit) -> Outcome:
    """Score the network in dollars on the test rows, beside forecasts that need none on the same rows."""
    from pipeline.forecasting import model
    from pipeline.reporting import plots

    arrays = arrays_of(unit.read("scaled.npz"))
    closes, sessions, rows = arrays["closes"], arrays["sessions"], unit.windows.test
    network, recipe = model.from_bytes(unit.read("model.keras")), unit.recipe
    made = forecaster.forecast(network, closes, rows, recipe)
    actual, tested, known = closes[rows.start : rows.stop], sessions[rows.start : rows.stop], unit.split.test
    others = {
        "naive": baselines.naive(closes, rows),
        "drift": baselines.drift(closes, rows, known),
        "ar1": baselines.ar1(closes, rows, known),
        "network": forecaster.forecast(network, closes, rows, recipe._replace(weight=1.0)).usd,  # not mixed with naive
    }
    if (actual == others["naive"]).all():
        raise DataError(
            "Closes must move in the test rows.", f"{len(rows)} equal closes", "Look at the prices; take another START."
        )
    scores = _scores(actual, made, others, closes[:known])
    walked, curves = _walked(unit)
    return Outcome(
        files={
            "metrics.json": json_bytes(scores | walked),
            "predictions.parquet": frame_bytes(_predictions(tested, actual, made, others)),
            "close.png": plots.closes(sessions, closes, rows, unit.ticker),
            "forecast.png": plots.actual_and_forecast(tested, actual, made, scores, unit.ticker),
            "residuals.png": plots.residuals(tested, actual, made.usd, others["naive"], unit.ticker),
        },
        attach=("metrics.json", "predictions.parquet", "close.png", "forecast.png", "residuals.png"),
        metrics=scores | walked,
        curves=curves,
    )


def _scores(
    actual: Floats, made: forecaster.Forecasts, others: dict[str, Floats], train_closes: Floats
) -> dict[str, float]:
    naive = others["naive"]
    worse = metrics.diebold_mariano(actual, made.usd, naive)
    scores = {
        "test_rows": float(len(actual)),
        "rmse_usd": metrics.rmse(actual, made.usd),
        **{f"{name}_rmse_usd": metrics.rmse(actual, forecast) for name, forecast in others.items()},
        "mae_usd": metrics.mae(actual, made.usd),
        "naive_mae_usd": metrics.mae(actual, naive),
        "mape_pct": metrics.mape_pct(actual, made.usd),
        "naive_mape_pct": metrics.mape_pct(actual, naive),
        "mase": metrics.mase(actual, made.usd, train_closes),
        "direction_acc": metrics.direction_acc(actual, made.usd, naive),
        "dm_statistic": worse.statistic,
        "dm_p_value": worse.p_worse,
        "coverage_80": metrics.coverage(actual, made.low_80, made.high_80),
        "coverage_95": metrics.coverage(actual, made.low_95, made.high_95),
        "width_80_usd": metrics.mean_width(made.low_80, made.high_80),
        "width_95_usd": metrics.mean_width(made.low_95, made.high_95),
    }
    scores["rmse_over_naive"] = scores["rmse_usd"] / scores["naive_rmse_usd"]
    scores["skill"] = metrics.skill(scores["rmse_usd"], scores["naive_rmse_usd"])
    for name in ("ar1", "network"):
        scores[f"{name}_skill"] = metrics.skill(scores[f"{name}_rmse_usd"], scores["naive_rmse_usd"])
        scores[f"{name}_dm_p_value"] = metrics.diebold_mariano(actual, others[name], naive).p_worse
    return {name: value for name, value in scores.items() if np.isfinite(value)}


def _walked(unit: Unit) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Return the figures of walk-forward over all folds, and fold by fold; none where it is off."""
    if not unit.plan.walk_forward:
        return {}, {}
    frame = frame_of(unit.read("walk_forward.parquet"))

    def errors(rows: pd.DataFrame) -> dict[str, float]:
        actual, forecast, naive = (rows[f"{name}_usd"].to_numpy() for name in ("close", "forecast", "naive"))
        rmse, naive_rmse = metrics.rmse(actual, forecast), metrics.rmse(actual, naive)
        inside = metrics.coverage(actual, rows["low_95_usd"].to_numpy(), rows["high_95_usd"].to_numpy())
        skill = metrics.skill(rmse, naive_rmse) if naive_rmse else 0.0
        return {"rmse_usd": rmse, "naive_rmse_usd": naive_rmse, "skill": skill, "coverage_95": inside}

    folds = [errors(rows) for _, rows in frame.groupby("fold")]
    weights = [float(rows["weight"].iloc[0]) for _, rows in frame.groupby("fold")]
    curves = {f"fold/{name}": [fold[name] for fold in folds] for name in folds[0]} | {"fold/weight": weights}
    return {f"walk_forward/{name}": value for name, value in errors(frame).items()}, curves


def _predictions(
    sessions: Dates, actual: Floats, made: forecaster.Forecasts, others: dict[str, Floats]
) -> pd.DataFrame:
    import pandas as pd

    columns = {
        "close_usd": actual,
        "forecast_usd": made.usd,
        **{f"{name}_usd": forecast for name, forecast in others.items()},
        **{f"{name}_usd": bound for name, bound in made._asdict().items() if name != "usd"},
    }
    return pd.DataFrame(columns, index=calendar.session_index(sessions))
