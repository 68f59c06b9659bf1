"""Names of every artefact, and atomic reading and writing of them: the only user of fsspec.

<store>/<ticker>/<as_of>/<run>/     what one unit keeps
<store>/_runs/<run>/                what belongs to a whole run: plan.json, results.json, report.html
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

from pydantic import ValidationError

from pipeline.errors import Damaged, StoreError
from pipeline.outcome import Manifest
from pipeline.plan import Plan
from pipeline.store.folder import Folder
from pipeline.store.formats import json_of

log = logging.getLogger("closecast")


def unit_folder(store_url: str, ticker: str, plan: Plan) -> Folder:
    """Return the folder of one ticker in one run."""
    return Folder(f"{store_url}/{ticker}/{plan.as_of}/{plan.run}")


def last_snapshot(store_url: str, ticker: str, plan: Plan) -> Folder | None:
    """Return the folder of the newest snapshot before `plan.as_of` that passed validation, None when there is none.

    Of the same source, and never one with a fault: the next night would not fit it.
    """
    for day in reversed(Folder(f"{store_url}/{ticker}").names()):
        if day >= str(plan.as_of):
            continue
        passed = []
        for run in Folder(f"{store_url}/{ticker}/{day}").names():
            folder = Folder(f"{store_url}/{ticker}/{day}/{run}")
            ingested, validated = folder.manifest("ingest"), folder.manifest("validate")
            if ingested and validated and not validated.failed:
                tags = ingested.outcome.tags
                if tags.get("source") == plan.source and "fault" not in tags and _is_whole(folder, ingested):
                    passed.append((validated.started, folder))
        if passed:
            return max(passed)[1]
    return None


def _is_whole(folder: Folder, ingested: Manifest) -> bool:
    try:
        folder.read_written("raw.parquet", ingested)
    except (Damaged, StoreError) as error:
        log.warning("A snapshot is left out: %s", error)
        return False
    return True


def run_folder(store_url: str, run: str) -> Folder:
    """Return the folder of what belongs to a whole run. No ticker can start with an underscore."""
    return Folder(f"{store_url}/_runs/{run}")


def read_plan(store_url: str, run: str) -> Plan:
    """Return the plan of a run.

    Raises:
        StoreError: when there is none.
        Damaged: when it cannot be read as a plan.
    """
    folder = run_folder(store_url, run)
    try:
        return Plan.model_validate_json(folder.read("plan.json"))
    except ValidationError as error:
        raise Damaged(
            "A run's plan must be as it was written.",
            f"{folder.path('plan.json')}: {error.error_count()} problem(s)",
            "Start a new run.",
        ) from error


def earlier_folders(store_url: str, plan: Plan, most: int = 30) -> dict[str, dict[dt.date, Folder]]:
    """Return each ticker's folders of the last `most` sessions before `plan.as_of` that a run was evaluated for.

    Oldest first. Only runs of the same source, preset, fault and last step count; of several the one planned last.
    """
    wanted = plan.model_dump(mode="json", include={"source", "preset_name", "fault", "until"})
    known: dict[str, dict[str, Any]] = {}  # plans, by run: one run has many tickers

    def alike(run: str) -> bool:
        if run not in known:
            place = run_folder(store_url, run)  # read without its class: a plan of older code has other fields
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
