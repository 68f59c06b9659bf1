"""The last runs in the store, one row each, with the verdict of all tickers or of one."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from typing import Literal, NamedTuple

from pipeline.reporting.closing import read_results
from pipeline.reporting.results import aggregate
from pipeline.store.history import PastRun, newest_first
from pipeline.store.runs import run_folder

State = Literal["done", "failed", "unfinished"]
STATES: tuple[State, ...] = ("done", "failed", "unfinished")
VERDICTS = (*STATES, "promoted", "refused")  # the last two: a ticker of the run was


class Filters(NamedTuple):
    """Which runs are wanted; an empty value wants all."""

    ticker: str = ""
    since: dt.date | None = None  # the first `as_of`
    verdict: str = ""  # one of VERDICTS
    preset: str = ""


class Listed(NamedTuple):
    """One run. With a filter for a ticker, counts and figures are of that ticker alone."""

    verdict: State
    run: str  # its id
    as_of: dt.date
    created: dt.datetime
    preset: str
    source: str
    fault: str
    tickers: int
    failed: int
    promoted: int
    refused: int
    skill: float | None  # median
    interval_skill_95: float | None  # median, beside the EWMA of closes
    coverage_95: float | None  # median


def last_runs(store_url: str, most: int, filters: Filters) -> list[Listed]:
    """Return the last runs that pass the filters, the one planned last first."""
    found = []
    for run in newest_first(store_url):
        if run.until != "forecast" or not _is_wanted(run, filters):
            continue
        listed = _listed(store_url, run, filters.ticker)
        if filters.verdict in {"", listed.verdict} or _was_decided(listed, filters.verdict):
            found.append(listed)
        if len(found) == most:
            break
    return found


def states(listed: Iterable[Listed]) -> dict[State, int]:
    """Return how many runs have each state."""
    counts = Counter(one.verdict for one in listed)
    return {state: counts[state] for state in STATES}


def _is_wanted(run: PastRun, filters: Filters) -> bool:
    return (
        (not filters.ticker or filters.ticker in run.tickers)
        and (filters.since is None or run.as_of >= filters.since)
        and filters.preset in {"", run.preset}
    )


def _was_decided(listed: Listed, decision: str) -> bool:
    """Return whether a ticker of the run has this decision."""
    decisions = {"promoted": listed.promoted, "refused": listed.refused}
    return decisions.get(decision, 0) > 0


def _listed(store_url: str, run: PastRun, ticker: str) -> Listed:
    folder = run_folder(store_url, run.run)
    ended = folder.exists("results.json")
    rows = read_results(folder) if ended else []
    rows = [one for one in rows if ticker in {"", one.ticker}]
    failed = sum(bool(one.reason) for one in rows)
    state: State = "failed" if failed else "done"
    figures = aggregate(rows)
    return Listed(
        verdict=state if ended else "unfinished",
        run=run.dag_run_id,
        as_of=run.as_of,
        created=run.created,
        preset=run.preset,
        source=run.source,
        fault=run.fault,
        tickers=1 if ticker else len(run.tickers),
        failed=failed,
        promoted=figures.promoted,
        refused=figures.refused,
        skill=figures.median_skill,
        interval_skill_95=figures.median_interval_skill_95,
        coverage_95=figures.median_coverage_95,
    )
