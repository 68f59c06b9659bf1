"""Presumed closures: sessions that no ticker of a run had, one small file each, for the plans of later runs.

<store>/_closures/<calendar>-<source>/<session>.json
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import TYPE_CHECKING

from pipeline.store.folder import Folder

if TYPE_CHECKING:
    from pipeline.plan import Plan


def presumed_closures(store_url: str, calendar: str, source: str) -> tuple[dt.date, ...]:
    """Return the sessions that a source had of no ticker, ascending."""
    names = _folder(store_url, calendar, source).names()
    return tuple(dt.date.fromisoformat(name.removesuffix(".json")) for name in names if name.endswith(".json"))


def write_closures(store_url: str, plan: Plan, closed: Collection[dt.date]) -> None:
    """Keep what a run has found."""
    folder = _folder(store_url, plan.calendar, plan.source)
    for day in closed:
        folder.write(f"{day}.json", plan.model_dump_json(include={"dag_run_id", "created", "tickers"}).encode())


def remove_closures(store_url: str, plan: Plan, opened: Collection[dt.date]) -> None:
    """Remove sessions whose bars came later."""
    folder = _folder(store_url, plan.calendar, plan.source)
    for day in opened:
        if folder.exists(f"{day}.json"):
            folder.remove(f"{day}.json")


def _folder(store_url: str, calendar: str, source: str) -> Folder:
    return Folder(f"{store_url}/_closures/{calendar.replace('/', '-')}-{source}")  # 24/7 is a calendar
