"""Conformal intervals: by hand, against a slow loop, and their promise kept where it can be checked."""

import math

import numpy as np
import pytest

from pipeline.evaluation.metrics import coverage
from pipeline.forecasting.intervals import around, calibrate, volatility


def slow_volatility(closes, window, row):
    """Return what `volatility` expects for a row, one return after another."""
    weights, squares = [], []
    for age in range(window):  # 0: the newest return that is known before `row`
        day = row - 1 - age
        weights.append(0.94**age)
        squares.append(math.log(closes[day] / closes[day - 1]) ** 2)
    return math.sqrt(sum(w * s for w, s in zip(weights, squares, strict=True)) / sum(weights))


def test_volatility_against_a_slow_loop(netflix):
    """On Netflix, every 97th row and the session to come; the first rows have none."""
    closes = netflix["close"].to_numpy()
    fast = volatility(closes, 99)
    assert fast.shape == (len(closes) + 1,)
    assert np.isnan(fast[:100]).all()
    for row in [*range(100, len(closes), 97), len(closes)]:
        assert fast[row] == pytest.approx(slow_volatility(closes, 99, row))


def test_volatility_knows_earlier_rows_only():
    """Another close in row 30 changes rows 31 and later."""
    closes = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.02, 50)))
    changed = closes.copy()
    changed[30] *= 2
    before, after = volatility(closes, 5), volatility(changed, 5)
    assert np.array_equal(before[:31], after[:31], equal_nan=True)
    assert (before[31:37] != after[31:37]).all()
    assert np.allclose(before[37:], after[37:])  # and is forgotten with its window


def test_a_price_that_stands_still_has_a_volatility():
    """Small, and nothing is divided by 0; too few rows have none at all."""
    assert volatility(np.full(10, 5.0), 3)[4:].tolist() == [1e-4] * 7
    assert np.isnan(volatility(np.full(3, 5.0), 3)).all()


def test_calibration_by_hand():
    """Of 19 residuals 1..19 the 95 % half-width is ceil(20 * 0.95) = 19th, the 80 % one ceil(20 * 0.8) = 16th."""
    residuals = np.random.default_rng(0).permutation(np.arange(1.0, 20.0))
    actual = 100 * np.exp(0.01 * residuals * np.where(residuals % 2, 1, -1))
    half_widths = calibrate(actual, np.full(19, 100.0), np.full(19, 100.0), np.full(19, 0.01))
    assert half_widths == {80: pytest.approx(16), 95: pytest.approx(19)}


@pytest.mark.parametrize(("rows", "ranks"), [(999, {80: 800, 95: 950}), (1000, {80: 801, 95: 951})])
def test_the_rank_of_many_rows_by_hand(rows, ranks):
    """Of residuals 1..n the half-width is the rank itself: ceil(1001 * 0.8) = 801 and ceil(1001 * 0.95) = 951."""
    residuals = np.random.default_rng(0).permutation(np.arange(1.0, rows + 1))
    actual = 100 * np.exp(0.001 * residuals)
    half_widths = calibrate(actual, np.full(rows, 100.0), np.full(rows, 100.0), np.full(rows, 0.001))
    assert half_widths == {level: pytest.approx(rank) for level, rank in ranks.items()}


def test_few_rows_take_the_largest():
    """With 4 rows there is no 95 % quantile of a fifth."""
    actual = 100 * np.exp(0.01 * np.arange(1.0, 5.0))
    still = np.full(4, 100.0)
    assert calibrate(actual, still, still, np.full(4, 0.01)) == {80: pytest.approx(4), 95: pytest.approx(4)}


def test_bounds_by_hand():
    """Two volatilities of 10 % around 100, even in logarithms; a forecast below 0 is 1/10,000 of the close."""
    last = np.array([100.0])
    (low, high) = around(np.array([100.0]), last, np.array([0.1]), {95: 2.0})[95]
    assert (low[0], high[0]) == (pytest.approx(100 / math.exp(0.2)), pytest.approx(100 * math.exp(0.2)))
    (low, high) = around(np.array([-5.0]), last, np.array([0.1]), {95: 2.0})[95]
    assert 0 < low[0] < 0.01 < high[0]


def test_intervals_do_not_depend_on_the_size_of_the_price():
    """A coin at 0.0000094 dollars has the intervals of one at 94 dollars, ten million times smaller."""
    closes = 94 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.02, 200)))
    forecast = closes[:-1] * 1.001
    bounds = []
    for unit in (1.0, 1e-7):
        last = unit * closes[:-1]
        spread = volatility(unit * closes, 20)[21:-1]
        widths = calibrate(unit * closes[21:], unit * forecast[20:], last[20:], spread)
        (low, high) = around(unit * forecast[20:], last[20:], spread, widths)[95]
        bounds.append((low / unit, high / unit))
    np.testing.assert_allclose(bounds[0], bounds[1])
    assert (bounds[0][1] / bounds[0][0] < 2).all()


@pytest.mark.parametrize("heavy", [False, True])
def test_new_rows_of_the_same_kind_lie_inside_as_often_as_promised(heavy):
    """1,000 calibrations on 99 rows: mean coverage of 1,000 new ones is 80 and 95 %, whatever the distribution."""
    rng = np.random.default_rng(2)
    drawn = rng.standard_t(3, (1000, 1099)) if heavy else rng.normal(size=(1000, 1099))
    spread = np.exp(rng.normal(0, 0.5, 1099)) / 100  # known volatility of each row
    actual = 100 * np.exp(drawn * spread)
    still = np.full(1000, 100.0)
    inside = {80: [], 95: []}
    for rows in actual:
        bounds = around(still, still, spread[99:], calibrate(rows[:99], still[:99], still[:99], spread[:99]))
        for level, (low, high) in bounds.items():
            inside[level].append(coverage(rows[99:], low, high))
    for level, shares in inside.items():
        assert np.mean(shares) == pytest.approx(level / 100, abs=0.004)  # the exact expectation, four errors wide
