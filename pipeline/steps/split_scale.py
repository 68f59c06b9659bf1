"""Step `split_scale`: the parts of the history, and the scaler fitted on train."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.forecasting import target
from pipeline.forecasting.scale import fit_scaler
from pipeline.forecasting.split import split
from pipeline.outcome import Outcome
from pipeline.store.formats import arrays_bytes, frame_of, json_bytes

if TYPE_CHECKING:
    from pipeline.steps.unit import Unit


def split_scale(unit: Unit) -> Outcome:
    """Cut the history into parts, and scale the target's values by a scaler fitted on train only."""
    preset = unit.plan.preset
    prices = frame_of(unit.read("validated.parquet"))
    closes = prices["close"].to_numpy("float64")
    parts = split(len(closes), preset.train_fraction, preset.validation_fraction)
    values = target.to_values(closes, preset.target)
    scaler = fit_scaler(values[: parts.test], preset.scaler)
    return Outcome(
        files={
            "scaled.npz": arrays_bytes(
                sessions=prices.index.to_numpy("datetime64[D]"),
                **{name: prices[name].to_numpy("float64") for name in ("open", "high", "low")},
                closes=closes,
                scaled=scaler.scale(values),
            ),
            "scaler.json": json_bytes(scaler._asdict()),
            "split.json": json_bytes(parts._asdict()),
        },
        attach=("scaler.json",),
        metrics={"step/rows_train": parts.test, "step/rows_test": parts.end - parts.test},
        tags={
            "first_test_session": str(prices.index[parts.test].date()),
            "cutoff": str(prices.index[parts.test - 1].date()),
        },
    )
