"""The network of a unit: what it sees, how it is trained, how well it forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline import baselines, forecaster, metrics, target, walk_forward, windows
from pipeline.errors import DataError
from pipeline.outcome import Outcome
from pipeline.preset import Preset
from pipeline.scale import Scaler, fit_scaler
from pipeline.split import Split, split
from pipeline.store import arrays_bytes, arrays_of, frame_bytes, frame_of, json_bytes, json_of

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from pipeline.steps.unit import Unit

    Floats = npt.NDArray[np.float64]
    Dates = npt.NDArray[np.datetime64]


def split_scale(unit: Unit) -> Outcome:
    """Cut the history into parts and scale the target's values by what train alone knows."""
    preset = unit.plan.preset
    prices = frame_of(unit.read("validated.parquet"))
    closes = prices["close"].to_numpy("float64")
    parts = split(len(closes), preset.train_fraction, preset.validation_fraction)
    values = target.to_values(closes, preset.target)
    scaler = fit_scaler(values[: parts.test], preset.scaler)
    return Outcome(
        files={
            "scaled.npz": arrays_bytes(
                sessions=prices.index.to_numpy("datetime64[D]"), closes=closes, scaled=scaler.scale(values)
            ),
            "scaler.json": json_bytes(scaler._asdict()),
            "split.json": json_bytes(parts._asdict()),
        },
        attach=("scaler.json",),
        metrics={"rows/train": parts.test, "rows/test": parts.end - parts.test},
        tags={
            "first_test_session": str(prices.index[parts.test].date()),
            "cutoff": str(prices.index[parts.test - 1].date()),
        },
    )


def window(unit: Unit) -> Outcome:
    """Say which rows each part predicts; the windows themselves are views, never copies on disk."""
    preset = unit.plan.preset
    parts = unit.split
    laid = _windows_of(parts, preset)
    named = {"train": laid.train, "validation": laid.validation, "test": laid.test}
    for part, rows in named.items():
        if not rows and (part != "validation" or preset.validation_fraction):
            raise DataError(
                f"The {part} part must hold at least one window of {preset.lookback} sessions and its target.",
                f"{parts.end} sessions in all",
                "Take an earlier START, a shorter lookback, or another train_fraction.",
            )
    return Outcome(
        files={
            "windows.json": json_bytes(
                {"lookback": laid.lookback, **{part: [rows.start, rows.stop] for part, rows in named.items()}}
            )
        },
        attach=("windows.json",),
        metrics={f"windows/{part}": len(rows) for part, rows in named.items()},
    )


def train(unit: Unit) -> Outcome:
    """Fit the network; hand back its weights, its curves and all that serving needs."""
    from pipeline import model, plots

    if unit.settings.gpu == "require":
        model.require_gpu()
    preset = unit.plan.preset
    arrays, parts = arrays_of(unit.read("scaled.npz")), unit.split
    fitted = forecaster.fit(
        arrays["closes"],
        unit.windows,
        Scaler(**json_of(unit.read("scaler.json"))),
        preset,
        preset_name=unit.plan.preset_name,
        ticker=unit.ticker,
        calendar=unit.plan.calendar,
        cutoff=str(arrays["sessions"][parts.test - 1]),
        train_stop=parts.test,
        on_epoch=unit.on_epoch,
    )
    trained, recipe = fitted
    folds = _walk_forward(unit, arrays["closes"], arrays["sessions"]) if unit.plan.walk_forward else {}
    layers = model.layer_parameters(trained.network)
    return Outcome(
        files={
            "model.keras": model.to_bytes(trained.network),
            "recipe.json": json_bytes(recipe._asdict()),
            "history.json": json_bytes(trained.curves),
            "loss.png": plots.loss_curves(trained.curves, trained.best_epoch, unit.ticker),
            **folds,
        },
        attach=("recipe.json", "history.json", "loss.png", *folds),
        curves=trained.curves,
        metrics={
            "fit_seconds": trained.fit_seconds,
            "epochs_trained": len(trained.curves["loss"]),
            "best_epoch": trained.best_epoch,
            "weight": recipe.weight,
        },
        params={
            **{name: str(value) for name, value in preset.model_dump().items()},
            "preset": unit.plan.preset_name,
            "layer_parameters": " + ".join(str(count) for count in layers),
            "parameters": str(sum(layers)),
        },
        tags={
            "device": trained.device,
            "device_name": trained.device_name,
            "backend": trained.backend,
            "intervals": "calibrated on validation" if unit.windows.validation else "calibrated on train: too narrow",
        },
        model=("model.keras", "recipe.json"),
    )


def _walk_forward(unit: Unit, closes: Floats, sessions: Dates) -> dict[str, bytes]:
    """Train again for each fold on what was known then, and return what was forecast for the test rows."""
    import pandas as pd

    preset, forecasts = unit.plan.preset, []
    tested = unit.windows.test
    for number, fold in enumerate(walk_forward.lay_folds(tested, unit.plan.walk_forward, sliding=unit.plan.sliding), 1):
        known = closes[fold.train.start : fold.train.stop]
        parts = split(len(known), 1.0, preset.validation_fraction)
        values = target.to_values(known, preset.target)
        laid = _laid(parts, unit)
        trained, recipe = forecaster.fit(
            known, laid, fit_scaler(values, preset.scaler), preset,
            preset_name=unit.plan.preset_name, ticker=unit.ticker, calendar=unit.plan.calendar,
            cutoff=str(sessions[fold.train.stop - 1]), train_stop=len(known), on_epoch=unit.on_epoch,
        )  # fmt: skip
        made = forecaster.forecast(trained.network, closes[: fold.test.stop], fold.test, recipe)
        forecasts.append(
            pd.DataFrame(
                {
                    "fold": number,
                    "cutoff": recipe.cutoff,
                    "close_usd": closes[fold.test.start : fold.test.stop],
                    "naive_usd": baselines.naive(closes, fold.test),
                    **{f"{name}_usd" if name != "usd" else "forecast_usd": v for name, v in made._asdict().items()},
                    "weight": recipe.weight,
                },
                index=_index(sessions[fold.test.start : fold.test.stop]),
            )
        )
    return {"walk_forward.parquet": frame_bytes(pd.concat(forecasts))}


def _windows_of(parts: Split, preset: Preset) -> windows.Windows:
    return windows.lay_windows(
        parts,
        lookback=preset.lookback,
        first_value=target.first_value(preset.target),
        reach_back=preset.reach_back,
    )


def _laid(parts: Split, unit: Unit) -> windows.Windows:
    preset = unit.plan.preset
    laid = _windows_of(parts, preset)
    if not laid.train or (preset.validation_fraction and not laid.validation):
        raise DataError(
            f"Each fold must hold at least one window of {preset.lookback} sessions and its target.",
            f"{parts.end} sessions in the first fold",
            "Take an earlier START, or fewer folds.",
        )
    return laid


def evaluate(unit: Unit) -> Outcome:
    """Score the network in dollars on the test rows, beside forecasts that need none on the same rows."""
    from pipeline import model, plots

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
    return pd.DataFrame(columns, index=_index(sessions))


def _index(sessions: Dates) -> pd.DatetimeIndex:
    import pandas as pd

    return pd.DatetimeIndex(sessions.astype("datetime64[s]"), name="session")
