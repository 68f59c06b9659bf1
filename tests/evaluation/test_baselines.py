"""Simple forecasts: by hand, against slow loops, on real prices, and blind to what comes later."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.tsa.ar_model import AutoReg

from pipeline.evaluation.baselines import ar1, drift, fit_ar1, naive
from pipeline.evaluation.metrics import rmse

TEST = range(2430, 3038)  # of Netflix


def log_return(closes, row):
    return math.log(closes[row] / closes[row - 1])


def drift_slowly(closes, targets, train_stop):
    """One row after the other, from the definition."""
    train = [log_return(closes, row) for row in range(1, train_stop)]
    return [closes[row - 1] * math.exp(sum(train) / len(train)) for row in targets]


def ar1_slowly(closes, targets, train_stop):
    """The slope is covariance over variance, the constant puts the line through the means."""
    pairs = [(log_return(closes, row - 1), log_return(closes, row)) for row in range(2, train_stop)]
    mean_x, mean_y = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
    phi = sum((x - mean_x) * (y - mean_y) for x, y in pairs) / sum((x - mean_x) ** 2 for x, _ in pairs)
    const = mean_y - phi * mean_x
    return [closes[row - 1] * math.exp(const + phi * log_return(closes, row - 1)) for row in targets]


def test_naive_is_the_close_before():
    """Rows 2 and 3 are forecast as the closes of rows 1 and 2."""
    assert naive(np.array([1.0, 2.0, 3.0, 4.0]), range(2, 4)).tolist() == [2.0, 3.0]


def test_drift_by_hand():
    """Train goes from 1 to 4 dollars in two sessions: each doubles, and so does every forecast."""
    assert drift(np.array([1.0, 3.0, 4.0, 5.0]), range(3, 5), 3) == pytest.approx([8.0, 10.0])


def test_ar1_by_hand():
    """Log returns 1, 0, 1, 0 lie on the line 1 - r: after 0 comes 1, after 1 comes 0."""
    closes = np.exp(np.array([0.0, 1.0, 1.0, 2.0, 2.0]))
    assert fit_ar1(closes) == pytest.approx((1, -1))
    assert ar1(closes, range(4, 6), 5) == pytest.approx(np.exp([2.0, 3.0]))


@pytest.mark.parametrize(("forecaster", "slowly"), [(drift, drift_slowly), (ar1, ar1_slowly)])
def test_netflix_against_slow_loops(netflix, forecaster, slowly):
    """The 608 test rows of real prices, and the session after the last."""
    closes, rows = netflix["close"].to_numpy(), range(TEST.start, TEST.stop + 1)
    assert forecaster(closes, rows, TEST.start) == pytest.approx(slowly(closes.tolist(), rows, TEST.start), rel=1e-12)


def test_rmse_of_netflix(netflix):
    """To six digits: following the past growth costs 3 cents of RMSE, following the last return another 6."""
    closes = netflix["close"].to_numpy()
    actual = closes[TEST.start :]
    assert rmse(actual, naive(closes, TEST)) == pytest.approx(13.544158, abs=5e-7)
    assert rmse(actual, drift(closes, TEST, TEST.start)) == pytest.approx(13.575001, abs=5e-7)
    assert rmse(actual, ar1(closes, TEST, TEST.start)) == pytest.approx(13.634926, abs=5e-7)


def test_ar1_agrees_with_autoreg(netflix):
    """The class that statsmodels has for it finds the same two numbers."""
    train = netflix["close"].to_numpy()[: TEST.start]
    assert fit_ar1(train) == pytest.approx(AutoReg(np.diff(np.log(train)), lags=1).fit().params, rel=1e-9)


@pytest.mark.filterwarnings("ignore:The design matrix is rank-deficient")  # flat or steadily growing prices
@pytest.mark.parametrize("price", [50.0, np.exp(np.arange(8) / 10)])
def test_prices_without_noise_go_on_as_before(price):
    """A flat price stays and steady growth goes on; a slope without information does no harm."""
    closes = np.broadcast_to(price, 8)
    growth = closes[1] / closes[0]
    for forecaster in (drift, ar1):
        assert forecaster(closes, range(6, 9), 6) == pytest.approx(closes[5:8] * growth)


PRICES = st.lists(st.floats(10, 1000), min_size=12, max_size=12)


@pytest.mark.filterwarnings("ignore:The design matrix is rank-deficient")  # flat or steadily growing prices
@pytest.mark.parametrize("forecaster", [drift, ar1])
@given(prices=PRICES, later=PRICES, row=st.integers(8, 11))
def test_no_later_row_influences_a_forecast(forecaster, prices, later, row):
    """Other closes from row t on leave the forecast of row t, and of the test rows before it, as they were."""
    rows, changed = range(8, row + 1), np.array([*prices[:row], *later[row:]])
    assert forecaster(changed, rows, 8).tolist() == forecaster(np.array(prices), rows, 8).tolist()


@pytest.mark.filterwarnings("ignore:The design matrix is rank-deficient")  # flat or steadily growing prices
@pytest.mark.parametrize("forecaster", [drift, ar1])
@given(prices=PRICES, later=PRICES)
def test_what_train_taught_does_not_know_the_test_rows(forecaster, prices, later):
    """The forecast of row 12 is made of train (rows 0 to 7) and of rows 10 and 11: changing 8 and 9 changes nothing."""
    closes, changed = np.array(prices), np.array([*prices[:8], *later[8:10], *prices[10:]])
    row = range(12, 13)
    assert forecaster(changed, row, 8).tolist() == forecaster(closes, row, 8).tolist()


@pytest.mark.parametrize("forecaster", [drift, ar1])
def test_the_closes_are_left_as_they_were(forecaster):
    """A frozen array is as good as any."""
    closes = np.array([3.0, 4.0, 6.0, 5.0, 7.0, 8.0])
    closes.flags.writeable = False
    forecaster(closes, range(5, 6), 5)
