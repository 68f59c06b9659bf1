"""Step `window`: the rows that each part predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import DataError
from pipeline.forecasting import windows
from pipeline.outcome import Outcome
from pipeline.store.formats import json_bytes

if TYPE_CHECKING:
    from pipeline.steps.unit import Unit


def window(unit: Unit) -> Outcome:
    """Choose the rows that each part predicts. The windows are views: no copy is written to disk."""
    preset = unit.plan.preset
    parts = unit.split
    laid = windows.windows_of(parts, preset)
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
        metrics={f"step/windows_{part}": len(rows) for part, rows in named.items()},
    )
