"""The differences between two snapshots of one ticker, in the words of a restatement."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.evaluation.amounts import same
from pipeline.prices.restatement import compare

_SHOWN = 10


class Change(NamedTuple):
    """One difference between two snapshots."""

    about: str  # "closes", "sessions" or the name of another column
    words: str  # one line
    rows: tuple[str, ...] = ()  # up to 10 sessions: "2019-01-02: 157.92 -> 39.5"


def changes(then: pd.DataFrame, now: pd.DataFrame) -> list[Change]:
    """Return the differences between two snapshots; empty if the frames are equal.

    Closes are compared as `restatement.compare` does. Where it explains the closes by a split or by dividends, the
    other columns have moved with them and are not listed.

    Args:
        then: the one snapshot, a frame as `pipeline.prices.sources` describes it.
        now: the other one, likewise.
    """
    found = []
    restated = compare(then, now)
    if restated.kind != "unchanged":
        found.append(Change("closes", restated.reason, restated.rows))
    found += _sessions(then, now)
    if restated.kind in {"unchanged", "unexplained"}:
        found += _other_columns(then, now)
    return found


def _sessions(then: pd.DataFrame, now: pd.DataFrame) -> list[Change]:
    """Return the sessions that one snapshot has and the other has not."""
    found = []
    for words, days in (("added", now.index.difference(then.index)), ("gone", then.index.difference(now.index))):
        if len(days):
            span = str(days[0].date()) if len(days) == 1 else f"{days[0].date()} to {days[-1].date()}"
            found.append(Change("sessions", f"{len(days):,} {words}: {span}"))
    return found


def _other_columns(then: pd.DataFrame, now: pd.DataFrame) -> list[Change]:
    found = []
    for name in sorted({*then.columns, *now.columns} - {"close"}):
        if name not in then.columns or name not in now.columns:
            found.append(Change(name, "added" if name in now.columns else "gone"))
            continue
        one = then.loc[~then.index.duplicated(), name]
        other = now.loc[~now.index.duplicated(), name]
        days = one.index.intersection(other.index)
        before = one.loc[days].to_numpy("float64")
        after = other.loc[days].to_numpy("float64")
        differs = np.flatnonzero(~same(before, after) & ~(np.isnan(before) & np.isnan(after)))
        if len(differs):
            rows = tuple(f"{days[row]:%Y-%m-%d}: {before[row]:.8g} -> {after[row]:.8g}" for row in differs[:_SHOWN])
            verb = "differs" if len(differs) == 1 else "differ"
            found.append(Change(name, f"{len(differs):,} of {len(days):,} sessions {verb}", rows))
    return found
