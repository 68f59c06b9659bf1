"""Airflow's assets: one per ticker, with the session as partition. A DAG that waits for them runs once per session.

Airflow emits an event for each outlet of a task that succeeds, and names the partition of an event only if the task
does. So `announce` declares the assets of all tickers, which makes them known to Airflow, and at run time keeps those
whose forecast is in.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk import Asset

from pipeline.errors import UsageError
from pipeline.plan import Plan, universe

if TYPE_CHECKING:
    from pipeline.settings import Settings


class Session(NamedTuple):
    """The tickers of one session that DAGs may rely on."""

    as_of: dt.date
    tickers: tuple[str, ...]

    @property
    def partition(self) -> str:
        """Return the partition of the session, such as "2025-11-21"."""
        return self.as_of.isoformat()


def asset_of(ticker: str) -> Asset:
    """Return the asset of a ticker: its forecast in the ledger."""
    return Asset(f"closecast-{ticker}")


def assets_of_universe(settings: Settings) -> list[Asset]:
    """Return the assets of the tickers of the settings; empty where those are wrong, which `plan` reports."""
    try:
        return [asset_of(ticker) for ticker in universe(settings)]
    except UsageError:
        return []


def forecast_session(settings: Settings, plan: Plan) -> Session:
    """Return the tickers whose forecast of this run is in the ledger."""
    from pipeline.store.runs import unit_folder

    tickers = []
    for ticker in plan.tickers:
        manifest = unit_folder(settings.store_url, ticker, plan).manifest("forecast")
        if manifest and manifest.results and manifest.results.recorded:
            tickers.append(ticker)
    return Session(plan.as_of, tuple(tickers))


def without_event(session: Session) -> list[str]:
    """Return the tickers for which Airflow has no event of this session yet. Call it in a task."""
    from airflow.sdk.execution_time.context import InletEventsAccessors

    assets = [asset_of(ticker) for ticker in session.tickers]
    events = InletEventsAccessors(assets)
    # An event of a session is younger than the session: this spares those of all sessions before it.
    since = f"{session.partition}T00:00:00+00:00"
    return [
        ticker
        for ticker, asset in zip(session.tickers, assets, strict=True)
        if session.partition not in {event.partition_key for event in events[asset].after(since)}
    ]


def emit(context: Mapping[str, Any], tickers: Sequence[str], partition: str) -> None:
    """Have Airflow emit one event per ticker, and no other, when the task of this context succeeds."""
    outlets = [asset_of(ticker) for ticker in tickers]
    context["ti"].task.outlets = outlets
    for asset in outlets:
        context["outlet_events"][asset].add_partitions(partition)
