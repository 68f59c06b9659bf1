"""From closes to dollars."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import model
from pipeline.errors import DataError
from pipeline.forecaster import Recipe, first_forecast, forecast

RECIPE = Recipe("AAA", "log_return", 4, "standard", center=0.001, spread=0.02)
CLOSES = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.02, 40)))


@pytest.fixture(scope="module")
def network():
    """Return a network whose forecasts are not constant."""
    return model.build(4, (3,))


def test_a_network_that_predicts_zero_forecasts_the_mean_return():
    """Scaled 0 is the mean log return of train: the random walk with drift, in dollars."""
    flat = model.build(4, (3,), zero_start=True)
    forecasts = forecast(flat, CLOSES, range(5, 41), RECIPE)
    assert forecasts == pytest.approx(CLOSES[4:40] * np.exp(0.001))


@settings(max_examples=15, deadline=None)
@given(t=st.integers(6, 38), price=st.floats(1, 1000))
def test_no_later_row_changes_a_forecast(network, t, price):
    """Rows after t may be anything: forecasts up to the session after t stay what they were."""
    changed = CLOSES.copy()
    changed[t + 1 :] = price
    rows = range(5, t + 2)
    assert np.array_equal(forecast(network, CLOSES, rows, RECIPE), forecast(network, changed, rows, RECIPE))


@pytest.mark.parametrize(
    ("closes", "words"),
    [(CLOSES[:4], "last 5 closes"), (np.append(CLOSES, -1), "positive"), (np.append(CLOSES, np.nan), "positive")],
)
def test_closes_that_cannot_be_used_are_refused(network, closes, words):
    """Too few of them, or one that is no price."""
    assert first_forecast(RECIPE) == 5
    with pytest.raises(DataError, match=words):
        forecast(network, closes, range(5, len(closes) + 1), RECIPE)
