"""Whether a source told history anew: today's price snapshot against the last one of the same ticker.

A split divides every earlier price by its ratio, so a snapshot of yesterday and one of today may rightly differ by one
factor. Any other difference is a mistake, or says that the closes mean something else now.
"""

from __future__ import annotations

import datetime as dt
import math
from fractions import Fraction
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]
Kind = Literal["unchanged", "explained", "basis", "unexplained"]

# Two downloads of one price differ by half a unit of each one's last decimal and, in real files, by up to 9e-7 of the
# price beside it: sources compute with float32. An altered cent is 5e-6 of 2,000 dollars.
_RELATIVE = 5e-6
_FEWEST_DECIMALS = 4  # a source with fewer gets no more slack: half a cent would hide real changes of low prices
_MOST_DECIMALS = 6
_CONFIRMED = 1e-3  # how far a reported split may be from the factor: sources round 1:3 to 0.3333
_MOST_SHARES = 50  # 50:1 is the largest split known; 100 is the step from pence to pounds
_MOST_SHARES_BOTH = 5
_FEWEST_SESSIONS = 5  # on the old basis, inside the overlap: fewer are altered closes rather than a split
_LARGEST_DIVIDEND = 0.12  # as a log factor; a spin-off of Johnson Controls makes 0.114
_SESSIONS_PER_DIVIDEND = 15  # on average, at least; monthly payers have 21
_FEWEST_DIVIDENDS = 2  # one step alone may as well be altered closes
_ROWS_SHOWN = 10


class Restatement(NamedTuple):
    """What became of the history that two snapshots share.

    `kind` is one of

    - unchanged: all closes agree, or there is none to compare;
    - explained: all closes before `since` were multiplied by `factor`, which is a split;
    - basis: one snapshot has dividend-adjusted closes, the other split-adjusted ones; no single factor holds;
    - unexplained: anything else.
    """

    kind: Kind
    factor: float  # price now / price then before `since`; 1.0 when unchanged, NaN for basis and unexplained
    since: dt.date | None  # first session with the same price in both; past the overlap where none has; None when moot
    reason: str  # for people
    rows: tuple[str, ...]  # for unexplained: up to 10 first closes that differ, "2019-01-02: 157.92 -> 39.5"
    overlap: int  # sessions compared


class _Overlap(NamedTuple):
    """The sessions with a price in both snapshots, ascending; the frames hold just their rows."""

    sessions: pd.DatetimeIndex
    then: pd.DataFrame
    now: pd.DataFrame
    closes_then: Floats
    closes_now: Floats
    rounding_then: float  # dollars
    rounding_now: float
    after: dt.date  # the first session later than all of these

    @property
    def ratio(self) -> Floats:
        """Price now / price then."""
        return self.closes_now / self.closes_then

    @property
    def slack(self) -> Floats:
        """How far the ratio of a row may be off because of rounding, as a share of it."""
        return _RELATIVE + self.rounding_now / self.closes_now + self.rounding_then / self.closes_then

    def differs_from(self, factors: Floats | float) -> Bools:
        """Return the rows in which price now is not `factors` times price then."""
        expected = factors * self.closes_then
        allowed = _RELATIVE * expected + self.rounding_now + factors * self.rounding_then
        return np.asarray(np.abs(self.closes_now - expected) > allowed)


class _Reading(NamedTuple):
    """A way to understand the difference; `kind` is unexplained where it was understood and refused."""

    kind: Kind
    factor: float
    since: dt.date | None
    reason: str
    factors: Floats | float = 1.0  # what the closes of then have to be multiplied with


def compare(then: pd.DataFrame, now: pd.DataFrame) -> Restatement:
    """Say whether `now` tells the history in `then` anew, and whether that has a good reason.

    Compared are the closes of the sessions in both frames; a close that is missing, infinite or not above 0 does not
    count, and of a repeated session the first one that does. Closes agree if they differ by no more than 5e-6 of the
    price and half a unit of each side's last decimal (the 4th to 6th, read off the closes).

    A factor is a split if it holds for all sessions before a date and prices are unchanged from there on. The date may
    lie past the overlap, as it does the night after a split. Inside the overlap the source was late the last time:
    then the jump that it left has to be gone today. Splits that `now` reports for the date must multiply to the factor.
    Without any, the factor must look like a split: n:1 or 1:n with n up to 50, or a ratio of numbers up to 5 as 3:2.

    A change of basis shows as factors that step in one direction only, each at a dividend, to a last one that is 1 or
    a split. The other side's `adj_close` or the `dividends` of either must account for the steps; where neither is
    there, 2 or more steps below 12 %, on average 15 sessions apart, are taken for dividends.

    Args:
        then: the last snapshot, as `pipeline.sources` promises; rows need not have been validated.
        now: today's snapshot, likewise.
    """
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):  # prices may be nonsense
        both = _overlap(then, now)
        sessions = len(both.sessions)
        if not sessions:
            return Restatement("unchanged", 1.0, None, "no session has a price in both", (), 0)
        if not both.differs_from(1.0).any():
            return Restatement("unchanged", 1.0, None, f"{_closes(sessions)} agree", (), sessions)
        as_is = _Reading("unexplained", math.nan, None, "")
        readings = [reading for reading in (_by_split(both, now), _by_basis(both, now)) if reading]
        best = min([as_is, *readings], key=lambda reading: int(both.differs_from(reading.factors).sum()))
        wrong = both.differs_from(best.factors)
        if not wrong.any():
            return Restatement(best.kind, best.factor, best.since, best.reason, (), sessions)
        refused = next((reading.reason for reading in readings if reading.kind == "unexplained"), "")
        count = f"{wrong.sum()} of {_closes(sessions)} {'differs' if wrong.sum() == 1 else 'differ'}"
        reason = f"{count}, apart from this: {best.reason}" if best.reason else refused or count
        return Restatement("unexplained", math.nan, None, reason, _rows(both, wrong, best.factors), sessions)


def _overlap(then: pd.DataFrame, now: pd.DataFrame) -> _Overlap:
    """Return what can be compared."""
    usable_then, usable_now = _usable(then), _usable(now)
    sessions = pd.DatetimeIndex(usable_then.index.intersection(usable_now.index)).sort_values()
    both_then, both_now = usable_then.loc[sessions], usable_now.loc[sessions]
    closes_then, closes_now = both_then["close"].to_numpy("float64"), both_now["close"].to_numpy("float64")
    after = dt.date.max
    if len(sessions):
        later = now.index[now.index > sessions[-1]]
        after = later.min().date() if len(later) else (sessions[-1] + pd.Timedelta(days=1)).date()
    rounding = _rounding(closes_then), _rounding(closes_now)
    return _Overlap(sessions, both_then, both_now, closes_then, closes_now, *rounding, after)


def _usable(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with a price, one per session."""
    if "close" not in frame.columns:
        return pd.DataFrame({"close": []}, index=pd.DatetimeIndex([]), dtype="float64")
    closes = frame["close"].to_numpy("float64")
    rows = frame[np.isfinite(closes) & (closes > 0)]
    return rows[~rows.index.duplicated()]


def _rounding(closes: Floats) -> float:
    """Return half a unit of the last decimal that nearly all of the closes share, in dollars."""
    for decimals in range(_FEWEST_DECIMALS, _MOST_DECIMALS):
        if np.isclose(closes, np.round(closes, decimals), rtol=0, atol=1e-9).mean() > 0.9:  # noqa: PLR2004
            return 0.5 * 10.0**-decimals
    return 0.5 * 10.0**-_MOST_DECIMALS


def _by_split(both: _Overlap, now: pd.DataFrame) -> _Reading | None:
    """Read the difference as one factor before a date; None if there is no such factor."""
    changed = both.differs_from(1.0)
    total = len(changed)
    # The cut with the fewest rows on the wrong side: an altered close here or there does not move it.
    unchanged_before = np.concatenate(([0], np.cumsum(~changed)))
    changed_after = changed.sum() - np.concatenate(([0], np.cumsum(changed)))
    cut = int(np.argmin(unchanged_before + changed_after))
    splits = _splits(now, both.sessions[cut - 1], both.sessions[cut] if cut < total else None) if cut else None
    if splits is None or (cut < min(_FEWEST_SESSIONS, total) and splits.empty):
        return None
    factor = float(np.median(both.ratio[:cut]))
    if both.differs_from(factor)[:cut].mean() > 0.5:  # noqa: PLR2004
        return None
    since = both.sessions[cut].date() if cut < total else both.after
    exact, reason = _split(factor, float(np.median(both.slack[:cut])), splits, since)
    if exact is None:
        return _Reading("unexplained", math.nan, None, reason)
    if cut < total:
        jumps = [abs(math.log(closes[cut] / closes[cut - 1])) for closes in (both.closes_then, both.closes_now)]
        if jumps[1] > jumps[0]:  # a late source mends its history; this one breaks it
            refusal = f"all prices before {since} multiplied by {exact:.6g}, which leaves a jump in today's prices"
            return _Reading("unexplained", math.nan, None, refusal)
    elif not splits.empty:
        since = splits.index[0].date()
    return _Reading("explained", exact, since, reason, np.where(np.arange(total) < cut, exact, 1.0))


def _by_basis(both: _Overlap, now: pd.DataFrame) -> _Reading | None:
    """Read the difference as dividends that one side has taken off; None if it does not look so."""
    ratio, slack = both.ratio, both.slack
    moves = np.diff(np.log(ratio))
    steps = np.flatnonzero(np.abs(moves) > slack[1:] + slack[:-1]) + 1  # the first row of each new level
    rising = moves[steps - 1] > 0
    if not len(steps) or rising.any() != rising.all():
        return None
    levels = np.zeros(len(ratio), dtype=np.intp)
    levels[steps] = 1
    flat = pd.Series(ratio).groupby(np.cumsum(levels)).transform("median").to_numpy("float64")
    now_adjusted = bool(rising.all())
    if both.differs_from(flat).any() or not _dividends(both, steps, moves[steps - 1], now_adjusted=now_adjusted):
        return None
    names = ("dividend-adjusted", "split-adjusted")
    reason = "change of basis: {} now, {} before".format(*(names if now_adjusted else names[::-1]))
    since, last = both.sessions[steps[-1]].date(), float(flat[-1])
    within = float(np.median(slack[steps[-1] :]))
    if abs(last - 1) > within:
        splits = _splits(now, both.sessions[-1], None)
        since = both.after if splits.empty else splits.index[0].date()
        exact, words = _split(last, within, splits, both.after)
        reason = f"{reason}; {words}"
        if exact is None:
            return _Reading("unexplained", math.nan, None, f"{reason}, in the latest session of both")
    return _Reading("basis", math.nan, since, reason, flat)


def _dividends(both: _Overlap, steps: Ints, moves: Floats, *, now_adjusted: bool) -> bool:
    """Return whether the steps between factors can be dividends.

    Args:
        both: the overlap.
        steps: the first row of each new factor.
        moves: the steps as log factors, shape (len(steps),).
        now_adjusted: dividends are taken off the closes of now, not of then.
    """
    plain, adjusted = (both.then, both.closes_now) if now_adjusted else (both.now, both.closes_then)
    if "adj_close" in plain.columns:
        column = plain["adj_close"].to_numpy("float64")
        factors = adjusted / column
        one = float(np.median(factors))  # NaN, which nothing is close to, if a value is missing
        if bool(np.all(np.abs(factors / one - 1) <= both.slack + _rounding(column) / column)):
            return True
    columns = [side["dividends"] for side in (both.then, both.now) if "dividends" in side.columns]
    columns = [column for column in columns if column.notna().any()]
    if columns:
        paid = np.logical_or.reduce([np.nan_to_num(column.to_numpy("float64")) > 0 for column in columns])
        return bool(paid[steps].all())
    few = _FEWEST_DIVIDENDS <= len(steps) <= len(both.sessions) / _SESSIONS_PER_DIVIDEND
    return few and bool(np.abs(moves).max() < _LARGEST_DIVIDEND)


def _splits(now: pd.DataFrame, after: pd.Timestamp, upto: pd.Timestamp | None) -> pd.Series[float]:
    """Return the splits that `now` reports later than `after`, new shares per old one, by session."""
    if "splits" not in now.columns:
        return pd.Series([], index=pd.DatetimeIndex([]), dtype="float64")
    splits = now["splits"].astype("float64")
    splits = splits[(splits > 0) & np.isfinite(splits) & (splits != 1) & (splits.index > after)]
    splits = splits[~splits.index.duplicated()].sort_index()
    return splits if upto is None else splits[splits.index <= upto]


def _split(factor: float, within: float, splits: pd.Series[float], before: dt.date) -> tuple[float | None, str]:
    """Return the factor that the split has to the last digit, or None if it is none, and what to say of it.

    Args:
        factor: as measured.
        within: how far the measurement may be off, as a share.
        splits: those reported for the time.
        before: the first session that the factor does not hold for.
    """
    measured = f"all prices before {before} multiplied by {factor:.6g}"
    ratio = _ratio(1 / factor, within)
    small = ratio is not None and (
        max(ratio.as_integer_ratio()) <= _MOST_SHARES_BOTH
        or (min(ratio.as_integer_ratio()) == 1 and max(ratio.as_integer_ratio()) <= _MOST_SHARES)
    )
    if splits.empty:
        if ratio is None or not small:
            return None, f"{measured}, which is no split ratio, and no split is reported"
        return float(1 / ratio), f"{measured}, as a split {ratio.numerator}:{ratio.denominator} does"
    product = float(splits.prod())
    listed = " and ".join(f"{_words(size)} on {day:%Y-%m-%d}" for day, size in splits.items())
    told = f"split{'s' if len(splits) > 1 else ''} {listed}"
    if not abs(factor * product - 1) <= _CONFIRMED:
        return None, f"{measured}, but {told} would make it {1 / product:.6g}"
    if ratio is not None and small:
        return float(1 / ratio), told
    return 1 / product if abs(factor * product - 1) <= within else factor, told


def _ratio(number: float, within: float) -> Fraction | None:
    """Return the simple fraction that `number` is, up to a share of `within`; None if it is none."""
    if not (1 / _MOST_SHARES / 2 < number < _MOST_SHARES * 2):
        return None
    ratio = Fraction(number).limit_denominator(_MOST_SHARES)
    return ratio if abs(float(ratio) / number - 1) <= within else None


def _words(size: float) -> str:
    """Return a reported split as people write it: 4:1, 3:2, 1:8."""
    ratio = _ratio(size, _CONFIRMED / 10)
    return f"{ratio.numerator}:{ratio.denominator}" if ratio else f"{size:g}:1"


def _closes(count: int) -> str:
    return f"{count:,} {'close' if count == 1 else 'closes'}"


def _rows(both: _Overlap, wrong: Bools, factors: Floats | float) -> tuple[str, ...]:
    """Return the first wrong rows as text, with the price that was expected where it is not the old one."""
    expected = factors * both.closes_then
    return tuple(
        f"{both.sessions[row]:%Y-%m-%d}: {both.closes_then[row]:.8g} -> {both.closes_now[row]:.8g}"
        + ("" if expected[row] == both.closes_then[row] else f", not {expected[row]:.8g}")
        for row in np.flatnonzero(wrong)[:_ROWS_SHOWN]
    )
