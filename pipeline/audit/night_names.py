"""The night that a name means: a run, a version such as NFLX@3, or the ledger's row of a session, NFLX@2025-11-21."""

from __future__ import annotations

import datetime as dt
import re
from typing import NamedTuple

from pipeline.errors import UsageError
from pipeline.plan import checked_tickers
from pipeline.reporting.sides import side
from pipeline.serving import ledger
from pipeline.store.deleted import require_kept
from pipeline.store.folder import Folder
from pipeline.store.history import PastRun, runs_of

_ROW = re.compile(r"([^@]+)@(\d{4}-\d{2}-\d{2})")


class Named(NamedTuple):
    """A run, and those of its tickers that the name means."""

    run: PastRun
    tickers: tuple[str, ...]


def named(store_url: str, ledger_place: str, name: str) -> Named:
    """Return the night that a name means.

    Args:
        store_url: the store.
        ledger_place: the ledger, whose rows name nights that were deleted.
        name: of a run, a version or a row.

    Raises:
        UsageError: when the name is of no known form, the store has no such night, or the night was deleted.
    """
    if row := _ROW.fullmatch(name):
        ticker = checked_tickers((row[1],))[0]
        return Named(_run_of_row(store_url, ledger_place, ticker, row[2]), (ticker,))
    found = side(store_url, name)
    require_kept(store_url, found.run.run, found.tickers)
    return Named(found.run, found.tickers)


def _run_of_row(store_url: str, ledger_place: str, ticker: str, day: str) -> PastRun:
    """Return the run that wrote the forecast of a session; of several, the latest.

    The runs are searched, not the ledger: a changed row must not hide its run.
    """
    session = _session(ticker, day)
    for as_of in reversed([name for name in Folder(f"{store_url}/{ticker}").names() if name < day]):
        found = [run for run in runs_of(store_url, ticker, as_of) if _wrote(store_url, ticker, run, session)]
        if found:
            return max(found, key=lambda one: one.created)
    rows = ledger.read(ledger_place, ticker)
    for run in rows.loc[rows["session"] == day, "run"]:
        require_kept(store_url, run, (ticker,))
    raise UsageError(
        "A row of the ledger must be of a run in this store.",
        f"{ticker}@{day}: no run has written a forecast of that session",
        "The date of a row is the session of its forecast: `closecast forecast` shows it.",
    )


def _session(ticker: str, day: str) -> dt.date:
    try:
        return dt.date.fromisoformat(day)
    except ValueError:
        raise UsageError("A session is a date.", f"{ticker}@{day}", "Write such as NFLX@2025-11-21.") from None


def _wrote(store_url: str, ticker: str, run: PastRun, session: dt.date) -> bool:
    forecast = run.folder_of(store_url, ticker).manifest("forecast")
    recorded = forecast.results.recorded if forecast and forecast.results else None
    return recorded is not None and recorded.session == session and recorded.run == run.run
