"""The ledger of one ticker as a night met it, and the row that the night wrote."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from pipeline.serving import ledger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.outcome import ForecastRecord, Manifest


def records(place: str, ticker: str) -> list[ForecastRecord]:
    """Return the rows of a ticker, by session and then by time of writing. Errors as of `ledger.read`."""
    return [ledger.record_of(row) for _, row in ledger.read(place, ticker).iterrows()]


def copy_ledger(place: str, to: str, ticker: str, run: str, started: dt.datetime) -> None:
    """Copy the rows that a night found in the ledger.

    Args:
        place: the ledger.
        to: a folder.
        ticker: of the rows.
        run: of the night; its own rows stay out.
        started: time at which its step `forecast` began.
    """
    for row in sorted(records(place, ticker), key=lambda one: one.created):
        if row.created < started and row.run != run:
            ledger.write(to, row)


def row_difference(place: str, ticker: str, forecast: Manifest | None) -> str:
    """Return the first field in which the ledger's row differs from the row that the night recorded; "" without one.

    Raises:
        Damaged: when a row cannot be read.
    """
    recorded = forecast.results.recorded if forecast and forecast.results else None
    if recorded is None:
        return ""
    name = f"ledger row {recorded.session} v{recorded.version} of {ticker}"
    row = _same_key(records(place, ticker), recorded)
    if row is None:
        return f"{name}: the night wrote it, and it is gone"
    for field, value in recorded.model_dump().items():
        found = row.model_dump()[field]
        if found != value:
            return f"{name}: {field} {found}, written as {value}"
    return ""


def _same_key(rows: Sequence[ForecastRecord], recorded: ForecastRecord) -> ForecastRecord | None:
    key = (recorded.session, recorded.version)
    return next((row for row in rows if (row.session, row.version) == key), None)
