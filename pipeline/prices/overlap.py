"""The overlap of two snapshots of one ticker: the sessions with a price in both, and each side's rounding."""

from __future__ import annotations

import datetime as dt
import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.arrays import Bools, Floats
from pipeline.evaluation.amounts import SLACK

# Two downloads of one price differ by half a unit of each one's last decimal and, in real files, by up to 9e-7 of the
# price beside it: sources compute with float32. An altered cent is 5e-6 of a price of 2,000.
_RELATIVE = 5e-6
_FEWEST_DECIMALS = 4  # a source with fewer gets no more slack: half a cent would hide real changes of low prices
_MOST_DECIMALS = 6  # both for closes above 0.1: each power of ten below it adds one


class Overlap(NamedTuple):
    """The sessions with a price in both snapshots, ascending; the frames hold these rows only."""

    sessions: pd.DatetimeIndex
    then: pd.DataFrame
    now: pd.DataFrame
    closes_then: Floats
    closes_now: Floats
    rounding_then: float  # in the currency of the closes
    rounding_now: float
    after: dt.date  # the first session later than all of these

    @property
    def ratio(self) -> Floats:
        """Price now / price then, shape (len(sessions),)."""
        return self.closes_now / self.closes_then

    @property
    def slack(self) -> Floats:
        """Largest relative error of `ratio` that rounding explains, shape (len(sessions),)."""
        return _RELATIVE + self.rounding_now / self.closes_now + self.rounding_then / self.closes_then

    def differs_from(self, factors: Floats | float) -> Bools:
        """Return the rows in which price now is not `factors` times price then."""
        allowed = _RELATIVE * self.closes_now + self.rounding_now + factors * self.rounding_then
        return np.asarray(np.abs(self.closes_now - factors * self.closes_then) > allowed)


def find_overlap(then: pd.DataFrame, now: pd.DataFrame) -> Overlap:
    """Return the sessions of two snapshots that can be compared.

    A close that is missing, infinite or not above 0 does not count. Of a repeated session the first such row counts.
    """
    usable_then = _usable_rows(then)
    usable_now = _usable_rows(now)
    sessions = pd.DatetimeIndex(usable_then.index.intersection(usable_now.index))
    both_then = usable_then.loc[sessions]
    both_now = usable_now.loc[sessions]
    closes_then = both_then["close"].to_numpy("float64")
    closes_now = both_now["close"].to_numpy("float64")
    return Overlap(
        sessions=sessions,
        then=both_then,
        now=both_now,
        closes_then=closes_then,
        closes_now=closes_now,
        rounding_then=rounding(closes_then),
        rounding_now=rounding(closes_now),
        after=_first_session_after(sessions, now),
    )


def rounding(closes: Floats) -> float:
    """Return half a unit of the last decimal that nearly all of the closes share."""
    usual = float(np.median(closes)) if len(closes) else 1.0
    more = max(0, -1 - math.floor(math.log10(usual))) if 0 < usual < math.inf else 0
    for decimals in range(_FEWEST_DECIMALS + more, _MOST_DECIMALS + more):
        if np.isclose(closes, np.round(closes, decimals), rtol=SLACK, atol=0).sum() > 0.9 * len(closes):
            return 0.5 * 10.0**-decimals
    return 0.5 * 10.0 ** -(_MOST_DECIMALS + more)


def _usable_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with a price, one per session."""
    if "close" not in frame.columns:
        return pd.DataFrame({"close": []}, index=pd.DatetimeIndex([]), dtype="float64")
    closes = frame["close"].to_numpy("float64")
    rows: pd.DataFrame = frame[np.isfinite(closes) & (closes > 0)]
    first: pd.DataFrame = rows[~rows.index.duplicated()]
    return first


def _first_session_after(sessions: pd.DatetimeIndex, now: pd.DataFrame) -> dt.date:
    """Return the first row of `now` after `sessions`, or the day after them where `now` has no later row."""
    if not len(sessions):
        return dt.date.max
    later = now.index[now.index > sessions[-1]]
    following: pd.Timestamp = later.min() if len(later) else sessions[-1] + pd.Timedelta(days=1)
    return following.date()
