"""Unscheduled closures: sessions that no ticker of a universe has, found by comparing the last bars of its tickers.

One ticker without a bar may have been suspended, or its source is late. If several tickers have the session before and
no ticker has this one, the exchange did not open. A row without a price is no evidence: its source knows the session
and has not completed it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from pipeline.outcome import Bar, Finding
from pipeline.prices.clean import priced
from pipeline.prices.flags import LAST

if TYPE_CHECKING:
    from pipeline.outcome import Manifest
    from pipeline.plan import Plan

_SESSIONS = 20  # that are compared: older gaps stop no ticker
_WITNESSES = 2  # tickers that must have the session before
# Rules of the suite that a closure breaks.
_RULES = frozenset({"fresh", "missing_recent"})


def recent_bars(raw: pd.DataFrame, sessions: pd.DatetimeIndex) -> dict[dt.date, Bar]:
    """Return for each of the last 20 sessions whether `raw` has a price, a row without a price, or no row.

    Args:
        raw: a frame as `pipeline.prices.sources` describes it.
        sessions: the calendar's sessions up to `as_of`, ascending.
    """
    with_price = raw.index[priced(raw)]
    bars: dict[dt.date, Bar] = {}
    for session in sessions[-_SESSIONS:]:
        row: Bar = "empty" if session in raw.index else "none"
        bars[session.date()] = "price" if session in with_price else row
    return bars


def closures(universe: Sequence[Mapping[dt.date, Bar]]) -> tuple[dt.date, ...]:
    """Return the sessions, ascending, that no ticker has although two or more have the session before the gap.

    Args:
        universe: `recent_bars` of each ticker.
    """
    held = {session for bars in universe for session, bar in bars.items() if bar != "none"}
    found = []
    for session in sorted({session for bars in universe for session in bars} - held):
        before = max((one for one in held if one < session), default=None)
        witnesses = [bars for bars in universe if before and bars.get(before) == "price"]
        if len(witnesses) >= _WITNESSES:
            found.append(session)
    return tuple(found)


def explain(closed: Collection[dt.date], bars: Mapping[dt.date, Bar], findings: Sequence[Finding]) -> bool:
    """Return whether closures alone stopped a ticker.

    Args:
        closed: the closures.
        bars: `recent_bars` of the ticker.
        findings: of its checks.
    """
    broken = {finding.name for finding in findings if finding.severity == "critical"}
    if not broken or not broken <= _RULES:
        return False
    days = sorted(bars)
    newest = max((number for number, day in enumerate(days) if bars[day] == "price"), default=-1)
    judged = days[max(0, newest + 1 - LAST) :]  # the last sessions with or without a price, and those after
    return all(bars[day] == "price" or day in closed for day in judged)


def without_absent(sessions: pd.DatetimeIndex, presumed: Collection[dt.date], raw: pd.DataFrame) -> pd.DatetimeIndex:
    """Return `sessions` without the presumed closures that `raw` has no row of: a bar that came late is kept."""
    closed = pd.DatetimeIndex([pd.Timestamp(day) for day in sorted(presumed)])
    return sessions[~sessions.isin(closed) | sessions.isin(raw.index)]


def closure_finding(calendar: str, closed: Sequence[dt.date], tickers: int) -> Finding:
    """Return the message about closures that a run has found.

    Args:
        calendar: name of the exchange.
        closed: the sessions.
        tickers: number of tickers of the run.
    """
    days = ", ".join(str(day) for day in closed)
    return Finding(
        rule=f"{days} looks like an unscheduled closure of {calendar}",
        severity="warning",
        observed=f"no bar in any of {tickers:,} tickers, and bars of the session before",
        rows=tuple(str(day) for day in closed),
        todo="Nothing was filled in, and the next night goes on without it. If the exchange was open, run again when "
        f"the source has the bars. If it was closed, you may set CLOSECAST_CLOSED_SESSIONS={days.replace(' ', '')}.",
    )


class Closures(NamedTuple):
    """The unscheduled closures that the tickers of a run show together."""

    found: tuple[dt.date, ...] = ()  # sessions that no ticker has
    opened: tuple[dt.date, ...] = ()  # presumed closures whose bars have come
    stopped: frozenset[str] = frozenset()  # tickers that failed for this reason alone
    notice: Finding | None = None  # of those that earlier runs have not found


def of_run(planned: Plan, manifests: Mapping[str, Sequence[Manifest | None]]) -> Closures:
    """Compare the last bars of all tickers; a fault is the same for each ticker, and shows nothing.

    Args:
        planned: the run.
        manifests: of each ticker, one per step; None for a step that has not ended.
    """
    checked = {
        ticker: one.outcome for ticker, several in manifests.items() for one in several if one and one.outcome.bars
    }
    if planned.fault or not checked:
        return Closures()
    found = closures([outcome.bars for outcome in checked.values()])
    presumed = planned.presumed_closures
    held = {day for outcome in checked.values() for day, bar in outcome.bars.items() if bar != "none"}
    closed = {*found, *presumed} - held
    new = [day for day in found if day not in presumed or day == planned.as_of]
    explained = [ticker for ticker, one in checked.items() if explain(closed, one.bars, one.findings)]
    return Closures(
        found=found,
        opened=tuple(day for day in presumed if day in held),
        stopped=frozenset(explained if new else ()),
        notice=closure_finding(planned.calendar, new, len(checked)) if new else None,
    )
