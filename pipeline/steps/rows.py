"""The file rows.json: the parts and the windows that a network was fitted by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.forecasting.split import Split
from pipeline.forecasting.windows import FittedRows, Windows
from pipeline.store.formats import json_bytes, json_of


def rows_json(parts: Split, laid: Windows) -> bytes:
    """Return the file, as `fitted_rows` reads it."""
    windows = {part: [rows.start, rows.stop] for part, rows in laid._asdict().items() if part != "lookback"}
    return json_bytes({"split": parts._asdict(), "windows": {"lookback": laid.lookback, **windows}})


def fitted_rows(data: bytes) -> FittedRows:
    """Return what `rows_json` wrote."""
    rows = json_of(data)
    return FittedRows(Split(**rows["split"]), windows_of(rows["windows"]))


def windows_of(laid: Mapping[str, Any]) -> Windows:
    """Return windows as a file of JSON has them."""
    return Windows(laid["lookback"], *(range(*laid[part]) for part in ("train", "validation", "test")))
