"""Step `validate`: prices of sessions only, judged by Great Expectations."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from pipeline import calendar
from pipeline.errors import DataError
from pipeline.outcome import Finding, Outcome
from pipeline.prices import closures
from pipeline.prices.clean import clean
from pipeline.prices.comparison import judged
from pipeline.store.formats import frame_bytes

if TYPE_CHECKING:
    from pipeline.plan import Plan
    from pipeline.steps.unit import Unit


def validate(unit: Unit) -> Outcome:
    """Remove rows without a price or a session, and check the rest. A critical finding ends the unit here."""
    from pipeline.prices import suite as checks

    early = rows_before_calendar(unit.raw, unit.plan.calendar)
    raw = unit.raw[len(early) :]
    expected, sessions = sessions_of(raw, unit.plan)
    cleaned = clean(raw, sessions)
    checked = checks.check(
        unit.ticker,
        raw,
        cleaned,
        unit.suite,
        as_of=unit.plan.as_of,
        min_sessions=unit.plan.min_sessions,
        max_jump=unit.plan.max_jump,
        sessions=sessions,
    )
    outcome = Outcome(
        files={"validation.html": checked.page, "validation.json": checked.result},
        attach=("validation.html", "validation.json"),
        metrics={
            **{f"quality.{name}": count for name, count in checked.offending.items()},
            "sessions": cleaned.prices.index.nunique(),
            "quality.removed_without_price": len(cleaned.without_price),
            "quality.removed_no_session": len(cleaned.no_session),
        },
        tags=unit.answer.tags if unit.answer else {},
        bars=closures.recent_bars(raw, expected),
        findings=(*checked.findings, *_early_finding(early, unit.plan.calendar), *_restatement(unit)),
    )
    if outcome.failed:
        return outcome
    return outcome.model_copy(
        update={
            "files": {**outcome.files, "validated.parquet": frame_bytes(cleaned.prices)},
            "dataset": "validated.parquet",
        }
    )


def _restatement(unit: Unit) -> tuple[Finding, ...]:
    """Return the restatement that `ingest` found and a person may accept, judged by the answer."""
    ingested = unit.manifests["ingest"]
    found = ingested.outcome.findings if ingested else ()
    return tuple(judged(one, unit.answer, unit.plan.ask_hours) for one in found if one.asks)


class Sessions(NamedTuple):
    """The sessions of a history."""

    expected: pd.DatetimeIndex  # by the calendar and the settings
    known: pd.DatetimeIndex  # without the presumed closures


def sessions_of(raw: pd.DataFrame, plan: Plan) -> Sessions:
    """Return the sessions from the first row of a snapshot to the night."""
    expected = calendar.sessions(plan.calendar, raw.index[0].date(), plan.as_of, plan.closed_sessions)
    return Sessions(expected, closures.without_absent(expected, plan.presumed_closures, raw))


def rows_before_calendar(raw: pd.DataFrame, name: str) -> pd.DatetimeIndex:
    """Return the days of the rows before the calendar's first session.

    Raises:
        DataError: when there are no others.
    """
    first = calendar.first_known_session(name)
    early = pd.DatetimeIndex(raw.index[raw.index < str(first)])
    if len(early) == len(raw):
        raise DataError(
            f"Prices must lie on the calendar {name}, which begins on {first}.",
            f"{len(early):,} rows, the last on {early[-1].date()}",
            "Use a later AS_OF, or a calendar that begins earlier.",
        )
    return early


def _early_finding(early: pd.DatetimeIndex, name: str) -> tuple[Finding, ...]:
    if early.empty:
        return ()
    first = calendar.first_known_session(name)
    return (
        Finding(
            rule=f"Every row should lie on the calendar {name}, which begins on {first}",
            severity="warning",
            observed=f"{len(early):,} rows before it, the first on {early[0].date()}",
            limit="0 before it",
            todo=f"These rows were removed. Set START={first} to leave them out without this message.",
        ),
    )
