"""Chronological split: the oldest sessions train, the newest test, nothing is shuffled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.arrays import Dates


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


class Borders(NamedTuple):
    """The first session of validation and of test."""

    validation: np.datetime64
    test: np.datetime64


def common_borders(own: Sequence[Borders]) -> Borders:
    """Return one pair of borders for tickers that share a network: the median of their own, the earlier of two.

    With borders of its own, each ticker would teach the shared network dates that are another ticker's test rows.
    """
    middle = (len(own) - 1) // 2
    return Borders(
        sorted(one.validation for one in own)[middle],
        sorted(one.test for one in own)[middle],
    )


def borders_of(sessions: Dates, parts: Split) -> Borders:
    """Return the borders of a split of `sessions`, shape (n,)."""
    return Borders(sessions[parts.validation], sessions[parts.test])


def split_at(sessions: Dates, borders: Borders) -> Split:
    """Cut `sessions`, shape (n,), at dates: each part begins with the first session that is not before its border."""
    validation, test = np.searchsorted(sessions, np.array([borders.validation, borders.test]))
    return Split(validation=int(validation), test=int(test), end=len(sessions))
