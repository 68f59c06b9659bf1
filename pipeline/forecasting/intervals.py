"""Intervals around a forecast, by conformal calibration on rows that did not fit the weights.

The residual of a row is |log(close / forecast)| over the scale expected for that row. Intervals are therefore wide
after volatile days and narrow after calm ones. A quantile of the residuals of earlier rows, times tomorrow's scale, is
the half-width of an interval in log terms.

An interval of level L around the forecast lies between two quantiles of the next close, those of probability
(1 - L) / 2 and (1 + L) / 2. The quantiles of a forecast are therefore the bounds of its intervals.

Sources: Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, "Distribution-free predictive inference for regression", 2018
(split-conformal, residuals scaled by a spread); Gibbs and Candes, "Adaptive conformal inference under distribution
shift", 2021 (the level that adapts).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.arrays import Floats

LEVELS = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95)  # per cent, ascending
SHOWN = (50, 80, 95)  # levels that tables and records have bounds of
PROBABILITIES = tuple(range(5, 100, 5))  # of the quantiles, per cent
_LEAST = 1e-4  # of the last close: least forecast that an interval is built around, since a network may give 0
_WARM_UP = 100  # residuals before the first one that a level adapts to
_FEWEST = 0.2  # of the nominal share outside: the level of 95 % adapts up to 99 %, so that no few residuals decide
_REMEMBERED = 32  # beginnings of residuals that `roll` keeps results of, each of some 100 kB
_ALIKE = 8  # results per beginning: networks of one ticker have the same residuals before their validation rows


def residuals(actual: Floats, forecast: Floats, last_closes: Floats, scale: Floats) -> Floats:
    """Return |log(close / forecast)| over the scale, shape (n,).

    Args:
        actual: closes, shape (n,).
        forecast: their forecasts, shape (n,).
        last_closes: the close before each of them, shape (n,).
        scale: expected size of the log return of the same rows, shape (n,).
    """
    return np.abs(np.log(actual / center(forecast, last_closes))) / scale


def center(forecast: Floats, last_closes: Floats) -> Floats:
    """Return the positive price that an interval is built around, shape (n,): the forecast, if it is one."""
    return np.maximum(forecast, _LEAST * last_closes)


def calibrate(residuals: Floats) -> Floats:
    """Return the half-width of the interval of each of `LEVELS`, in scales, shape (10,).

    With n residuals it is the ceil((n + 1) * level)-th smallest one: a new row of the same kind then lies inside at
    least that often. With fewer than 19 rows this residual does not exist for 95 %; the largest is used.

    Args:
        residuals: of the calibration rows, shape (n,), at least one.
    """
    count = len(residuals)
    # (count + 1) * level / 100, rounded up without floats
    ranks = [min(count, -(-(count + 1) * level // 100)) for level in LEVELS]
    half_widths: Floats = np.sort(residuals)[np.array(ranks) - 1]
    return half_widths


def roll(residuals: Floats, first: int, *, most: int, step: float) -> Floats:
    """Return the half-widths of each row from `first` on, in scales: those of row t use the residuals of rows before t.

    The level of each interval adapts: after a miss it rises by `step` times the level, after a hit it falls by `step`
    times its complement. The share that it leaves outside stays above a fifth of the nominal one: otherwise the
    largest residuals of a crash would be the half-widths of the next calm weeks. The level depends on the residuals
    alone: no state of another night has an influence. Rows that an earlier call of this process has computed from the
    same residuals are not computed again.

    Args:
        residuals: of successive rows, shape (n,).
        first: row of the first half-widths, at least 1.
        most: number of newest residuals that half-widths are quantiles of.
        step: of the adapting level, 0 to 1; 0 keeps the levels.

    Returns:
        Shape (n + 1 - first, 10): the last row is for the row after the residuals.
    """
    start = min(first, _WARM_UP)
    key = (start, most, step, residuals[: start + 1].tobytes())
    several = _rolled.pop(key, ())
    equal = [_equal_rows(one.residuals, residuals) for one in several]
    known = several[int(np.argmax(equal))] if several else None
    rolled = _continued(residuals, known, start, most, step)
    others = [one for one, rows in zip(several, equal, strict=True) if rows < len(one.residuals)]
    _rolled[key] = (*others, rolled)[-_ALIKE:]
    if len(_rolled) > _REMEMBERED:
        _rolled.pop(next(iter(_rolled)))
    return rolled.half_widths[first - start : len(residuals) + 1 - start].copy()


class _Rolled(NamedTuple):
    """The half-widths of successive rows, and the levels that they were computed with."""

    residuals: Floats  # shape (n,)
    half_widths: Floats  # of the rows from `start` to n, shape (n + 1 - start, 10)
    adapted: Floats  # share of rows outside, the same shape


_rolled: dict[tuple[int, int, float, bytes], tuple[_Rolled, ...]] = {}  # the one that was used last is the last


def _continued(residuals: Floats, known: _Rolled | None, start: int, most: int, step: float) -> _Rolled:
    """Return the half-widths of the rows from `start` on, with those of `known` before the first new residual."""
    misses = 1 - np.array(LEVELS) / 100  # share of rows outside
    shape = (len(residuals) + 1 - start, len(LEVELS))
    half_widths = np.empty(shape)
    levels = np.empty(shape)
    row = start
    adapted = misses
    if known:
        row = start + _equal_rows(known.residuals[start:], residuals[start:])
        half_widths[: row - start] = known.half_widths[: row - start]
        levels[: row - start] = known.adapted[: row - start]
        adapted = known.adapted[row - start]
    for at in range(row, len(residuals) + 1):
        past = np.sort(residuals[max(0, at - most) : at])
        ranks = np.ceil((len(past) + 1) * (1 - adapted) - 1e-9).astype(int)
        widths = past[np.clip(ranks, 1, len(past)) - 1]
        half_widths[at - start] = np.maximum.accumulate(widths)  # a wider level has no narrower interval
        levels[at - start] = adapted
        if at < len(residuals):
            adapted = np.clip(adapted + step * (misses - (residuals[at] > widths)), _FEWEST * misses, 1.0)
    return _Rolled(residuals.copy(), half_widths, levels)


def _equal_rows(known: Floats, now: Floats) -> int:
    """Return the number of equal values before the first difference."""
    both = min(len(known), len(now))
    differs = np.flatnonzero(known[:both] != now[:both])
    return int(differs[0]) if len(differs) else both
