"""Step `train`: the fitted network, its curves and its recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline import calendar
from pipeline.arrays import Dates, Floats
from pipeline.errors import DataError
from pipeline.evaluation import baselines
from pipeline.forecasting import forecaster, target, walk_forward, windows
from pipeline.forecasting.scale import Scaler, fit_scaler
from pipeline.forecasting.split import Split, split
from pipeline.outcome import Outcome
from pipeline.store.formats import arrays_of, frame_bytes, json_bytes, json_of

if TYPE_CHECKING:
    from pipeline.steps.unit import Unit


def train(unit: Unit) -> Outcome:
    """Fit the network, and return its weights, its curves and the recipe that serving needs."""
    from pipeline.forecasting import model
    from pipeline.reporting import plots

    if unit.settings.gpu == "require":
        model.require_gpu()
    preset = unit.plan.preset
    arrays = arrays_of(unit.read("scaled.npz"))
    parts = unit.split
    fitted = forecaster.fit(
        arrays["closes"],
        unit.windows,
        Scaler(**json_of(unit.read("scaler.json"))),
        preset,
        preset_name=unit.plan.preset_name,
        ticker=unit.ticker,
        calendar=unit.plan.calendar,
        currency=unit.currency,
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
            "recipe.json": recipe.to_json(),
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
    """Train once per fold on the sessions known by then, and return the forecasts of all test rows."""
    import pandas as pd

    preset = unit.plan.preset
    tested = unit.windows.test
    forecasts = []
    for number, fold in enumerate(walk_forward.lay_folds(tested, unit.plan.walk_forward, sliding=unit.plan.sliding), 1):
        known = closes[fold.train.start : fold.train.stop]
        parts = split(len(known), 1.0, preset.validation_fraction)
        values = target.to_values(known, preset.target)
        laid = _fold_windows(parts, unit)
        trained, recipe = forecaster.fit(
            known, laid, fit_scaler(values, preset.scaler), preset,
            preset_name=unit.plan.preset_name, ticker=unit.ticker, calendar=unit.plan.calendar,
            currency=unit.currency, cutoff=str(sessions[fold.train.stop - 1]), train_stop=len(known),
            on_epoch=unit.on_epoch,
        )  # fmt: skip
        made = forecaster.forecast(trained.network, closes[: fold.test.stop], fold.test, recipe)
        forecasts.append(
            pd.DataFrame(
                {
                    "fold": number,
                    "cutoff": recipe.cutoff,
                    "close": closes[fold.test.start : fold.test.stop],
                    "naive": baselines.naive(closes, fold.test),
                    **made._asdict(),
                    "weight": recipe.weight,
                },
                index=calendar.session_index(sessions[fold.test.start : fold.test.stop]),
            )
        )
    return {"walk_forward.parquet": frame_bytes(pd.concat(forecasts))}


def _fold_windows(parts: Split, unit: Unit) -> windows.Windows:
    preset = unit.plan.preset
    laid = windows.windows_of(parts, preset)
    if not laid.train or (preset.validation_fraction and not laid.validation):
        raise DataError(
            f"Each fold must hold at least one window of {preset.lookback} sessions and its target.",
            f"{parts.end} sessions in the first fold",
            "Take an earlier START, or fewer folds.",
        )
    return laid
