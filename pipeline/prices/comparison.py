"""The comparison of tonight's prices and currency with the last snapshot of the ticker."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from pipeline.outcome import Finding, Severity
from pipeline.prices.restatement import compare
from pipeline.settings.currency import UNKNOWN
from pipeline.store.formats import json_bytes

if TYPE_CHECKING:
    from pipeline.outcome import Answer
    from pipeline.plan import Plan
    from pipeline.prices.snapshot import Last
    from pipeline.prices.sources import Quoted

RESTATEMENT = "restatement.json"  # the comparison, in the folder of a unit
COMPARE = "Compare with another source; if the new history is right, run with ACCEPT_RESTATED=1."
_LOST_SHARE = 0.01
_ROWS_SHOWN = 10


class Compared(NamedTuple):
    """The comparison of a history with the last snapshot, for the step's outcome."""

    files: dict[str, bytes]
    tags: dict[str, str]
    findings: tuple[Finding, ...]
    last_currency: str = ""  # of the newest snapshot that named one


def compared_with(before: Last | None, plan: Plan, quoted: Quoted) -> Compared:
    """Return how prices and currency differ from the last snapshot that passed; empty without one."""
    raw = quoted.prices
    if before is None:
        return Compared({}, {}, ())
    then = before.prices
    found = compare(then, raw)
    last_currency = before.record.last_known
    others = _currency_findings(quoted.currency, last_currency, plan) + _lost_sessions(then, raw, plan)
    factor = found.factor if math.isfinite(found.factor) else None
    files = {RESTATEMENT: json_bytes({**found._asdict(), "factor": factor, "last_snapshot": before.folder.url})}
    if found.kind == "unchanged":
        return Compared(files, {"restatement": found.kind}, others, last_currency)
    unexplained = found.kind == "unexplained"
    # Sources often correct the newest bar of a night until the next one.
    revised = len(found.rows) == 1 and found.rows[0].startswith(str(then.index[-1].date()))
    settled = "Nothing: sources often correct the newest bar until the next night."
    refused = unexplained and not revised and not plan.accept_restated
    asks = refused and plan.ask_hours > 0
    severity: Severity = "critical" if refused else "warning"
    todo = {
        "explained": f"Multiply prices before {found.since} of older runs by {factor} to compare them with this run.",
        "basis": "Do not compare prices with those of older runs.",
        "unexplained": COMPARE,
    }
    finding = Finding(
        rule="Past prices should match the last snapshot, except for a split",
        severity="info" if asks else severity,  # `validate` judges it beside its own findings: see `judged`
        observed=found.reason,
        limit="the same closes" if unexplained else "",
        rows=found.rows,
        todo=settled if unexplained and revised else todo[found.kind],
        asks=asks,
    )
    return Compared(
        files, {"restatement": found.kind, "restatement.factor": str(factor)}, (finding, *others), last_currency
    )


def judged(found: Finding, answer: Answer | None, hours: float) -> Finding:
    """Return a restatement that a person may accept, by the answer: a warning if it was accepted, else critical.

    Args:
        found: as `compared_with` returns it.
        answer: None while there is none; the ticker waits then.
        hours: that the question waits.
    """
    if answer is None:
        todo = f"Accept or reject it on Airflow's page of required actions, within {hours:g} hours."
        return found.model_copy(update={"severity": "critical", "todo": todo})
    severity = "warning" if answer.accepted else "critical"
    todo = "Nothing: the new history was accepted." if answer.accepted else COMPARE
    changes = {"severity": severity, "observed": f"{found.observed}; {answer}", "todo": todo, "asks": False}
    return found.model_copy(update=changes)


def _currency_findings(now: str, then: str, plan: Plan) -> tuple[Finding, ...]:
    """Return a finding if the prices are in another currency than before, or in one that is unknown now."""
    if not then or now == then:
        return ()
    changed = Finding(
        rule="Prices must be in the currency of the last snapshot",
        severity="warning" if plan.accept_restated else "critical",
        observed=now,
        limit=then,
        todo="Correct CURRENCY or the source; if the new currency is right, run with ACCEPT_RESTATED=1.",
    )
    unknown = Finding(
        rule="The currency of the last snapshot should still be known",
        severity="warning",
        observed=UNKNOWN,
        limit=then,
        todo=f"Set CURRENCY={then}." if plan.source == "files" else "Nothing: amounts are shown without a currency.",
    )
    return (changed if now else unknown,)


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
