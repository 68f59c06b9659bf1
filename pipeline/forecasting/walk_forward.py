"""Walk-forward: train again and again on what was known at the time, and forecast what came next.

With three folds over the test rows (`=` the network may see it, `.` purged, `x` forecast):

    row      0                        first test row        end
    fold 1   ==========================.xxxxxxx
    fold 2   =================================.xxxxxxx
    fold 3   ========================================.xxxxxxx

Expanding, as drawn, keeps all history. Sliding forgets the oldest rows, so that each fold sees equally many:

    fold 3                 ==========================.xxxxxxx

The purge leaves out the last `horizon` rows before the first forecast, so that no target of training overlaps one that
is forecast (López de Prado, "Advances in Financial Machine Learning", 7.4).
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

HORIZON = 1  # sessions ahead that a forecast looks


class Fold(NamedTuple):
    """Rows of one origin."""

    train: range  # what the network may see; validation is its last part
    test: range  # what it forecasts, before the next fold is trained


def lay_folds(test: range, count: int, *, sliding: bool = False, purge: int = HORIZON) -> list[Fold]:
    """Return `count` folds that forecast each row of `test` once, in order, in parts that differ by one row at most.

    Args:
        test: rows to forecast; all rows before them are history.
        count: how often to train, at least 1; more than there are test rows counts as once per row.
        sliding: whether each fold sees as many rows as the first.
        purge: rows left out between what is seen and what is forecast.

    Raises:
        ValueError: when there are no rows to see, or none to forecast.
    """
    seen = test.start - purge
    if seen < 1 or not test or count < 1:
        msg = f"walk-forward needs history, test rows and at least one fold. Received: {test}, {count} folds"
        raise ValueError(msg)
    count = min(count, len(test))
    edges = [test.start + len(test) * fold // count for fold in range(count + 1)]
    return [
        Fold(range(first - purge - seen if sliding else 0, first - purge), range(first, stop))
        for first, stop in pairwise(edges)
    ]
