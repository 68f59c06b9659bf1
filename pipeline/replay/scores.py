"""The ledgers of a finished replay, and the scores of its forecasts beside the closes that came."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.evaluation import live
from pipeline.replay.folder import Part, Request, content_of, parts
from pipeline.replay.night import REFERENCE, Contender
from pipeline.replay.training import GroupFile
from pipeline.replay.work import group_folder, known_of
from pipeline.reporting.replayed import Replayed, Scored
from pipeline.serving.ledger_frame import frame
from pipeline.steps import live_record
from pipeline.store.folder import Folder
from pipeline.store.formats import frame_bytes

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.settings import Settings


def replayed_of(home: Path, request: Request, settings: Settings) -> Replayed:
    """Write the ledger of each contender and ticker, and return the result of a replay whose nights are all done."""
    plan = request.plan
    scored = []
    found: list[Part] = []
    for ticker in plan.tickers:
        done = parts(home, ticker, len(request.nights))
        closes = _closes(home, request, ticker, settings)
        scored += [_scored(home, request, ticker, one, done, closes) for one in request.contenders]
        found += done
    from_snapshots = sum(one.from_snapshots for one in found)
    skipped = sum(one.skipped for one in found)
    return Replayed(
        first=request.nights[0],
        last=request.nights[-1],
        nights=len(request.nights),
        every=request.every,
        tickers=plan.tickers,
        preset=plan.preset_name,
        synthetic=plan.synthetic,
        shares_network=plan.shares_network,
        policies=tuple(one.name for one in request.contenders if one.name == one.policy),
        scored=tuple(scored),
        from_snapshots=from_snapshots,
        from_history=len(request.nights) * len(plan.tickers) - from_snapshots - skipped,
        skipped=skipped,
        checked=sum(one.checked for one in found),
        leak=_leak_of_trainings(home, request) or next((one.leak for one in found if one.leak), ""),
        started=request.started,
    )


def _leak_of_trainings(home: Path, request: Request) -> str:
    for group, nights in request.trainings.items():
        for night in nights:
            file = content_of(group_folder(home, group), f"{night}.json", GroupFile)
            if file.leak:
                return file.leak
    return ""


def _closes(home: Path, request: Request, ticker: str, settings: Settings) -> pd.Series[float]:
    """Return the closes as the last night with a price knew them."""
    known = known_of(home, request, ticker, settings)
    prices = next(found for night in reversed(request.nights) if (found := known.at(night)))
    closes: pd.Series[float] = prices.frame["close"].astype("float64")
    return closes


def _scored(
    home: Path, request: Request, ticker: str, contender: Contender, done: Sequence[Part], closes: pd.Series[float]
) -> Scored:
    name = contender.name
    written = frame([record for part in done for record in part.records[name]])
    Folder(str(home / "ledger" / name)).write(f"{ticker}.parquet", frame_bytes(written))
    rows = live_record.scored(written, closes, request.plan, request.currencies[ticker])
    summary = live.summary(rows, len(closes))
    decisions = [decision for part in done for decision in part.decisions[name]]
    trained = [one for one in decisions if one.trained]
    if not contender.retrains:
        trained = trained[:1]
    promoted = sum(one.promoted for one in trained)
    return Scored(
        contender=name,
        ticker=ticker,
        forecasts=len(written),
        trained=len(trained),
        promoted=promoted,
        refused=0 if name == REFERENCE else len(trained) - promoted,
        live_skill=_number(summary.skill) if summary else None,
        interval_skill_95=_number(summary.interval_skill_95) if summary else None,
        coverage_95=summary.coverage_95 if summary else None,
        rows=rows,
    )


def _number(score: float) -> float | None:
    return score if score == score else None  # noqa: PLR0124 - NaN is not equal to itself
