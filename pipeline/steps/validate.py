"""Step `validate`: prices of sessions only, judged by Great Expectations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline import calendar
from pipeline.outcome import Outcome
from pipeline.store.formats import frame_bytes, frame_of

if TYPE_CHECKING:
    from pipeline.steps.unit import Unit


def validate(unit: Unit) -> Outcome:
    """Remove rows without a price or a session, and check the rest. A critical finding ends the unit here."""
    from pipeline.prices import suite as checks
    from pipeline.prices.clean import clean

    raw = frame_of(unit.read("raw.parquet"))
    sessions = calendar.sessions(unit.plan.calendar, raw.index[0].date(), unit.plan.as_of)
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
        findings=checked.findings,
    )
    if outcome.failed:
        return outcome
    return outcome.model_copy(
        update={
            "files": {**outcome.files, "validated.parquet": frame_bytes(cleaned.prices)},
            "dataset": "validated.parquet",
        }
    )
