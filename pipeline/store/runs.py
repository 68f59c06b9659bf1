"""Layout of the store: the folders of units and runs, and the search for earlier ones.

<store>/<ticker>/<as_of>/<run>/     files of one unit
<store>/_runs/<run>/                files of a whole run: plan.json, results.json, report.html
<store>/_snapshots/<ticker>/        snapshots, which runs share: see pipeline.prices.archive
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from pydantic import ValidationError

from pipeline.errors import Damaged
from pipeline.plan import Plan
from pipeline.store.folder import Folder
from pipeline.store.formats import json_of


def unit_folder(store_url: str, ticker: str, plan: Plan) -> Folder:
    """Return the folder of one ticker in one run."""
    return Folder(f"{store_url}/{ticker}/{plan.as_of}/{plan.run}")


def run_folder(store_url: str, run: str) -> Folder:
    """Return the folder of a whole run. A ticker cannot start with an underscore."""
    return Folder(f"{store_url}/_runs/{run}")


def runs_in_progress(store_url: str, since: dt.datetime) -> list[str]:
    """Return the runs that were planned after `since`, an aware time, and have no results yet, sorted."""
    found = []
    for run in Folder(f"{store_url}/_runs").names():
        folder = run_folder(store_url, run)
        if folder.exists("results.json") or not folder.exists("plan.json"):
            continue
        created = dt.datetime.fromisoformat(str(json_of(folder.read("plan.json"))["created"]))
        if created > since:
            found.append(run)
    return found


def read_plan(store_url: str, run: str) -> Plan:
    """Return the plan of a run.

    Raises:
        StoreError: when it is missing.
        Damaged: when the file is not a plan.
    """
    folder = run_folder(store_url, run)
    try:
        return Plan.model_validate_json(folder.read("plan.json"))
    except ValidationError as error:
        raise Damaged(
            "The plan of a run must be as it was written.",
            f"{folder.path('plan.json')}: {error.error_count()} problem(s)",
            "Start a new run.",
        ) from error


class Reported(NamedTuple):
    """A run whose report was written."""

    run: str
    as_of: dt.date
    created: dt.datetime


class ReportedRuns:
    """The runs of one source that were reported, by ticker. Each plan is read once, however many tickers it has."""

    def __init__(self, store_url: str, source: str) -> None:
        self._store_url = store_url
        self._source = source
        self._known: dict[str, Reported | None] = {}

    def newest_first(self, ticker: str, closed: Collection[dt.date] = ()) -> Iterator[Reported]:
        """Yield the runs of a ticker: by session, and those of one session by the time of their plan.

        Runs with a fault and comparisons do not count.

        Args:
            ticker: of the unit.
            closed: sessions to leave out.
        """
        without = {str(day) for day in closed}
        for day in reversed(Folder(f"{self._store_url}/{ticker}").names()):
            if day in without:
                continue
            names = Folder(f"{self._store_url}/{ticker}/{day}").names()
            reported = [one for one in map(self._reported, names) if one]
            yield from sorted(reported, key=lambda one: one.created, reverse=True)

    def _reported(self, run: str) -> Reported | None:
        if run not in self._known:
            self._known[run] = self._read(run)
        return self._known[run]

    def _read(self, run: str) -> Reported | None:
        folder = run_folder(self._store_url, run)
        if not folder.exists("results.json"):  # it still runs, or was stopped
            return None
        plan = json_of(folder.read("plan.json"))  # as JSON: a plan of older code has other fields
        counts = plan["source"] == self._source and not plan.get("fault") and plan.get("until") != "evaluate"
        if not counts:
            return None
        return Reported(run, dt.date.fromisoformat(plan["as_of"]), dt.datetime.fromisoformat(plan["created"]))


def earlier_folders(store_url: str, plan: Plan, most: int = 30) -> dict[str, dict[dt.date, Folder]]:
    """Return each ticker's folders of the last `most` evaluated sessions before `plan.as_of`, oldest first.

    Only runs of the same source, preset, fault and last step count; of several in one session the one planned last.
    """
    wanted = plan.model_dump(mode="json", include={"source", "preset_name", "fault", "until"})
    known: dict[str, dict[str, Any]] = {}  # plan by run: several tickers share a run

    def alike(run: str) -> bool:
        if run not in known:
            place = run_folder(store_url, run)  # as JSON: a plan of older code has other fields
            known[run] = json_of(place.read("plan.json")) if place.exists("plan.json") else {}
        return bool(known[run]) and all(known[run].get(name, value) == value for name, value in wanted.items())

    found = {}
    for ticker in plan.tickers:
        newest_first: dict[dt.date, Folder] = {}
        days = [day for day in Folder(f"{store_url}/{ticker}").names() if day < str(plan.as_of)]
        for day in reversed(days):
            runs = Folder(f"{store_url}/{ticker}/{day}").names()
            runs = sorted(filter(alike, runs), key=lambda run: str(known[run]["created"]))
            folders = [Folder(f"{store_url}/{ticker}/{day}/{run}") for run in reversed(runs)]
            evaluated = next((folder for folder in folders if folder.exists("metrics.json")), None)
            if evaluated:
                newest_first[dt.date.fromisoformat(day)] = evaluated
            if len(newest_first) == most:
                break
        found[ticker] = dict(reversed(newest_first.items()))
    return found
