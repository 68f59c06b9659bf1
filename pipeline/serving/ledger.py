"""The ledger of served forecasts: one row per ticker, session and version, written once and never changed.

The ledger is a folder of any store that fsspec knows, or a table of a database, by its URL. The rows of a ticker are a
chain: each has the hash of the row before it. See `chain`.
"""

from __future__ import annotations

import pandas as pd

from pipeline.errors import StoreError
from pipeline.outcome import ForecastRecord, LedgerHead
from pipeline.serving import ledger_folder, ledger_table
from pipeline.serving.chain import Contents, Link
from pipeline.serving.ledger_frame import frame, record_of
from pipeline.serving.ledger_table import is_database
from pipeline.store.folder import check_writable

__all__ = ["check", "contents", "head", "read", "record_of", "tickers", "write"]


def check(place: str) -> None:
    """Look at the ledger once: write a small file and remove it, or connect to the database and find the table.

    Raises:
        UsageError: for a URL that names no database, or one whose driver is not installed.
        StoreError: when the folder refuses.
        Unavailable: when the database does.
    """
    if is_database(place):
        ledger_table.check(place)
        return
    try:
        check_writable(place)
    except StoreError as error:
        raise StoreError(
            "The ledger must be a folder that this run can write, or a database.",
            error.received,
            "Correct CLOSECAST_LEDGER, or let this run write there; unset, the ledger is a folder of the store.",
        ) from error


def write(place: str, record: ForecastRecord) -> ForecastRecord:
    """Append a forecast unless the ledger has one of its ticker, session and version; return the ledger's row.

    Args:
        place: a folder, a URL of fsspec, or a URL of a database such as postgresql://...
        record: the forecast.

    Raises:
        Damaged: when a file of the row or of the newest link cannot be read.
        UsageError: as `check` does.
        StoreError: when the folder refuses.
        Unavailable: when the database does.
    """
    return ledger_table.insert(place, record) if is_database(place) else ledger_folder.append(place, record)


def read(place: str, ticker: str) -> pd.DataFrame:
    """Return the rows of a ticker, by session and then by time of writing; columns as in `ForecastRecord`.

    Raises:
        Damaged: when a row cannot be read as one.
        UsageError: as `check` does.
        StoreError: when the folder refuses.
        Unavailable: when the database does.
    """
    found = ledger_table.contents(place, ticker).rows if is_database(place) else ledger_folder.rows(place, ticker)
    records = [one.row if isinstance(one, Link) else one for one in found.values()]
    return frame(records).sort_values(["session", "created"], kind="stable", ignore_index=True)


def newest(place: str, ticker: str, *, synthetic: bool) -> ForecastRecord | None:
    """Return the forecast of the latest session, from synthetic or real prices, with fewer opened files than `read`."""
    if is_database(place):
        sessions = iter([[record_of(row) for _, row in read(place, ticker).iterrows()]])
    else:
        sessions = ledger_folder.sessions(place, ticker)
    for records in sessions:
        market = [one for one in records if one.synthetic == synthetic]
        if market:
            return max(market, key=lambda one: (one.session, one.created))
    return None


def head(place: str, ticker: str) -> LedgerHead | None:
    """Return the newest row of a ticker's chain, with its hash; None without one. Errors as of `read`."""
    link = ledger_table.newest_link(place, ticker) if is_database(place) else ledger_folder.newest_link(place, ticker)
    return link.head if link else None


def contents(place: str, ticker: str) -> Contents:
    """Return all that the ledger has of a ticker: its chain, and its rows. Errors as of `read`."""
    return ledger_table.contents(place, ticker) if is_database(place) else ledger_folder.contents(place, ticker)


def tickers(place: str) -> list[str]:
    """Return the tickers of the ledger, in order. Errors as of `read`."""
    return ledger_table.tickers(place) if is_database(place) else ledger_folder.tickers(place)
