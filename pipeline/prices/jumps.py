"""Jumps between closes that no market makes: another unit, a split that is not in the prices, a bar that is off.

Each function takes the closes of the sessions with a price, ascending, above 0, and returns one flag per close: 0.0 for
a broken one, else 1.0. Row 0 has no close before it and is not judged.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.arrays import Floats

_UNITS = np.log([100.0, 1000.0])  # pence for pounds; fils, or a thousands separator read as a decimal sign
_UNIT_ERROR = 0.25  # of the log factor: a night's own return lies in it too
_RATIOS = np.log(np.array([3 / 2, 5 / 3, 2, 5 / 2, *range(3, 51)]))  # of splits; smaller ones look like news
# Of the log ratio. BIIB rose by 1.44 on 2020-11-04 and lost it within 5 sessions: 0.10 and 0.18 away from 3:2.
_RATIO_ERROR = 0.15
_RETURN = 5  # sessions in which a bar that is off is followed by right ones
_SMALLEST_SPLIT = np.log(1.2)  # a smaller one cannot be told from a fall


def in_one_unit(prices: npt.ArrayLike, closes: Floats) -> Floats:
    """Return 0.0 where a price is about 100 or 1,000 times the close before, or that part of it.

    Args:
        prices: open, high, low and close of each row, shape (n, 4); a missing one is not judged.
        closes: shape (n,).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.abs(np.log(np.asarray(prices, "float64")[1:] / closes[:-1, np.newaxis]))
    off = (np.abs(steps[..., np.newaxis] - _UNITS) < _UNIT_ERROR).any(axis=(1, 2))
    return _flags(len(closes), off)


def without_excursions(closes: Floats) -> Floats:
    """Return 0.0 where closes jump by about the ratio of a split, and where they jump back within 5 sessions."""
    moves = np.diff(np.log(closes))
    off = np.zeros(len(moves), dtype=bool)
    nearest = np.abs(np.abs(moves)[:, np.newaxis] - _RATIOS).argmin(axis=1)
    ratio = np.where(moves < 0, -1, 1) * _RATIOS[nearest]
    allowed = _RATIO_ERROR * np.abs(ratio)
    leaves = np.abs(moves - ratio) <= allowed
    level = np.concatenate(([0.0], np.cumsum(moves)))
    for ahead in range(1, _RETURN + 1):
        back = moves[ahead:]
        row = slice(0, len(back))
        returns = np.abs(back + ratio[row]) <= allowed[row]
        at_old_level = np.abs(level[1 + ahead :] - level[row]) <= 2 * allowed[row]
        found = leaves[row] & returns & at_old_level
        off[row] |= found
        off[ahead:] |= found
    return _flags(len(closes), off)


def split_adjusted(closes: Floats, splits: Floats) -> Floats:
    """Return 0.0 where closes jump as a reported split does: the source has not adjusted the closes before it.

    Args:
        closes: shape (n,).
        splits: new shares per old one since the close before, shape (n,); 1.0 without a split.
    """
    moves = np.diff(np.log(closes))
    reported = np.log(splits[1:])
    explained = np.abs(moves + reported) < np.abs(reported) / 2
    return _flags(len(closes), explained & (np.abs(reported) > _SMALLEST_SPLIT))


def _flags(rows: int, off: npt.NDArray[np.bool_]) -> Floats:
    """Return 1.0 for a good row and 0.0 for a row that is off; `off` begins at row 1."""
    flags = np.ones(rows)
    flags[1:] = ~off
    return flags
