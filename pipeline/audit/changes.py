"""Changes of prices that a night must not notice: each returns a frame, and changes none."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from pipeline import calendar

LATER = 20  # sessions after the night, and sessions that a shorter history lacks
_PRICES = ("open", "high", "low", "close", "adj_close")


def with_later_sessions(frame: pd.DataFrame, name: str, as_of: dt.date) -> pd.DataFrame:
    """Return prices with sessions after the night, the first of them an unfinished bar; all at twice the price."""
    days = calendar.sessions(name, as_of, as_of + dt.timedelta(days=2 * LATER))[1 : LATER + 1]
    later = pd.concat([frame.tail(1) * 2] * len(days)).set_axis(days)
    return pd.concat([frame, later]).rename_axis("session")


def changed_since(frame: pd.DataFrame, since: pd.Timestamp, rng: np.random.Generator) -> pd.DataFrame:
    """Return prices that take another way from a session on; each bar keeps its order of open, high, low and close."""
    rows = frame.index >= since
    steps = rng.normal(0, 0.05, int(rows.sum()))
    changed = frame.copy()
    for name in _PRICES:
        if name in frame:
            changed.loc[rows, name] = frame.loc[rows, name] * np.exp(np.cumsum(steps))
    return changed


def permuted_sessions(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return prices whose returns come in a random order; each bar keeps its shape around its close."""
    closes = frame["close"].to_numpy("float64")
    order = rng.permutation(len(closes) - 1)
    moves = np.diff(np.log(closes))[order]
    walked = closes[0] * np.exp(np.concatenate(([0.0], np.cumsum(moves))))
    shapes = np.concatenate(([0], 1 + order))
    permuted = frame.copy()
    for name in _PRICES:
        if name in frame:
            permuted[name] = (frame[name].to_numpy() / closes)[shapes] * walked
    return permuted
