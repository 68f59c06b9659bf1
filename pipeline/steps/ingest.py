"""Step `ingest`: the snapshot of a ticker's prices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import DataError
from pipeline.outcome import Outcome
from pipeline.prices import snapshot
from pipeline.prices.comparison import compared_with
from pipeline.settings.currency import UNKNOWN

if TYPE_CHECKING:
    from pipeline.steps.unit import Unit


def ingest(unit: Unit) -> Outcome:
    """Take the snapshot: the prices up to `as_of` as the source has them now, and compare it with the last one."""
    quoted = snapshot.fetch(unit.ticker, unit.plan, unit.settings)
    raw = quoted.prices
    if raw.empty:
        raise DataError(
            f"The source must have prices of {unit.ticker} up to {unit.plan.as_of}.",
            f"no row since {unit.plan.start}" if unit.plan.start else "no row",
            "Take an earlier START, or a later AS_OF." if unit.plan.start else "Take a later AS_OF.",
        )
    before = snapshot.last_snapshot(unit.store_url, unit.ticker, unit.plan)
    compared = compared_with(before, unit.plan, quoted)
    kept = snapshot.keep(unit.ticker, raw, before.stored if before else None)
    last_known = quoted.currency or compared.last_currency
    record = snapshot.SnapshotRecord(quoted.currency, last_known, kept.name, kept.sha256)
    return Outcome(
        shared=kept.files,
        files={snapshot.FILE: record.to_json(), **compared.files},
        attach=(snapshot.FILE, *compared.files),
        tags={
            "source": unit.plan.source,
            "currency": quoted.currency or UNKNOWN,
            **({"fault": unit.plan.fault} if unit.plan.fault else {}),
            "data_sha256": kept.sha256,
            "first_session": str(raw.index[0].date()),
            **compared.tags,
        },
        metrics={"step/rows_raw": len(raw)},
        findings=compared.findings,
    )
