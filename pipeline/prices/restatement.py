"""Restatement: the source changed a past price between the last snapshot of a ticker and today's.

A split divides every earlier price by its ratio, so two snapshots may rightly differ by one factor. Any other
difference is a mistake, or a change of basis: the closes are adjusted for dividends in one snapshot only.
"""

from __future__ import annotations

import datetime as dt
import math
from fractions import Fraction
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from pipeline.arrays import Bools, Floats, Ints
from pipeline.prices.overlap import Overlap, find_overlap, rounding

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
    """The verdict on the history that two snapshots share.

    `kind` is one of

    - unchanged: all closes agree, or no session has a price in both;
    - explained: all closes before `since` were multiplied by `factor`, which is a split;
    - basis: one snapshot has dividend-adjusted closes, the other split-adjusted ones; no single factor holds;
    - unexplained: anything else.
    """

    kind: Kind
    factor: float  # price now / price then before `since`; 1.0 when unchanged, NaN for basis and unexplained
    since: dt.date | None  # first session with the same price in both; past the overlap where none has; None when moot
    reason: str  # one line for the report
    rows: tuple[str, ...]  # for unexplained: up to 10 first closes that differ, "2019-01-02: 157.92 -> 39.5"
    overlap: int  # sessions compared
    largest: float | None = None  # for unexplained: the largest change of a close that differs, now / expected - 1


class _Reading(NamedTuple):
    """One explanation of the difference; `kind` is unexplained where the explanation was found and refused."""

    kind: Kind
    factor: float
    since: dt.date | None
    reason: str
    factors: Floats | float = 1.0  # closes now / closes then that this explanation expects


def compare(then: pd.DataFrame, now: pd.DataFrame) -> Restatement:
    """Return whether the source changed past prices between two snapshots, and whether a split or dividends explain it.

    The closes of the sessions in both frames are compared. A close that is missing, infinite or not above 0 does not
    count, and of a repeated session the first usable one counts. Closes agree if they differ by no more than 5e-6 of
    the price and half a unit of each side's last decimal (the 4th to 6th, read off the closes).

    A factor is a split if it holds for all sessions before a date and prices are unchanged from that date on. The night
    after a split the date lies past the overlap. A date inside the overlap means that the source restated late: the
    last snapshot has a jump there, and today's must not have it. Splits that `now` reports for the date must multiply
    to the factor. Without a report the factor must look like a split: n:1 or 1:n with n up to 50, or a ratio of numbers
    up to 5 such as 3:2.

    A change of basis shows as factors that step in one direction only, at each dividend, to a last one that is 1 or a
    split. Two facts prove it: closes of now equal the `adj_close` of then, up to such a factor, or `dividends` are
    reported for each step. Without known dividends, steps count as dividends if there are at least 2, all below 12 %,
    half of them 15 or more sessions apart, and no step cuts off a single session at an end of the overlap. Any last
    factor is accepted if one side's closes equal the other's `adj_close`: both lack dividends of later sessions.

    Args:
        then: the last snapshot, a frame as `pipeline.prices.sources` describes it; its rows need no validation.
        now: today's snapshot, likewise.
    """
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):  # prices may be anything
        both = find_overlap(then, now)
        sessions = len(both.sessions)
        if not sessions:
            return Restatement("unchanged", 1.0, None, "no session has a price in both", (), 0)
        if not both.differs_from(1.0).any():
            return Restatement("unchanged", 1.0, None, f"{_counted(sessions)} agree", (), sessions)
        as_is = _Reading("unexplained", math.nan, None, "")
        readings = [reading for reading in (_by_split(both, now), _by_basis(both, then, now)) if reading]
        best = min([as_is, *readings], key=lambda reading: int(both.differs_from(reading.factors).sum()))
        wrong = both.differs_from(best.factors)
        if not wrong.any():
            return Restatement(best.kind, best.factor, best.since, best.reason, (), sessions)
        # Of two refused explanations the basis is shown: its levels follow nearly every row, a factor follows most.
        refused = next((reading.reason for reading in reversed(readings) if reading.kind == "unexplained"), "")
        count = f"{wrong.sum():,} of {_counted(sessions)} {'differs' if wrong.sum() == 1 else 'differ'}"
        reason = f"{count}, apart from this: {best.reason}" if best.reason else refused or count
        changes = (both.ratio / best.factors - 1)[wrong]
        largest = float(changes[np.argmax(np.abs(changes))])
        rows = _wrong_rows(both, wrong, best.factors)
        return Restatement("unexplained", math.nan, None, reason, rows, sessions, largest)


def _by_split(both: Overlap, now: pd.DataFrame) -> _Reading | None:
    """Return the explanation by one factor before a date; None without such a factor."""
    changed = both.differs_from(1.0)
    total = len(changed)
    # The cut with the fewest rows on the wrong side: a few altered closes do not move it.
    unchanged_before = np.concatenate(([0], np.cumsum(~changed)))
    changed_after = changed.sum() - np.concatenate(([0], np.cumsum(changed)))
    cut = int(np.argmin(unchanged_before + changed_after))
    if not cut:
        return None
    splits = _splits(now, both.sessions[cut - 1], both.sessions[cut] if cut < total else None)
    if cut < min(_FEWEST_SESSIONS, total) and not splits:
        return None
    factor = float(np.median(both.ratio[:cut]))
    if not 0 < factor < math.inf or both.differs_from(factor)[:cut].mean() > 0.5:  # noqa: PLR2004
        return None
    since = both.sessions[cut].date() if cut < total else both.after
    exact, reason = _split(factor, float(np.median(both.slack[:cut])), splits, since)
    if exact is None:
        return _Reading("unexplained", math.nan, None, reason)
    if cut < total:
        jump_then = _log_jump(both.closes_then, cut)
        jump_now = _log_jump(both.closes_now, cut)
        if jump_now > jump_then:  # a late restatement removes a jump; this one makes it
            refusal = f"prices before {since} multiplied by {exact:.6g}, which leaves a jump in today's prices"
            return _Reading("unexplained", math.nan, None, refusal)
    else:
        since = min(splits, default=since)
    return _Reading("explained", exact, since, reason, np.where(np.arange(total) < cut, exact, 1.0))


def _log_jump(closes: Floats, row: int) -> float:
    """Return the size of the log return of `row`."""
    return float(np.abs(np.log(closes[row]) - np.log(closes[row - 1])))


def _by_basis(both: Overlap, then: pd.DataFrame, now: pd.DataFrame) -> _Reading | None:
    """Return the explanation by dividends that one side has taken off; None where the steps are not dividends."""
    ratio = both.ratio
    slack = both.slack
    moves = np.diff(np.log(ratio))
    steps = np.flatnonzero(np.abs(moves) > slack[1:] + slack[:-1]) + 1  # the first row of each new level
    rising = moves[steps - 1] > 0
    if not len(steps) or rising.any() != rising.all():
        return None
    starts = np.zeros(len(ratio), dtype=np.intp)
    starts[steps] = 1
    levels = pd.Series(ratio).groupby(np.cumsum(starts)).transform("median").to_numpy("float64")
    constant = _adjusted_factor(both, now_adjusted=bool(rising.all()))
    # Closes that equal the adj_close of then are proven one by one. The adj_close of now proves nothing of its closes.
    proven = constant is not None and bool(rising.all())
    dividends = proven or _are_dividends(both, then, now, steps, moves[steps - 1])
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
    for factor in (last, constant):
        exact, words = _split(factor, within, splits, since) if factor is not None else (None, "")
        if exact is not None:
            return _Reading("basis", math.nan, since, f"{reason}; {words}", levels)
    refusal = f"looks like a {reason}; but the latest session in both was multiplied by {last:.6g}, too"
    return _Reading("unexplained", math.nan, None, f"{refusal}, which is no known split")


def _adjusted_factor(both: Overlap, *, now_adjusted: bool) -> float | None:
    """Return the one factor between the dividend-adjusted closes and the other side's `adj_close`, now / then.

    None without such a factor.
    """
    plain = both.then if now_adjusted else both.now
    adjusted = both.closes_now if now_adjusted else both.closes_then
    if "adj_close" not in plain.columns:
        return None
    column = plain["adj_close"].to_numpy("float64")
    factors = adjusted / column
    middle = float(np.median(factors))  # NaN if a value is missing; no factor is close to NaN
    if not np.all(np.abs(factors / middle - 1) <= both.slack + rounding(column) / column):
        return None
    return middle if now_adjusted else 1 / middle


def _are_dividends(both: Overlap, then: pd.DataFrame, now: pd.DataFrame, steps: Ints, moves: Floats) -> bool:
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
        paid = days.searchsorted(both.sessions, side="right")  # dividends so far; a dividend's own day may lack a price
        return bool((paid[steps] > paid[steps - 1]).all())
    at_an_end = steps[0] == 1 or steps[-1] == len(both.sessions) - 1  # an altered close at either end is a step, too
    if len(steps) < _FEWEST_DIVIDENDS or at_an_end or np.abs(moves).max() >= _LARGEST_DIVIDEND:
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
    # A dict by session, so that a repeated row counts once.
    return {session.date(): float(size) for session, size in zip(now.index[wanted], sizes[wanted], strict=True)}


def _split(factor: float, within: float, splits: dict[dt.date, float], before: dt.date) -> tuple[float | None, str]:
    """Return the exact factor of a split, or None for another factor, and its description.

    Args:
        factor: as measured.
        within: how far the measurement may be off, as a share.
        splits: those reported between the last row of the factor and the first row after it.
        before: the first session that the factor does not hold for.
    """
    measured = f"prices before {before} multiplied by {factor:.6g}"
    ratio = _ratio(1 / factor, within)
    if not splits:
        if ratio is not None and _is_usual(ratio):
            return float(1 / ratio), f"{measured}, as a split {_split_text(float(ratio))} does"
        hint = ": a dividend, if the closes are dividend-adjusted" if 1 - _LARGEST_DIVIDEND < factor < 1 else ""
        return None, f"{measured}, which is no split ratio, and no split is reported{hint}"
    product = np.prod(list(splits.values()))
    listed = " and ".join(f"{_split_text(size)} on {day}" for day, size in splits.items())
    reported = f"split{'s' if len(splits) > 1 else ''} {listed}"
    if not abs(factor * product - 1) <= _CONFIRMED:
        return None, f"{measured}, but {reported} would make it {1 / product:.6g}"
    if abs(factor * product - 1) <= within:
        return float(1 / product), reported
    return float(1 / ratio) if ratio is not None else factor, reported


def _ratio(number: float, within: float) -> Fraction | None:
    """Return the simple fraction nearest to `number`; None if none lies within a share of `within`."""
    if not (1 / _MOST_SHARES / 2 < number < _MOST_SHARES * 2):
        return None
    ratio = Fraction(number).limit_denominator(_MOST_SHARES)
    return ratio if abs(float(ratio) / number - 1) <= within else None


def _is_usual(ratio: Fraction) -> bool:
    """Return whether companies make splits of this ratio."""
    less, more = sorted(ratio.as_integer_ratio())
    return more <= (_MOST_SHARES if less == 1 else _MOST_SHARES_BOTH)


def _split_text(size: float) -> str:
    """Return a reported split as text: 4:1, 3:2, 1:8."""
    ratio = _ratio(size, _CONFIRMED)
    return f"{ratio.numerator}:{ratio.denominator}" if ratio is not None and _is_usual(ratio) else f"{size:g}:1"


def _counted(count: int) -> str:
    """Return a count with its noun: "1 close", "1,234 closes"."""
    return f"{count:,} {'close' if count == 1 else 'closes'}"


def _wrong_rows(both: Overlap, wrong: Bools, factors: Floats | float) -> tuple[str, ...]:
    """Return the first wrong rows as text, and the expected price where it differs from the old one."""
    expected = factors * both.closes_then
    return tuple(
        f"{both.sessions[row]:%Y-%m-%d}: {both.closes_then[row]:.8g} -> {both.closes_now[row]:.8g}"
        + ("" if expected[row] == both.closes_then[row] else f", not {expected[row]:.8g}")
        for row in np.flatnonzero(wrong)[:_ROWS_SHOWN]
    )
