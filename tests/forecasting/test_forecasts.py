"""Forecasts as tables show them."""

import numpy as np
import pytest

from pipeline.forecasting.forecasts import NAMES, Forecasts, columns
from pipeline.forecasting.intervals import LEVELS

MADE = Forecasts(
    forecast=np.array([100.0, -5.0]),
    center=np.array([100.0, 0.01]),
    scale=np.array([0.02, 0.01]),
    half_widths=np.tile(np.array(LEVELS) / 50, (2, 1)),
)


def test_bounds_by_hand():
    """Level 95 has 1.9 scales of 2 %, even in logarithms, around the center."""
    low, high = MADE.interval(95)
    assert (low[0], high[0]) == (pytest.approx(100 * np.exp(-0.038)), pytest.approx(100 * np.exp(0.038)))
    assert 0 < low[1] < 0.01 < high[1]


def test_a_quantile_is_the_bound_of_an_interval():
    """The 5 and 95 % quantiles of the 90 % interval; the middle one is the center."""
    assert MADE.quantiles.shape == (2, 19)
    assert (MADE.quantiles[:, 0], MADE.quantiles[:, -1]) == (
        pytest.approx(MADE.interval(90).low), pytest.approx(MADE.interval(90).high),
    )  # fmt: skip
    assert MADE.quantiles[:, 9].tolist() == MADE.center.tolist()


def test_columns_have_one_name_each():
    """Forecast, three intervals, the scale and 19 quantiles."""
    named = MADE.columns()
    assert tuple(named) == NAMES
    assert len(NAMES) == 1 + 6 + 1 + 19
    assert all(column.shape == (2,) for column in named.values())


def test_rows_can_be_taken_from_both_ends():
    """All columns together."""
    assert MADE.first(1).forecast.tolist() == [100.0]
    assert MADE.last(1).columns()["scale"].tolist() == [0.01]


def test_the_code_of_earlier_versions_gets_five_columns():
    """Under the names that it knows, old and older."""
    assert list(MADE._asdict()) == ["forecast", "low_80", "high_80", "low_95", "high_95"]
    assert list(columns(MADE)) == ["forecast_usd", "low_80_usd", "high_80_usd", "low_95_usd", "high_95_usd"]
