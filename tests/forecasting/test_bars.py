"""Bars and the variance that their range shows."""

import math

import numpy as np
import pytest

from pipeline.forecasting.bars import Bars, range_variance, returns


def bars(*rows):
    return Bars(*np.array(rows, dtype="float64").T)


def test_the_variance_by_hand():
    """Open 101, high 104, low 100, close 103 after a close of 100: Garman and Klass, and the night's return."""
    (first, second) = range_variance(bars((99, 101, 98, 100), (101, 104, 100, 103)))
    trading = 0.5 * math.log(104 / 100) ** 2 - (2 * math.log(2) - 1) * math.log(103 / 101) ** 2
    assert math.isnan(first)
    assert second == pytest.approx(trading + math.log(101 / 100) ** 2)


@pytest.mark.parametrize(
    "broken",
    [
        (0, 104, 100, 103),  # ^GSPC has an open of 0 in old rows
        (math.nan, 104, 100, 103),
        (101, math.nan, 100, 103),
        (101, 104, 0, 103),
        (101, 102, 100, 103),  # high below close
        (101, 104, 102, 103),  # low above open
        (math.inf, math.inf, 100, 103),
    ],
)
def test_an_unusable_row_has_the_squared_return(broken):
    """Its close is still known."""
    assert range_variance(bars((99, 101, 98, 100), broken))[1] == pytest.approx(math.log(1.03) ** 2)


def test_closes_alone_have_squared_returns():
    """As all that is known of them."""
    closes = np.array([100.0, 101.0, 99.0])
    np.testing.assert_allclose(range_variance(Bars.of_closes(closes)), returns(closes) ** 2)


def test_the_range_knows_the_variance_of_a_random_walk_better_than_the_close_does():
    """780 steps a day of 1 % a day: about the same mean, and an error several times smaller."""
    steps = np.random.default_rng(0).normal(0, 0.01 / math.sqrt(780), (2000, 780))
    paths = np.exp(np.cumsum(steps).reshape(2000, 780)) * 100
    last = np.concatenate(([100.0], paths[:-1, -1]))
    whole = np.column_stack((last, paths))
    day = Bars(last, whole.max(axis=1), whole.min(axis=1), paths[:, -1])
    by_range, by_close = range_variance(day)[1:], returns(day.close)[1:] ** 2
    assert by_range.mean() == pytest.approx(1e-4, rel=0.1)  # steps show too small a range
    assert by_range.std() < 0.5 * by_close.std()


def test_real_prices_have_a_range_in_nearly_every_row(netflix):
    """And on average about the variance of the closes."""
    columns = (netflix[name].to_numpy() for name in ("open", "high", "low", "close"))
    history = Bars(*columns)
    by_range = range_variance(history)[1:]
    assert (by_range > 0).all()
    assert by_range.mean() == pytest.approx((returns(history.close)[1:] ** 2).mean(), rel=0.25)
    assert history.up_to(5).close.tolist() == history.close[:5].tolist()
