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
import pandas as pd

from pipeline.arrays import Bools, Floats, Ints
from pipeline.prices.overlap import Overlap, overlap, rounding

Kind = Literal["unchanged", "explained", "basis", "unexplained"]
_CONFIRMED = 1e-3  # how far a reported split may be from the factor: sources round 1:3 to 0.3333
_MOST_SHARES = 50  # 50:1 is the largest split known; 100 is the step from pence to pounds
_MOST_SHARES_BOTH = 5
_FEWEST_SESSIONS = 5  # on the old basis, inside the overlap: fewer are altered closes rather than a split
_LARGEST_DIVIDEND = 0.12  # as a log factor; a spin-off of Johnson Controls makes 0.114
_SESSIONS_BETWEEN_DIVIDENDS = 15  # the median, at least: monthly payers have 21; a special one may be paid a day later
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

    A change of basis shows as factors that step in one direction only, at each dividend, to a last one that is 1 or a
    split. It is proven by closes of now that are the `adj_close` of then, up to such a factor, or by `dividends`
    reported for each step. Where no dividends are known, steps count as such if there are at least 2, all below 12 %,
    half of them 15 or more sessions apart, none cutting off a single session at an end of the overlap. The last factor
    may be any if the one side's closes equal the other's `adj_close`: dividends of later sessions are off both.

    Args:
        then: the last snapshot, as `pipeline.sources` promises; rows need not have been validated.
        now: today's snapshot, likewise.
    """
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):  # prices may be nonsense
        both = overlap(then, now)
        sessions = len(both.sessions)
        if not sessions:
            return Restatement("unchanged", 1.0, None, "no session has a price in both", (), 0)
        if not both.differs_from(1.0).any():
            return Restatement("unchanged", 1.0, None, f"{_closes(sessions)} agree", (), sessions)
        as_is = _Reading("unexplained", math.nan, None, "")
        readings = [reading for reading in (_by_split(both, now), _by_basis(both, then, now)) if reading]
        best = min([as_is, *readings], key=lambda reading: int(both.differs_from(reading.factors).sum()))
        wrong = both.differs_from(best.factors)
        if not wrong.any():
            return Restatement(best.kind, best.factor, best.since, best.reason, (), sessions)
        # Where both were refused the basis says more: its levels follow nearly every row, a factor follows most.
        refused = next((reading.reason for reading in reversed(readings) if reading.kind == "unexplained"), "")
        count = f"{wrong.sum():,} of {_closes(sessions)} {'differs' if wrong.sum() == 1 else 'differ'}"
        reason = f"{count}, apart from this: {best.reason}" if best.reason else refused or count
        return Restatement("unexplained", math.nan, None, reason, _rows(both, wrong, best.factors), sessions)


def _by_split(both: Overlap, now: pd.DataFrame) -> _Reading | None:
    """Read the difference as one factor before a date; None if there is no such factor."""
    changed = both.differs_from(1.0)
    total = len(changed)
    # The cut with the fewest rows on the wrong side: an altered close here or there does not move it.
    unchanged_before = np.concatenate(([0], np.cumsum(~changed)))
    changed_after = changed.sum() - np.concatenate(([0], np.cumsum(changed)))
    cut = int(np.argmin(unchanged_before + changed_after))
    splits = _splits(now, both.sessions[cut - 1], both.sessions[cut] if cut < total else None) if cut else None
    if splits is None or (cut < min(_FEWEST_SESSIONS, total) and not splits):
        return None
    factor = float(np.median(both.ratio[:cut]))
    if not 0 < factor < math.inf or both.differs_from(factor)[:cut].mean() > 0.5:  # noqa: PLR2004
        return None
    since = both.sessions[cut].date() if cut < total else both.after
    exact, reason = _split(factor, float(np.median(both.slack[:cut])), splits, since)
    if exact is None:
        return _Reading("unexplained", math.nan, None, reason)
    if cut < total:
        jump_then, jump_now = (np.abs(np.diff(np.log(side[cut - 1 : cut + 1]))) for side in both.closes)
        if jump_now > jump_then:  # a late source mends its history; this one breaks it
            refusal = f"prices before {since} multiplied by {exact:.6g}, which leaves a jump in today's prices"
            return _Reading("unexplained", math.nan, None, refusal)
    else:
        since = min(splits, default=since)
    return _Reading("explained", exact, since, reason, np.where(np.arange(total) < cut, exact, 1.0))


def _by_basis(both: Overlap, then: pd.DataFrame, now: pd.DataFrame) -> _Reading | None:
    """Read the difference as dividends that one side has taken off; None if it does not look so."""
    ratio, slack = both.ratio, both.slack
    moves = np.diff(np.log(ratio))
    steps = np.flatnonzero(np.abs(moves) > slack[1:] + slack[:-1]) + 1  # the first row of each new level
    rising = moves[steps - 1] > 0
    if not len(steps) or rising.any() != rising.all():
        return None
    starts = np.zeros(len(ratio), dtype=np.intp)
    starts[steps] = 1
    levels = pd.Series(ratio).groupby(np.cumsum(starts)).transform("median").to_numpy("float64")
    constant = _adjusted(both, now_adjusted=bool(rising.all()))
    # Closes that equal the adj_close of then are proven one by one. The adj_close of now says nothing of its closes.
    proven = constant is not None and bool(rising.all())
    dividends = proven or _dividends(both, then, now, steps, moves[steps - 1])
    if not dividends or not np.all((levels > 0) & (levels < math.inf)):
        return None
    names = ("dividend-adjusted", "split-adjusted")
    reason = "change of basis: {} now, {} before".format(*(names if rising.all() else names[::-1]))
    within = float(np.median(slack[steps[-1] :]))
    last = float(levels[-1])
    if abs(last - 1) <= within:
        return _Reading("basis", math.nan, both.sessions[steps[-1]].date(), reason, levels)
    if constant is not None and abs(constant - 1) <= within:  # both lack dividends of later sessions
        return _Reading("basis", math.nan, both.after, reason, levels)
    splits = _splits(now, both.sessions[-1], None)
    since = min(splits, default=both.after)
    tries = [_split(factor, within, splits, since) for factor in (last, constant) if factor is not None]
    words = next((words for exact, words in tries if exact is not None), None)
    if words is None:
        refusal = f"looks like a {reason}; but the latest session in both was multiplied by {last:.6g}, too"
        return _Reading("unexplained", math.nan, None, f"{refusal}, which is no known split")
    return _Reading("basis", math.nan, since, f"{reason}; {words}", levels)


def _adjusted(both: Overlap, *, now_adjusted: bool) -> float | None:
    """Return the one factor between the dividend-adjusted closes and the other side's `adj_close`, now / then.

    None if there is no such factor.
    """
    plain, adjusted = (both.then, both.closes_now) if now_adjusted else (both.now, both.closes_then)
    if "adj_close" not in plain.columns:
        return None
    column = plain["adj_close"].to_numpy("float64")
    factors = adjusted / column
    middle = float(np.median(factors))  # NaN, which nothing is close to, if a value is missing
    if not np.all(np.abs(factors / middle - 1) <= both.slack + rounding(column) / column):
        return None
    return middle if now_adjusted else 1 / middle


def _dividends(both: Overlap, then: pd.DataFrame, now: pd.DataFrame, steps: Ints, moves: Floats) -> bool:
    """Return whether the steps between factors can be dividends.

    Args:
        both: the overlap.
        then: the last snapshot.
        now: today's.
        steps: the first row of each new factor.
        moves: the steps as log factors, shape (len(steps),).
    """
    columns = [side["dividends"] for side in (then, now) if "dividends" in side.columns]
    columns = [column for column in columns if column.notna().any()]
    if columns:
        days = pd.DatetimeIndex(np.concatenate([column.index[column > 0] for column in columns])).sort_values()
        paid = days.searchsorted(both.sessions, side="right")  # so far; the day itself may lack a price
        return bool((paid[steps] > paid[steps - 1]).all())
    alone = steps[0] == 1 or steps[-1] == len(both.sessions) - 1  # an altered close at either end is a step, too
    if len(steps) < _FEWEST_DIVIDENDS or alone or np.abs(moves).max() >= _LARGEST_DIVIDEND:
        return False
    return bool(np.median(np.diff(steps)) >= _SESSIONS_BETWEEN_DIVIDENDS)


def _splits(now: pd.DataFrame, after: pd.Timestamp, upto: pd.Timestamp | None) -> dict[dt.date, float]:
    """Return the splits that `now` reports later than `after`, new shares per old one, ascending by session."""
    if "splits" not in now.columns:
        return {}
    sizes = now["splits"].to_numpy("float64")
    wanted = (sizes > 0) & np.isfinite(sizes) & (sizes != 1) & (now.index > after)
    if upto is not None:
        wanted &= now.index <= upto
    # By session, so that a row that stands there twice counts once.
    return {session.date(): float(size) for session, size in zip(now.index[wanted], sizes[wanted], strict=True)}


def _split(factor: float, within: float, splits: dict[dt.date, float], before: dt.date) -> tuple[float | None, str]:
    """Return the factor that the split has to the last digit, or None if it is none, and what to say of it.

    Args:
        factor: as measured.
        within: how far the measurement may be off, as a share.
        splits: those reported for the time.
        before: the first session that the factor does not hold for.
    """
    measured = f"prices before {before} multiplied by {factor:.6g}"
    ratio = _ratio(1 / factor, within)
    if not splits:
        if ratio is not None and _usual(ratio):
            return float(1 / ratio), f"{measured}, as a split {_words(float(ratio))} does"
        hint = ": a dividend, if the closes are dividend-adjusted" if 1 - _LARGEST_DIVIDEND < factor < 1 else ""
        return None, f"{measured}, which is no split ratio, and no split is reported{hint}"
    product = np.prod(list(splits.values()))
    listed = " and ".join(f"{_words(size)} on {day}" for day, size in splits.items())
    told = f"split{'s' if len(splits) > 1 else ''} {listed}"
    if not abs(factor * product - 1) <= _CONFIRMED:
        return None, f"{measured}, but {told} would make it {1 / product:.6g}"
    if abs(factor * product - 1) <= within:
        return float(1 / product), told
    return float(1 / ratio) if ratio is not None else factor, told


def _ratio(number: float, within: float) -> Fraction | None:
    """Return the simple fraction that `number` is, up to a share of `within`; None if it is none."""
    if not (1 / _MOST_SHARES / 2 < number < _MOST_SHARES * 2):
        return None
    ratio = Fraction(number).limit_denominator(_MOST_SHARES)
    return ratio if abs(float(ratio) / number - 1) <= within else None


def _usual(ratio: Fraction) -> bool:
    """Return whether companies split so."""
    less, more = sorted(ratio.as_integer_ratio())
    return more <= (_MOST_SHARES if less == 1 else _MOST_SHARES_BOTH)


def _words(size: float) -> str:
    """Return a reported split as people write it: 4:1, 3:2, 1:8."""
    ratio = _ratio(size, _CONFIRMED)
    return f"{ratio.numerator}:{ratio.denominator}" if ratio is not None and _usual(ratio) else f"{size:g}:1"


def _closes(count: int) -> str:
    return f"{count:,} {'close' if count == 1 else 'closes'}"


def _rows(both: Overlap, wrong: Bools, factors: Floats | float) -> tuple[str, ...]:
    """Return the first wrong rows as text, with the price that was expected where it is not the old one."""
    expected = factors * both.closes_then
    return tuple(
        f"{both.sessions[row]:%Y-%m-%d}: {both.closes_then[row]:.8g} -> {both.closes_now[row]:.8g}"
        + ("" if expected[row] == both.closes_then[row] else f", not {expected[row]:.8g}")
        for row in np.flatnonzero(wrong)[:_ROWS_SHOWN]
    )
