"""The prices of a unit: where they come from, and whether they can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline import calendar, snapshot
from pipeline.errors import DataError
from pipeline.outcome import Outcome
from pipeline.store import frame_bytes, frame_of, sha256

if TYPE_CHECKING:
    from pipeline.steps.unit import Unit


def ingest(unit: Unit) -> Outcome:
    """Take the snapshot: the prices up to `as_of` as the source has them now, and compare it with the last one."""
    raw = snapshot.fetch(unit.ticker, unit.plan, unit.settings)
    if raw.empty:
        raise DataError(
            f"The source must have prices of {unit.ticker} up to {unit.plan.as_of}.",
            "none" + (f" since {unit.plan.start}" if unit.plan.start else ""),
            "Take an earlier START, or a later AS_OF.",
        )
    data = frame_bytes(raw)
    restated, tags, findings = snapshot.compared_with_last(unit.ticker, unit.plan, unit.settings, raw)
    return Outcome(
        files={"raw.parquet": data, **restated},
        attach=tuple(restated),
        tags={
            "source": unit.plan.source,
            **({"fault": unit.plan.fault} if unit.plan.fault else {}),
            "data_sha256": sha256(data),
            "first_session": str(raw.index[0].date()),
            **tags,
        },
        metrics={"rows/raw": len(raw)},
        findings=findings,
    )


def validate(unit: Unit) -> Outcome:
    """Remove what is no price of a session, and let Great Expectations judge; a critical finding ends the unit here."""
    from pipeline import validate as checks
    from pipeline.clean import clean

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
