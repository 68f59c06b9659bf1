"""The rows that a network was fitted by: the file rows.json, and the tags that name their borders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.arrays import Dates
from pipeline.forecasting.split import Borders, Split
from pipeline.forecasting.windows import FittedRows, Windows
from pipeline.store.formats import json_bytes, json_of

BORDER_TAGS = ("first_validation_session", "first_test_session")  # of the run that trained the network


def border_tags(sessions: Dates, parts: Split) -> dict[str, str]:
    """Return the tags of a run, as `borders_in` reads them."""
    return dict(zip(BORDER_TAGS, (str(sessions[row]) for row in (parts.validation, parts.test)), strict=True))


def borders_in(tags: Mapping[str, str]) -> Borders:
    """Return the borders that the tags of a run name."""
    return Borders(*(np.datetime64(tags[name]) for name in BORDER_TAGS))


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
