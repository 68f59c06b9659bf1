"""References of the scale: against slow loops, by hand, and blind to later rows."""

import math

import numpy as np
import pytest

from pipeline.forecasting.bars import Bars, range_variance
from pipeline.forecasting.references import Garch, close_ewma, deviation, ewma, fit_garch, garch, range_ewma

FITTED = Garch(0.1, 0.05, 0.1, 0.8, 4.0)
CLOSES = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.02, 400)))


def slow_close_ewma(closes, window, row):
    """Return what `close_ewma` expects for a row, one return after another."""
    weights, squares = [], []
    for age in range(window):  # 0: the newest return that is known before `row`
        day = row - 1 - age
        weights.append(0.94**age)
        squares.append(math.log(closes[day] / closes[day - 1]) ** 2)
    return math.sqrt(sum(w * s for w, s in zip(weights, squares, strict=True)) / sum(weights))


def test_the_ewma_of_closes_against_a_slow_loop(netflix):
    """On Netflix, every 97th row and the session to come; the first rows have none."""
    closes = netflix["close"].to_numpy()
    fast = close_ewma(closes, 99)
    assert fast.shape == (len(closes) + 1,)
    assert np.isnan(fast[:100]).all()
    for row in [*range(100, len(closes), 97), len(closes)]:
        assert fast[row] == pytest.approx(slow_close_ewma(closes, 99, row))


def test_the_ewma_of_the_range_weighs_range_variances(netflix):
    """By hand for the session to come, with three rows."""
    bars = Bars(*(netflix[name].to_numpy() for name in ("open", "high", "low", "close")))
    oldest, middle, newest = range_variance(bars)[-3:]
    expected = (0.25 * oldest + 0.5 * middle + newest) / 1.75
    assert range_ewma(bars, 3, 0.5)[-1] == pytest.approx(math.sqrt(expected))


def test_a_price_that_stands_still_has_a_scale():
    """Small, and nothing is divided by 0; too few rows have none at all."""
    assert ewma(np.zeros(10), 3, 0.94)[4:].tolist() == [1e-4] * 7
    assert np.isnan(ewma(np.zeros(3), 3, 0.94)).all()
    assert deviation(np.full(10, 5.0)) == 1e-4


@pytest.mark.parametrize("scale_of", [lambda closes: close_ewma(closes, 5), lambda closes: garch(closes, FITTED, 5)])
def test_a_scale_knows_earlier_rows_only(scale_of):
    """Another close in row 300 changes entries 301 and later."""
    changed = CLOSES.copy()
    changed[300] *= 2
    before, after = scale_of(CLOSES), scale_of(changed)
    assert np.array_equal(before[:301], after[:301], equal_nan=True)
    assert (before[301:304] != after[301:304]).all()


def test_garch_against_its_equation(netflix):
    """One return after the other from the variance of train, for every 97th row; a fall counts more than a rise."""
    closes = netflix["close"].to_numpy()[:1500]
    fitted = fit_garch(closes[:1000])
    percents = 100 * np.diff(np.log(closes))
    assert fitted.start == pytest.approx(np.mean(percents[:999] ** 2))
    fast = garch(closes, fitted, 99)
    assert np.isnan(fast[:100]).all()
    for row in [*range(100, 1500, 97), 1500]:
        variance = fitted.start
        for value in percents[row - 100 : row - 1]:
            news = fitted.alpha + (fitted.gamma if value < 0 else 0)
            variance = fitted.omega + news * value**2 + fitted.beta * variance
        assert fast[row] == pytest.approx(math.sqrt(variance) / 100)
    assert fitted.alpha + fitted.gamma / 2 + fitted.beta < 1


def test_garch_of_a_price_that_stands_still():
    """A constant variance, and the least scale; too few rows have none."""
    fitted = fit_garch(np.full(50, 5.0))
    assert garch(np.full(50, 5.0), fitted, 5)[6:].tolist() == [1e-4] * 45
    assert np.isnan(garch(np.full(5, 5.0), fitted, 5)).all()


def test_garch_finds_the_parameters_of_a_simulated_market():
    """Persistence 0.95 of 20,000 returns."""
    rng = np.random.default_rng(0)
    draws = rng.standard_t(6, 20_000) * math.sqrt(4 / 6)
    variance, returns = 1.0, []
    for draw in draws:
        value = math.sqrt(variance) * draw
        returns.append(value)
        variance = 0.05 + (0.05 + (0.1 if value < 0 else 0)) * value**2 + 0.85 * variance
    fitted = fit_garch(100 * np.exp(np.cumsum(returns) / 100))
    assert fitted.beta == pytest.approx(0.85, abs=0.03)
    assert fitted.gamma == pytest.approx(0.1, abs=0.04)


def test_the_deviation_by_hand():
    """Of a rise and a fall of the same size it is that size."""
    assert deviation(np.array([100.0, 102.0, 100.0])) == pytest.approx(math.log(1.02))
