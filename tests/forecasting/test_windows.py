"""Which past rows predict which row, and that nothing later does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.forecasting.scale import fit_scaler
from pipeline.forecasting.split import split
from pipeline.forecasting.target import first_value, to_values
from pipeline.forecasting.windows import inputs, lay_windows, target_rows


def slow_inputs(values, targets, lookback):
    """The obvious loop."""
    return np.array([[values[row - back] for back in range(lookback, 0, -1)] for row in targets])


def test_the_window_of_a_row_is_the_rows_before_it():
    """arange(8), lookback 3: row 3 is seen as 0 1 2, row 7 as 4 5 6; row 8 is the session after the last."""
    windows = inputs(np.arange(8.0), range(3, 9), 3)
    assert windows[0].tolist() == [0, 1, 2]
    assert windows[4].tolist() == [4, 5, 6]
    assert windows[5].tolist() == [5, 6, 7]


@given(st.integers(1, 6), st.integers(0, 20), st.integers(1, 20))
def test_fast_windows_are_the_slow_ones(lookback, gap, count):
    """The strided view equals the loop."""
    targets = range(lookback + gap, lookback + gap + count)
    values = np.random.default_rng(0).normal(size=targets.stop)
    assert np.array_equal(inputs(values, targets, lookback), slow_inputs(values, targets, lookback))


def test_without_reach_back_a_part_loses_its_first_lookback_targets():
    """Part 10..19 with lookback 3 predicts 13..19; with reach back 10..19."""
    part = {"lookback": 3, "first_value": 0}
    assert target_rows(10, 20, reach_back=False, **part) == range(13, 20)
    assert target_rows(10, 20, reach_back=True, **part) == range(10, 20)


def test_a_part_that_is_too_short_has_no_targets():
    """Two rows cannot hold a window of three."""
    assert len(target_rows(10, 12, lookback=3, first_value=0, reach_back=False)) == 0


def test_the_tutorial_has_2330_and_508_windows():
    """The published notebook drops one of each; nothing here does."""
    laid = lay_windows(split(3038, 0.8, 0), lookback=100, first_value=0, reach_back=False)
    assert (len(laid.train), len(laid.validation), len(laid.test)) == (2330, 0, 508)
    assert laid.test == range(2530, 3038)


def test_daily_forecasts_every_test_row():
    """608 test rows; the first target of train needs 100 returns, the first of which is in row 1."""
    laid = lay_windows(split(3038, 0.8, 0.1), lookback=100, first_value=1, reach_back=True)
    assert laid.test == range(2430, 3038)
    assert laid.train.start == 101
    assert laid.train.stop == laid.validation.start == 2187


@pytest.mark.parametrize("target", ["close", "log_return"])
@given(data=st.data())
def test_no_later_row_changes_a_window_or_the_scaler(target, data):
    """Rows after t may be anything: windows up to t+1 and, for t in train, the scaler stay what they were."""
    closes = np.array(data.draw(st.lists(st.floats(1, 1000), min_size=30, max_size=60, unique=True)))
    t = data.draw(st.integers(12, len(closes) - 2))
    changed = closes.copy()
    changed[t + 1 :] = data.draw(st.floats(1, 1000))
    parts = split(len(closes), 0.8, 0.1)
    laid = lay_windows(parts, lookback=4, first_value=first_value(target), reach_back=True)
    for rows in (laid.train, laid.validation, laid.test):
        seen = range(rows.start, max(rows.start, min(rows.stop, t + 2)))
        before, after = (inputs(to_values(some, target), seen, 4) for some in (closes, changed))
        assert np.array_equal(before, after)
    if t >= parts.test - 1:
        first, second = (fit_scaler(to_values(some, target)[: parts.test], "minmax") for some in (closes, changed))
        assert first == second
