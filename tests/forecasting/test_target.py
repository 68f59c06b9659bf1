"""What the network predicts, and the way back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.forecasting.target import first_value, to_closes, to_values


def test_a_log_return_belongs_to_the_session_that_ends_it():
    """The first session has none; 100 to 110 is log(1.1) in the row of the 110."""
    values = to_values(np.array([100.0, 110.0, 99.0]), "log_return")
    assert np.isnan(values[0])
    assert values[1:] == pytest.approx([np.log(1.1), np.log(0.9)])
    assert first_value("log_return") == 1


def test_the_target_close_is_the_price_itself():
    """Nothing is computed, and the caller's array is not handed out."""
    closes = np.array([1.0, 2.0])
    values = to_values(closes, "close")
    values[0] = 9
    assert closes[0] == 1
    assert first_value("close") == 0


@pytest.mark.parametrize("target", ["close", "log_return"])
@given(st.lists(st.floats(0.01, 1e6), min_size=3, max_size=30))
def test_perfect_values_give_back_the_closes(target, prices):
    """To values and back to dollars is a round trip."""
    closes = np.array(prices)
    values = to_values(closes, target)
    assert to_closes(values[1:], closes[:-1], target) == pytest.approx(closes[1:], rel=1e-9)
