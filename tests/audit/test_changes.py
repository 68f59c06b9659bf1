"""Changed prices stay prices, and only the rows that may change do."""

import datetime as dt

import numpy as np
import pandas as pd

from pipeline.audit import changes

DAYS = pd.date_range("2025-11-03", periods=15, freq="B", name="session")
FRAME = pd.DataFrame(
    {"open": 99.0, "high": 102.0, "low": 98.0, "close": np.linspace(100, 101, 15), "adj_close": 50.0, "volume": 9.0},
    index=DAYS,
)


def test_later_rows_change_and_earlier_ones_stay():
    """Each bar keeps its order, so the change is one that a market could make."""
    changed = changes.changed_since(FRAME, DAYS[10], np.random.default_rng(0))
    pd.testing.assert_frame_equal(changed[:10], FRAME[:10])
    assert (changed["close"][10:] != FRAME["close"][10:]).all()
    assert (changed["low"] <= changed["close"]).all()
    assert (changed["close"] <= changed["high"]).all()


def test_permuted_sessions_have_the_same_returns_in_another_order():
    """And the same first close."""
    permuted = changes.permuted_sessions(FRAME, np.random.default_rng(0))
    moves = [np.sort(np.diff(np.log(one["close"]))) for one in (FRAME, permuted)]
    np.testing.assert_allclose(*moves)
    assert permuted["close"].iloc[0] == 100
    assert (permuted["low"] <= permuted["close"]).all()


def test_later_sessions_follow_the_night():
    """The first of them is the session in progress."""
    longer = changes.with_later_sessions(FRAME, "XNYS", dt.date(2025, 11, 21))
    assert len(longer) == len(FRAME) + changes.LATER
    assert longer.index[len(FRAME)] == pd.Timestamp("2025-11-24")
