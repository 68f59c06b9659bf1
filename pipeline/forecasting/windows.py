"""Windows: which past rows predict which row.

The window of target row t is rows t-lookback .. t-1, nothing later. With lookback 3:

    row                 0  1  2  3  4  5  6  7
    target 3            x  x  x  ?
    target 4               x  x  x  ?
    target 7                        x  x  x  ?

A part (train, validation, test) owns the target rows first..stop-1. With `reach_back` a window may take its inputs
from the part before. Without it all rows of a window lie inside the part, which then loses its first `lookback`
targets. A target always lies in its own part, so no test row is trained on. Rows before `first_value` have no value.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.arrays import Floats
from pipeline.forecasting import target
from pipeline.forecasting.split import Split
from pipeline.settings.preset import Preset


class Windows(NamedTuple):
    """The target rows of each part, without a gap."""

    lookback: int
    train: range
    validation: range
    test: range


class FittedRows(NamedTuple):
    """The parts of a history that a network was fitted by, and the rows that it predicts in each."""

    split: Split
    windows: Windows


def target_rows(first: int, stop: int, *, lookback: int, first_value: int, reach_back: bool) -> range:
    """Return the rows of the part `first..stop-1` with a whole window before them."""
    earliest = first_value if reach_back else max(first, first_value)
    return range(min(max(first, earliest + lookback), stop), stop)


def lay_windows(split: Split, *, lookback: int, first_value: int, reach_back: bool) -> Windows:
    """Return the target rows of each part.

    Args:
        split: the parts of the history.
        lookback: sessions in a window.
        first_value: first row with a value.
        reach_back: whether inputs may come from the part before.
    """

    def rows(first: int, stop: int) -> range:
        return target_rows(first, stop, lookback=lookback, first_value=first_value, reach_back=reach_back)

    return Windows(lookback, rows(0, split.validation), rows(split.validation, split.test), rows(split.test, split.end))


def inputs(values: Floats, targets: range, lookback: int) -> Floats:
    """Return the windows of the rows `targets`, shape (len(targets), lookback) or (..., k): a view, not a copy.

    Args:
        values: one value per row, shape (n,), or k values per row, shape (n, k).
        targets: predicted rows; `len(values)` may be the last of them, as the session after the last row.
        lookback: sessions in a window.
    """
    every = np.lib.stride_tricks.sliding_window_view(values, lookback, axis=0)  # every[i] = rows i .. i+lookback-1
    if values.ndim > 1:
        every = every.swapaxes(1, 2)  # (n - lookback + 1, lookback, k)
    return every[targets.start - lookback : targets.stop - lookback]


def windows_of(parts: Split, preset: Preset) -> Windows:
    """Return the target rows of each part under a preset."""
    return lay_windows(
        parts,
        lookback=preset.lookback,
        first_value=target.first_value(preset.target),
        reach_back=preset.reach_back,
    )
