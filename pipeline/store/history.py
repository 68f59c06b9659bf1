"""Past runs in the store, also those that older code planned: their plans are read field by field."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pipeline.errors import Damaged, StoreError, UsageError
from pipeline.outcome import Manifest
from pipeline.plan import folder_name
from pipeline.store import deleted
from pipeline.store.folder import Folder
from pipeline.store.formats import json_of
from pipeline.store.runs import run_folder

# They name the run and its data, and change every night. All other fields are parameters.
_NAMES = ("run", "dag_run_id", "created", "as_of", "tickers", "batch_size", "presumed_closures")


_SNAPSHOT = ("snapshot.json", "raw.parquet")  # the second of earlier versions


class PastRun(NamedTuple):
    """The plan of one run."""

    run: str  # name of its folder
    dag_run_id: str
    created: dt.datetime
    as_of: dt.date
    source: str
    preset: str
    fault: str  # "" without one
    until: str  # the last step: `compare` ends before promotion
    tickers: tuple[str, ...]
    parameters: Mapping[str, str]  # all other fields, such as "preset.epochs"

    def folder_of(self, store_url: str, ticker: str) -> Folder:
        """Return the folder of one ticker in this run."""
        return Folder(f"{store_url}/{ticker}/{self.as_of}/{self.run}")


def past_run(store_url: str, name: str) -> PastRun:
    """Return a run by its id in Airflow or by the name of its folder.

    Raises:
        UsageError: when the store has no such run.
        Damaged: when its plan cannot be read.
    """
    run = folder_name(name)
    folder = run_folder(store_url, run)
    if not folder.exists("plan.json"):
        raise UsageError(
            "A run must be in the store.", repr(name)[:80], "Look at `closecast runs`, and copy a name from it."
        )
    return _read(folder, run)


def past_runs(store_url: str) -> Iterator[PastRun]:
    """Yield all runs with a readable plan, in the order of their folders."""
    for name in Folder(f"{store_url}/_runs").names():
        folder = run_folder(store_url, name)
        try:
            yield _read(folder, name)
        except (Damaged, StoreError):
            continue  # a folder without a plan: the run ended before it had one


def newest_first(store_url: str) -> list[PastRun]:
    """Return all runs, the one planned last first."""
    return sorted(past_runs(store_url), key=lambda one: one.created, reverse=True)


def run_of_version(store_url: str, ticker: str, version: int) -> PastRun:
    """Return the run that registered a version; of several with that number, the latest.

    Raises:
        UsageError: when no run in the store registered it.
    """
    for day in reversed(Folder(f"{store_url}/{ticker}").names()):
        found = [run for run in runs_of(store_url, ticker, day) if version in _registered(store_url, ticker, run)]
        if found:
            return max(found, key=lambda one: one.created)
    raise UsageError(
        "A version must have been registered by a run in this store.",
        f"{ticker}@{version}",
        f"Look at `closecast champion show {ticker}`.",
    )


def run_of_snapshot(store_url: str, ticker: str, day: dt.date) -> PastRun:
    """Return the latest run that took a snapshot of a ticker as of a session.

    Raises:
        UsageError: when the store has no such snapshot.
    """
    runs = runs_of(store_url, ticker, str(day))
    found = [run for run in runs if any(map(run.folder_of(store_url, ticker).exists, _SNAPSHOT))]
    if found:
        return max(found, key=lambda one: one.created)
    for run in runs:
        deleted.require_kept(store_url, run.run, (ticker,))
    days = [name for name in Folder(f"{store_url}/{ticker}").names() if name < str(day)]
    hint = f"The last session before it is {days[-1]}." if days else f"The store has no earlier run of {ticker}."
    raise UsageError("A snapshot must be in the store.", f"{ticker}@{day}", hint)


def runs_of(store_url: str, ticker: str, day: str) -> list[PastRun]:
    """Return the runs of a ticker as of a session, if their plan can be read."""
    found = []
    for name in Folder(f"{store_url}/{ticker}/{day}").names():
        folder = run_folder(store_url, name)
        if folder.exists("plan.json"):
            found.append(_read(folder, name))
    return found


def _registered(store_url: str, ticker: str, run: PastRun) -> set[int]:
    """Return the versions that a unit registered, also one that was deleted since."""
    gone = deleted.read(store_url, run.run).units.get(ticker)
    if gone:
        return set(gone.versions)
    return registered_versions(run.folder_of(store_url, ticker).manifest("promote"))


def registered_versions(promoted: Manifest | None) -> set[int]:
    """Return the versions that a unit's step `promote` registered: its own, and the champion's that it continued."""
    if promoted is None or promoted.results is None:
        return set()
    effects = (promoted.results.released, promoted.results.continued)
    return {one.version for one in effects if one}


def _read(folder: Folder, run: str) -> PastRun:
    try:
        fields = json_of(folder.read("plan.json"))
        return PastRun(
            run=run,
            dag_run_id=str(fields["dag_run_id"]),
            created=dt.datetime.fromisoformat(fields["created"]),
            as_of=dt.date.fromisoformat(fields["as_of"]),
            source=str(fields["source"]),
            preset=str(fields["preset_name"]),
            fault=str(fields.get("fault") or ""),
            until=str(fields.get("until", "forecast")),
            tickers=tuple(fields["tickers"]),
            parameters=dict(_flat({name: value for name, value in fields.items() if name not in _NAMES})),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(
            "The plan of a run must be as it was written.",
            f"{folder.path('plan.json')}: {type(error).__name__}: {str(error)[:80]}",
            "Name another run.",
        ) from error


def _flat(fields: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield each value as text, by its path: ("preset.epochs", "80")."""
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", _text(value)


def _text(value: object) -> str:
    """Return a value as a reader writes it; "" for a value that is not set."""
    if value is None or value == []:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
