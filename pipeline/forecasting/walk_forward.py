"""Walk-forward: each fold trains on the rows known at its time and forecasts the rows that follow.

With three folds over the test rows (`=` the network may see the row, `.` purged, `x` forecast):

    row      0                        first test row        end
    fold 1   ==========================.xxxxxxx
    fold 2   =================================.xxxxxxx
    fold 3   ========================================.xxxxxxx

Expanding folds, as drawn, keep all history. Sliding folds drop the oldest rows, so that each sees equally many:

    fold 3                 ==========================.xxxxxxx

The purge removes the last `HORIZON` rows before the first forecast, so that no target of training overlaps a forecast
one (López de Prado, "Advances in Financial Machine Learning", 7.4).
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

HORIZON = 1  # sessions ahead that a forecast looks


class Fold(NamedTuple):
    """The rows of one training and of its forecasts."""

    train: range  # rows that the network may see; their last part is validation
    test: range  # rows that it forecasts


def lay_folds(test: range, count: int, *, sliding: bool = False, purge: int = HORIZON) -> list[Fold]:
    """Return `count` folds that forecast each row of `test` once, in order, in parts that differ by one row at most.

    Args:
        test: rows to forecast; all rows before them are history.
        count: number of trainings, at least 1; a count above the number of test rows means one training per row.
        sliding: whether each fold sees as many rows as the first.
        purge: rows between the last row seen and the first row forecast.

    Raises:
        ValueError: without rows to see or without rows to forecast.
    """
    seen = test.start - purge
    if seen < 1 or not test or count < 1:
        msg = f"walk-forward needs history, test rows and at least one fold. Received: {test}, {count} folds"
        raise ValueError(msg)
    count = min(count, len(test))
    edges = [test.start + len(test) * fold // count for fold in range(count + 1)]
    folds = []
    for first, stop in pairwise(edges):
        train_stop = first - purge
        train_start = train_stop - seen if sliding else 0
        folds.append(Fold(range(train_start, train_stop), range(first, stop)))
    return folds
