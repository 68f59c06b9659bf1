"""The steps of one unit, in their order: read the folder, call pure functions, return an `Outcome`.

A step knows nothing of Airflow or MLflow. Heavy libraries are imported where they are used: each Airflow task is a
process of its own and pays for what it imports.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline import baselines, calendar, metrics, snapshot, target, windows
from pipeline.errors import DataError
from pipeline.outcome import Outcome
from pipeline.scale import fit_scaler
from pipeline.split import Split, split
from pipeline.store import arrays_bytes, arrays_of, frame_bytes, frame_of, json_bytes, json_of, sha256

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from pipeline.forecaster import Recipe
    from pipeline.plan import Plan
    from pipeline.settings import Settings
    from pipeline.store import Folder


@dataclass(frozen=True)
class Unit:
    """One ticker in one run, with what a step may use of the world."""

    ticker: str
    plan: Plan
    folder: Folder
    settings: Settings
    on_epoch: Callable[[int, int, float], None] | None = None


class Step(NamedTuple):
    """A step and the files that its result depends on."""

    function: Callable[[Unit], Outcome]
    reads: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the step's name, in every log, file and page."""
        return self.function.__name__


def ingest(unit: Unit) -> Outcome:
    """Take the snapshot: the prices up to `as_of` as the source has them now, and compare it with the last one."""
    raw = snapshot.fetch(unit.ticker, unit.plan, unit.settings)
    if raw.empty:
        raise DataError(
            f"The source must have prices of {unit.ticker} up to {unit.plan.as_of}.",
            "none" + (f" since {unit.plan.start}" if unit.plan.start else ""),
            "Take an earlier START, or a later AS_OF.",
        )
    data = frame_bytes(raw)
    restated, tags, findings = snapshot.compared_with_last(unit.ticker, unit.plan, unit.settings, raw)
    return Outcome(
        files={"raw.parquet": data, **restated},
        attach=tuple(restated),
        tags={
            "source": unit.plan.source,
            **({"fault": unit.plan.fault} if unit.plan.fault else {}),
            "data_sha256": sha256(data),
            "first_session": str(raw.index[0].date()),
            **tags,
        },
        metrics={"rows/raw": len(raw)},
        findings=findings,
    )


def validate(unit: Unit) -> Outcome:
    """Remove what is no price of a session, and let Great Expectations judge; a critical finding ends the unit here."""
    from pipeline import validate as checks
    from pipeline.clean import clean

    raw = frame_of(unit.folder.read("raw.parquet"))
    sessions = calendar.sessions(unit.plan.calendar, raw.index[0].date(), unit.plan.as_of)
    cleaned = clean(raw, sessions)
    checked = checks.check(
        unit.ticker,
        raw,
        cleaned,
        unit.settings.suite_path.read_bytes(),
        as_of=unit.plan.as_of,
        min_sessions=unit.plan.min_sessions,
        max_jump=unit.plan.max_jump,
        sessions=sessions,
    )
    outcome = Outcome(
        files={"validation.html": checked.page, "validation.json": checked.result},
        attach=("validation.html", "validation.json"),
        metrics={
            **{f"quality.{name}": count for name, count in checked.offending.items()},
            "sessions": cleaned.prices.index.nunique(),
            "quality.removed_without_price": len(cleaned.without_price),
            "quality.removed_no_session": len(cleaned.no_session),
        },
        findings=checked.findings,
    )
    if outcome.failed:
        return outcome
    return outcome.model_copy(
        update={
            "files": {**outcome.files, "validated.parquet": frame_bytes(cleaned.prices)},
            "dataset": "validated.parquet",
        }
    )


def split_scale(unit: Unit) -> Outcome:
    """Cut the history into parts and scale the target's values by what train alone knows."""
    preset = unit.plan.preset
    prices = frame_of(unit.folder.read("validated.parquet"))
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
    parts = split_of(unit)
    laid = windows.lay_windows(
        parts,
        lookback=preset.lookback,
        first_value=target.first_value(preset.target),
        reach_back=preset.reach_back,
    )
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

    preset = unit.plan.preset
    arrays, laid = arrays_of(unit.folder.read("scaled.npz")), windows_of(unit)
    scaled = arrays["scaled"]

    def part(rows: range) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        return windows.inputs(scaled, rows, laid.lookback), scaled[rows.start : rows.stop]

    trained = model.train(
        *part(laid.train),
        preset,
        validation=part(laid.validation) if laid.validation else None,
        on_epoch=unit.on_epoch,
    )
    scaler = json_of(unit.folder.read("scaler.json"))
    recipe = {
        "ticker": unit.ticker,
        "target": preset.target,
        "lookback": preset.lookback,
        "scaler_kind": scaler["kind"],
        "center": scaler["center"],
        "spread": scaler["spread"],
    }
    layers = model.layer_parameters(trained.network)
    return Outcome(
        files={
            "model.keras": model.to_bytes(trained.network),
            "recipe.json": json_bytes(recipe),
            "history.json": json_bytes(trained.curves),
            "loss.png": plots.loss_curves(trained.curves, trained.best_epoch, unit.ticker),
        },
        attach=("history.json", "loss.png"),
        curves=trained.curves,
        metrics={
            "fit_seconds": trained.fit_seconds,
            "epochs_trained": len(trained.curves["loss"]),
            "best_epoch": trained.best_epoch,
        },
        params={
            **{name: str(value) for name, value in preset.model_dump().items()},
            "preset": unit.plan.preset_name,
            "layer_parameters": " + ".join(str(count) for count in layers),
            "parameters": str(sum(layers)),
        },
        tags={"device": trained.device},
        model=("model.keras", "recipe.json"),
    )


def evaluate(unit: Unit) -> Outcome:
    """Score the network in dollars on the test rows, beside naive on the same rows."""
    from pipeline import model, plots
    from pipeline.forecaster import forecast

    arrays, laid = arrays_of(unit.folder.read("scaled.npz")), windows_of(unit)
    closes, sessions, rows = arrays["closes"], arrays["sessions"], laid.test
    predicted = forecast(model.from_bytes(unit.folder.read("model.keras")), closes, rows, recipe_of(unit))
    actual, naive = closes[rows.start : rows.stop], baselines.naive(closes, rows)
    train_closes = closes[: split_of(unit).test]
    scores = {
        "test_rows": float(len(rows)),
        "rmse_usd": metrics.rmse(actual, predicted),
        "naive_rmse_usd": metrics.rmse(actual, naive),
        "mae_usd": metrics.mae(actual, predicted),
        "naive_mae_usd": metrics.mae(actual, naive),
        "mape_pct": metrics.mape_pct(actual, predicted),
        "naive_mape_pct": metrics.mape_pct(actual, naive),
        "mase": metrics.mase(actual, predicted, train_closes),
    }
    scores["skill"] = metrics.skill(scores["rmse_usd"], scores["naive_rmse_usd"])
    tested = sessions[rows.start : rows.stop]
    return Outcome(
        files={
            "metrics.json": json_bytes(scores),
            "predictions.parquet": frame_bytes(_predictions(tested, actual, predicted, naive)),
            "close.png": plots.closes(sessions, closes, rows, unit.ticker),
            "forecast.png": plots.actual_and_forecast(tested, actual, predicted, scores, unit.ticker),
        },
        attach=("metrics.json", "predictions.parquet", "close.png", "forecast.png"),
        metrics=scores,
    )


def _predictions(
    sessions: npt.NDArray[np.datetime64],
    actual: npt.NDArray[np.float64],
    predicted: npt.NDArray[np.float64],
    naive: npt.NDArray[np.float64],
) -> pd.DataFrame:
    import pandas as pd

    index = pd.DatetimeIndex(sessions.astype("datetime64[s]"), name="session")
    return pd.DataFrame({"close_usd": actual, "forecast_usd": predicted, "naive_usd": naive}, index=index)


def split_of(unit: Unit) -> Split:
    """Return the parts that `split_scale` cut."""
    return Split(**json_of(unit.folder.read("split.json")))


def windows_of(unit: Unit) -> windows.Windows:
    """Return the windows that `window` laid."""
    laid = json_of(unit.folder.read("windows.json"))
    return windows.Windows(laid["lookback"], *(range(*laid[part]) for part in ("train", "validation", "test")))


def recipe_of(unit: Unit) -> Recipe:
    """Return what `train` says a forecast needs beside the network."""
    from pipeline.forecaster import Recipe

    return Recipe(**json_of(unit.folder.read("recipe.json")))


FLOW = (
    Step(ingest, ()),
    Step(validate, ("raw.parquet",)),
    Step(split_scale, ("validated.parquet",)),
    Step(window, ("split.json",)),
    Step(train, ("scaled.npz", "scaler.json", "windows.json")),
    Step(evaluate, ("model.keras", "recipe.json", "scaled.npz", "split.json", "windows.json")),
)
