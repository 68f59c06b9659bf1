"""The snapshots of the store: the newest one of each ticker, beside earlier ones and the close of its last session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from pipeline import calendar
from pipeline.errors import UsageError
from pipeline.prices.restatement import compare
from pipeline.prices.snapshot import read
from pipeline.store.folder import Folder
from pipeline.store.runs import read_plan

if TYPE_CHECKING:
    from pipeline.outcome import Manifest
    from pipeline.plan import Plan

_MOST = 20  # earlier snapshots that the newest one is compared with


class Snapshot(NamedTuple):
    """The raw prices of one run."""

    ticker: str
    run: str
    ingested: Manifest
    prices: pd.DataFrame


def snapshots(store_url: str, ticker: str) -> list[Snapshot]:
    """Return the newest snapshots of a ticker, oldest first, without those of runs with a fault."""
    found: list[Snapshot] = []
    days = Folder(f"{store_url}/{ticker}")
    for day in reversed(days.names()):
        for run in Folder(days.path(day)).names():
            folder = Folder(f"{days.path(day)}/{run}")
            ingested = folder.manifest("ingest")
            if ingested is None or ingested.failed or "fault" in ingested.outcome.tags:
                continue
            if not _is_accepted(folder, ingested):
                continue
            found.append(Snapshot(ticker, run, ingested, read(store_url, ticker, folder, ingested).prices))
        if len(found) > _MOST:
            break
    return sorted(found, key=lambda one: (one.prices.index[-1], one.ingested.started))


def _is_accepted(folder: Folder, ingested: Manifest) -> bool:
    """Return whether no person was asked about the snapshot, or the person accepted it."""
    validated = folder.manifest("validate")
    asked = any(finding.asks for finding in ingested.outcome.findings)
    return not asked or (validated is not None and not validated.failed)


def newest(store_url: str, tickers: Sequence[str]) -> tuple[Plan, dict[str, pd.DataFrame], str]:
    """Return the oldest plan among the newest snapshots, the prices up to it, and the leak that the snapshots show.

    Raises:
        UsageError: when a ticker has no snapshot.
    """
    leak = ""
    last = {}
    for ticker in tickers:
        several = snapshots(store_url, ticker)
        if not several:
            raise UsageError(
                "`closecast leaks` looks at the newest snapshot of each ticker.",
                f"no snapshot of {ticker} in the store",
                f"Make one: closecast run --tickers {ticker}.",
            )
        last[ticker] = several[-1]
        leak = leak or snapshot_leak(several, read_plan(store_url, several[-1].run).calendar)
    plans = [read_plan(store_url, one.run) for one in last.values()]
    plan = min(plans, key=lambda one: one.as_of)
    prices = {ticker: one.prices[one.prices.index <= pd.Timestamp(plan.as_of)] for ticker, one in last.items()}
    return plan, prices, leak


def snapshot_leak(several: Sequence[Snapshot], exchange: str) -> str:
    """Return why the newest snapshot differs from the prices of its night; "" when it does not.

    Args:
        several: of one ticker, oldest first.
        exchange: name of the calendar.
    """
    now = several[-1]
    newest_session = now.prices.index[-1]
    close = calendar.closes_at(exchange, pd.DatetimeIndex([newest_session])).iloc[0]
    if now.ingested.started < close:
        taken = f"{now.ingested.started:%Y-%m-%d %H:%M} UTC"
        return (
            f"{now.ticker} the bar of {newest_session.date()} is unfinished: it was taken at {taken}, before the close"
        )
    for then in several[:-1]:
        found = compare(then.prices, now.prices)
        corrected = len(found.rows) == 1 and found.rows[0].startswith(str(then.prices.index[-1].date()))
        if found.kind == "unexplained" and not corrected:
            rows = "; ".join(found.rows[:1])
            return f"{now.ticker} the past was restated since {then.prices.index[-1].date()}: {rows or found.reason}"
    return ""
