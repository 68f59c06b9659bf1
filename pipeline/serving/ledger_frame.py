"""The ledger's rows as a table: names and types of its columns, and the way from a row to a record and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pipeline.outcome import ForecastRecord

# Columns that later versions added, with their value in rows of earlier ones.
ADDED = {"currency": "", "low_50": None, "high_50": None, "scale": None, "quantiles": ""}
KEY = ("ticker", "session", "version")
COLUMNS = tuple(ForecastRecord.model_fields)
OPTIONAL = ("low_50", "high_50", "scale")  # amounts that rows of earlier versions lack
_AMOUNTS = tuple(name for name, field in ForecastRecord.model_fields.items() if field.annotation is float)


def frame(records: Sequence[ForecastRecord]) -> pd.DataFrame:
    """Return records as a table, with the columns and types of the ledger."""
    return typed(pd.DataFrame([columns_of(one) for one in records], columns=pd.Index(COLUMNS)))


def typed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the types of the ledger; columns that are not the ledger's keep theirs."""
    return rows.astype(
        {
            **dict.fromkeys(("ticker", "run", "source", "currency", "quantiles"), "str"),
            **dict.fromkeys(("session", "as_of", "anchor_session"), "datetime64[s]"),
            "created": "datetime64[us, UTC]",
            "version": "int64",
            "synthetic": "bool",
            **dict.fromkeys((*_AMOUNTS, *OPTIONAL), "float64"),
        }
    )


def columns_of(record: ForecastRecord) -> dict[str, Any]:
    """Return a record as columns: its quantiles are JSON, for files and databases alike."""
    quantiles = json.dumps(record.quantiles) if record.quantiles else ""
    return {**record.model_dump(), "quantiles": quantiles}


def record_of(row: Mapping[str, Any] | pd.Series[Any]) -> ForecastRecord:
    """Return a row of the ledger as a record.

    Args:
        row: values by column, of today's names.

    Raises:
        ValueError: when a value is not of its column's type.
    """
    values = {str(name): value for name, value in row.items() if name in COLUMNS}
    for name, value in values.items():
        if isinstance(value, pd.Timestamp):
            values[name] = value.to_pydatetime() if name == "created" else value.date()
        elif name in OPTIONAL and pd.isna(value):
            values[name] = None
    values["quantiles"] = json.loads(values["quantiles"] or "[]")
    return ForecastRecord.model_validate(values)
