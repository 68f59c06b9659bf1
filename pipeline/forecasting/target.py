"""The target: values that the network sees and predicts, and their conversion to closes.

Target `close` is the price itself. Target `log_return` is r[t] = log(close[t] / close[t-1]); the forecast of a close is
then the close before it times exp(r). Both are one value per session, aligned with the rows of the history.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from pipeline.arrays import Floats

Target = Literal["close", "log_return"]


def to_values(closes: Floats, target: Target) -> Floats:
    """Return the target's value of each session, shape (n,); NaN for a session without one.

    Args:
        closes: prices, shape (n,), ascending by session.
        target: `log_return` has no value in row 0.
    """
    if target == "close":
        return closes.copy()
    return np.concatenate(([np.nan], np.diff(np.log(closes))))


def first_value(target: Target) -> int:
    """Return the first row with a value in `to_values`."""
    return 0 if target == "close" else 1


def to_closes(predicted: Floats, last_closes: Floats, target: Target) -> Floats:
    """Return forecasts of the close, shape (n,).

    Args:
        predicted: predicted values of the target, shape (n,).
        last_closes: the close of the session before each predicted one, shape (n,).
        target: the target of `predicted`.
    """
    if target == "close":
        return predicted.copy()
    return last_closes * np.exp(predicted)
