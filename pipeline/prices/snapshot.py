"""The snapshot of one ticker: fetched from its source and compared with the last one."""

from __future__ import annotations

import math
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from pipeline.outcome import Finding
from pipeline.prices.restatement import compare
from pipeline.store.formats import frame_of, json_bytes
from pipeline.store.runs import last_snapshot

if TYPE_CHECKING:
    from pipeline.plan import Plan
    from pipeline.settings import Settings


_LOST_SHARE = 0.01
_ROWS_SHOWN = 10


class Compared(NamedTuple):
    """The comparison of a history with the last snapshot, for the step's outcome."""

    files: dict[str, bytes]
    tags: dict[str, str]
    findings: tuple[Finding, ...]


def fetch(ticker: str, plan: Plan, settings: Settings) -> pd.DataFrame:
    """Return the prices of `ticker` up to `plan.as_of`, from the plan's source as it has them now.

    Raises:
        DataError: the source has no prices, or prices that cannot be read.
        Unavailable: the source does not answer.
    """
    source = import_module(f"pipeline.prices.sources.{plan.source}")  # each loads libraries of its own
    frame: pd.DataFrame = source.fetch_planned(ticker, plan, settings)
    return frame


def compared_with_last(ticker: str, plan: Plan, settings: Settings, raw: pd.DataFrame) -> Compared:
    """Return how `raw` differs from the last snapshot that passed; empty without one."""
    before = last_snapshot(settings.store_url, ticker, plan)
    if before is None:
        return Compared({}, {}, ())
    then = frame_of(before.read("raw.parquet"))
    found = compare(then, raw)
    lost = _lost_sessions(then, raw, plan)
    factor = found.factor if math.isfinite(found.factor) else None
    files = {"restatement.json": json_bytes({**found._asdict(), "factor": factor, "last_snapshot": before.url})}
    if found.kind == "unchanged":
        return Compared(files, {"restatement": found.kind}, lost)
    unexplained = found.kind == "unexplained"
    # Sources often correct the newest bar of a night until the next one.
    revised = len(found.rows) == 1 and found.rows[0].startswith(str(then.index[-1].date()))
    todo = {
        "explained": f"Multiply prices before {found.since} of older runs by {factor} to compare them with this run.",
        "basis": "Do not compare prices with those of older runs.",
        "unexplained": "Compare with another source; if the new history is right, run with ACCEPT_RESTATED=1.",
    }
    finding = Finding(
        rule="Past prices should match the last snapshot, except for a split",
        severity="critical" if unexplained and not revised and not plan.accept_restated else "warning",
        observed=found.reason,
        limit="the same closes" if unexplained else "",
        rows=found.rows,
        todo=todo[found.kind],
    )
    return Compared(files, {"restatement": found.kind, "restatement.factor": str(factor)}, (finding, *lost))


def _lost_sessions(then: pd.DataFrame, now: pd.DataFrame, plan: Plan) -> tuple[Finding, ...]:
    """Return a finding if more than 1 % of the sessions of the last snapshot are gone."""
    had = then.index[then["close"].notna()]
    if plan.start:
        had = had[had >= pd.Timestamp(plan.start)]
    gone = had.difference(now.index[now["close"].notna()])
    if len(gone) <= _LOST_SHARE * len(had):
        return ()
    return (
        Finding(
            rule="The history should still have the sessions of the last snapshot",
            severity="warning",
            observed=f"{len(gone):,} of {len(had):,} are gone, the last on {gone[-1].date()}",
            limit=f"at most {_LOST_SHARE:.0%} gone",
            rows=tuple(str(day.date()) for day in gone[-_ROWS_SHOWN:]),
            todo="Check whether the source delivers its whole history; training uses only the rest.",
        ),
    )
