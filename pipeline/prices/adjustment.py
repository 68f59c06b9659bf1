"""Adjusted closes as factors of the closes, to the last bit.

A dividend changes the adjusted close of every earlier session by one factor, and the closes of none. So a snapshot
keeps closes and factors apart: after a dividend only the factors are written again, about one byte per session.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.store.formats import columns_bytes, columns_of

Grid = Literal["single", "micro", "double"]
GRIDS: tuple[Grid, ...] = ("single", "micro", "double")
_MISSING = np.iinfo(np.int64).min
_STEP = 5e-5  # of the log factor: a smaller one is rounding, and the smallest dividend of the test prices is 8e-4


class Adjustment(NamedTuple):
    """The adjusted closes of a history, oldest first.

    adj_close = close x factor, rounded to a step of the grid, plus `residual` steps. Sources round: Yahoo delivers
    numbers of single precision, its files have 6 decimals. Each double is a step of the grid `double`.
    """

    grid: Grid
    factor: npt.NDArray[np.float64]  # shape (sessions,), equal between two dividends
    residual: npt.NDArray[np.int64]  # shape (sessions,), in steps of the grid; _MISSING where a price is missing

    def to_bytes(self) -> bytes:
        """Return the content of a Parquet file: a column with the name of the grid has the residuals."""
        return columns_bytes(**{"factor": self.factor, self.grid: self.residual})

    @classmethod
    def from_bytes(cls, data: bytes) -> Adjustment:
        """Return the object that `to_bytes` wrote."""
        columns = columns_of(data)
        grid = next(name for name in GRIDS if name in columns)
        return cls(grid, columns["factor"], columns[grid])


def factored(closes: npt.NDArray[np.float64], adjusted: npt.NDArray[np.float64]) -> Adjustment:
    """Return adjusted closes as factors; `restored` gives back each bit, except the payload of a NaN.

    Args:
        closes: shape (sessions,), oldest first; NaN where a price is missing.
        adjusted: likewise.
    """
    factor = _factors(closes, adjusted)
    missing = np.isnan(adjusted)
    for grid in GRIDS:
        residual = np.where(missing, _MISSING, _steps(adjusted, grid) - _steps(closes * factor, grid))
        made = Adjustment(grid, factor, residual)
        if same_bits(restored(closes, made), adjusted):
            return made
    message = f"The grid `double` holds every number. Received: {len(adjusted)} adjusted closes."
    raise AssertionError(message)


def restored(closes: npt.NDArray[np.float64], made: Adjustment) -> npt.NDArray[np.float64]:
    """Return the adjusted closes of `closes`; sessions after those of `made` continue its last factor."""
    more = max(len(closes) - len(made.factor), 0)
    factor = np.pad(made.factor, (0, more), mode="edge")[: len(closes)]
    residual = np.pad(made.residual, (0, more))[: len(closes)]
    missing = residual == _MISSING
    steps = _steps(closes * factor, made.grid) + np.where(missing, 0, residual)
    return np.where(missing, np.nan, _values(steps, made.grid))


def same_bits(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    """Return whether two arrays are equal to the last bit; all NaN are equal, and -0.0 is not 0.0."""
    signs = np.signbit(one) == np.signbit(other)
    return np.array_equal(one, other, equal_nan=True) and bool(np.all(signs | np.isnan(one)))


def _factors(closes: npt.NDArray[np.float64], adjusted: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return adjusted / close, with one value, the median, between two dividends."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = pd.Series(adjusted / closes)
    ratio = ratio.where(np.isfinite(ratio) & (ratio > 0)).ffill().bfill().fillna(1.0)
    between = (ratio.map(math.log).diff().abs() > _STEP).cumsum()
    return np.asarray(ratio.groupby(between).transform("median"), dtype="float64")


def _steps(values: npt.NDArray[np.float64], grid: Grid) -> npt.NDArray[np.int64]:
    """Return the nearest step of the grid; 0 where a value is missing or beyond the grid."""
    with np.errstate(over="ignore", invalid="ignore"):
        if grid == "single":
            return np.nan_to_num(values).astype("<f4").view("<i4").astype("int64")
        if grid == "micro":
            return np.nan_to_num(np.rint(values * 1e6), nan=0, posinf=0, neginf=0).astype("int64")
    return np.nan_to_num(values, posinf=np.inf, neginf=-np.inf).astype("<f8").view("<i8").astype("int64")


def _values(steps: npt.NDArray[np.int64], grid: Grid) -> npt.NDArray[np.float64]:
    """Return the numbers at steps of the grid."""
    if grid == "single":
        return steps.astype("<i4").view("<f4").astype("float64")
    if grid == "micro":
        return steps / 1e6
    return steps.astype("<i8").view("<f8").astype("float64")
