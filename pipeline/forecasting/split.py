"""Chronological split: the oldest sessions train, the newest test, nothing is shuffled."""

from __future__ import annotations

from typing import NamedTuple


class Split(NamedTuple):
    """First rows of the parts of a history of `end` rows.

    0 ............ validation ...... test ............ end
    |     fit      |   validation    |      test       |
    '------------ train -------------'
    """

    validation: int
    test: int
    end: int


def split(rows: int, train_fraction: float, validation_fraction: float) -> Split:
    """Cut `rows` sessions into train and test, and the last part of train off for validation.

    Args:
        rows: sessions in the history.
        train_fraction: share of the history for train, rounded down to whole sessions.
        validation_fraction: share of train for validation, rounded down; 0 gives an empty validation part.
    """
    test = int(rows * train_fraction)
    return Split(validation=test - int(test * validation_fraction), test=test, end=rows)
