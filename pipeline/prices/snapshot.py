"""The snapshot of one ticker: taken from its source, compared with the last one."""

from __future__ import annotations

import math
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
    """What became of the history that the last snapshot told."""

    files: dict[str, bytes]
    tags: dict[str, str]
    findings: tuple[Finding, ...]


def fetch(ticker: str, plan: Plan, settings: Settings) -> pd.DataFrame:
    """Return the prices of `ticker` up to `plan.as_of`, from the plan's source as it has them now.

    Raises:
        DataError: the source has none, or none that can be read.
        Unavailable: the source does not answer.
    """
    if plan.source == "yahoo":
        from pipeline.prices.sources import yahoo

        cache = settings.var_dir / "cache" / "yfinance"
        return yahoo.fetch(ticker, plan.start, plan.as_of, cache_dir=cache, timeout=settings.yahoo_timeout)
    if plan.source == "files":
        from pipeline.prices.sources import files

        assert plan.prices is not None  # noqa: S101 - a plan with source `files` has it
        return files.fetch(ticker, plan.start, plan.as_of, path=plan.prices)
    from pipeline.prices.sources import faults, sample

    market = sample.fetch(ticker, plan.start, plan.as_of, calendar=plan.calendar)
    return faults.inject(market, plan.fault, calendar=plan.calendar) if plan.fault else market


def compared_with_last(ticker: str, plan: Plan, settings: Settings, raw: pd.DataFrame) -> Compared:
    """Compare `raw` with the last snapshot that passed, if there is one."""
    before = last_snapshot(settings.store_url, ticker, plan)
    if before is None:
        return Compared({}, {}, ())
    then = frame_of(before.read("raw.parquet"))
    found, lost = compare(then, raw), _lost(then, raw, plan)
    factor = found.factor if math.isfinite(found.factor) else None
    files = {"restatement.json": json_bytes({**found._asdict(), "factor": factor, "last_snapshot": before.url})}
    if found.kind == "unchanged":
        return Compared(files, {"restatement": found.kind}, lost)
    unexplained = found.kind == "unexplained"
    # The newest bar of a night is often corrected by the next one.
    revised = len(found.rows) == 1 and found.rows[0].startswith(str(then.index[-1].date()))
    todo = {
        "explained": f"Dollars before {found.since} of older runs are {factor} times as many now.",
        "basis": "Do not compare dollars with those of older runs.",
        "unexplained": "Compare with another source; if the new history is right, run with ACCEPT_RESTATED=1.",
    }
    finding = Finding(
        rule="The history should be that of the last snapshot, but for a split",
        severity="critical" if unexplained and not revised and not plan.accept_restated else "warning",
        observed=found.reason,
        limit="the same closes" if unexplained else "",
        rows=found.rows,
        todo=todo[found.kind],
    )
    return Compared(files, {"restatement": found.kind, "restatement.factor": str(factor)}, (finding, *lost))


def _lost(then: pd.DataFrame, now: pd.DataFrame, plan: Plan) -> tuple[Finding, ...]:
    """Return a finding when more than 1 % of the sessions of the last snapshot are gone."""
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
            todo="Look whether the source delivers all it had; what is gone is not trained on.",
        ),
    )
