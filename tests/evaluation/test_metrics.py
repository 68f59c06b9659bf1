"""Error figures, by hand and on real prices."""

import random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.evaluation.baselines import ar1, drift, naive
from pipeline.evaluation.metrics import (
    bin_shares,
    coverage,
    decile_edges,
    diebold_mariano,
    direction_acc,
    mae,
    mape_pct,
    mase,
    mean_width,
    mse,
    psi,
    rmse,
    skill,
)

ACTUAL, FORECAST = np.array([10.0, 20.0, 40.0]), np.array([11.0, 18.0, 40.0])


# Forecast errors in thousandths; `test_diebold_mariano_agrees_with_r` has what R says of them. Source: dm_e1.csv,
# dm_e2.csv and diebold_mariano.csv in R/data of github.com/sipemu/anofox-statistics-rs at 48f27b7 (MIT).
R_BETTER = """
-205 -359 1682 244 605 1738 853 -431 -497 -905 1512 56 1210 138 -816 1636 445 -1646 1126 39 -1127 256 -781 -601 -1547
-1361 720 114 -657 1289 -296 -521 875 1089 1848 123 1284 -432 -1261 341 -1046 -77 -479 2926 2009 -858 328 -811 -270
560 -141 -413 -209 1873 -166 1657 -1830 771 -365 403 -147 22 297 -2639 -863 154 130 295 664 1866 -383 -2342 1023 -1773
-317 1574 -304 -1376 -37 90 537 -246 -196 1077 -102 430 542 393 -703 1398 886 711 191 -180 2016 -1599 1887 2158 70
-434
"""
R_WORSE = """
-3859 -2199 1956 -744 751 2429 1644 -373 -3163 -365 1045 -6 -1448 885 933 -727 1160 -882 2556 1454 -207 -1145 -2691
-1790 -80 -1776 1895 1229 -2465 2777 -2506 -160 573 1986 1683 2664 828 -690 -792 792 488 545 -3509 3875 1477 -3977
-251 1573 1777 -812 817 814 473 1233 -2624 1649 -3170 -362 294 2515 1161 232 -404 -2969 -4511 -2018 648 2688 1505 1916
-1759 -3753 -21 1384 -1962 1695 -547 -1333 -461 -176 2507 -719 -950 1043 -398 131 765 -2026 3 897 -759 -1033 -1479 238
-1643 -700 -613 3559 -267 -2901
"""


def test_figures_by_hand():
    """Errors -1, 2, 0: mean square 5/3, mean absolute 1, of 10, 20 and 40 dollars."""
    assert mse(ACTUAL, FORECAST) == pytest.approx(5 / 3)
    assert rmse(ACTUAL, FORECAST) == pytest.approx(np.sqrt(5 / 3))
    assert mae(ACTUAL, FORECAST) == pytest.approx(1)
    assert mape_pct(ACTUAL, FORECAST) == pytest.approx(100 * (0.1 + 0.1 + 0) / 3)
    assert mase(ACTUAL, FORECAST, np.array([1.0, 3.0, 7.0])) == pytest.approx(1 / 3)


def test_mase_has_no_yardstick_where_train_stood_still():
    """NaN, which `evaluate` leaves out, and no division by zero."""
    assert np.isnan(mase(ACTUAL, FORECAST, np.array([7.0, 7.0, 7.0])))


def test_skill_is_zero_for_naive_and_negative_for_worse():
    """Half the error is skill 0.5, double is -1."""
    assert skill(1.0, 1.0) == 0
    assert skill(0.5, 1.0) == 0.5
    assert skill(2.0, 1.0) == -1


@pytest.mark.parametrize(
    ("rows", "figure"),
    [(range(2430, 3038), 13.544158), (range(2530, 3038), 13.957808), (range(2530, 3037), 13.969344)],
)
def test_naive_rmse_of_netflix(netflix, rows, figure):
    """The reference figures of the data's own page, to six digits."""
    closes = netflix["close"].to_numpy()
    assert rmse(closes[rows.start : rows.stop], naive(closes, rows)) == pytest.approx(figure, abs=5e-7)


def test_other_naive_figures_of_netflix(netflix):
    """MAE, MAPE and the denominator of MASE, to six digits."""
    closes = netflix["close"].to_numpy()
    actual, forecast = closes[2430:], naive(closes, range(2430, 3038))
    assert mae(actual, forecast) == pytest.approx(8.761760, abs=5e-7)
    assert mape_pct(actual, forecast) == pytest.approx(1.940059, abs=5e-7)
    assert mae(actual, forecast) / mase(actual, forecast, closes[:2430]) == pytest.approx(2.121223, abs=5e-7)


def test_the_tutorials_formula_is_no_error_figure(netflix):
    """Scaled truth against dollars: a forecast without any error "scores" 512.54, worse than the published 507.01.

    This formula exists here and in the README, to explain that figure; nothing else computes it.
    """
    closes = netflix["close"].to_numpy()
    dollars = closes[2530:3037]
    scaled_truth = (dollars - closes[:2430].min()) / (closes[:2430].max() - closes[:2430].min())
    published = np.sqrt(np.mean((scaled_truth - dollars) ** 2))
    assert published == pytest.approx(512.535, abs=0.001)
    assert rmse(dollars, dollars) == 0


def test_direction_by_hand():
    """From 10 dollars: up said up, down said up, up said nothing, none said up: one right of the two that count."""
    actual, forecast = np.array([11.0, 9.0, 11.0, 10.0]), np.array([12.0, 12.0, 10.0, 12.0])
    assert direction_acc(actual, forecast, np.full(4, 10.0)) == 0.5


def test_naive_has_no_direction():
    """A forecast that never takes a side is neither right nor wrong."""
    assert np.isnan(direction_acc(ACTUAL, FORECAST, FORECAST))


def test_drift_always_says_up(netflix):
    """Its share of right sides on real prices is the share of sessions that rose: it says nothing else."""
    closes, rows = netflix["close"].to_numpy(), range(2430, 3038)
    actual, last = closes[2430:], naive(closes, rows)
    rose, fell = np.sum(actual > last), np.sum(actual < last)
    assert direction_acc(actual, drift(closes, rows, 2430), last) == pytest.approx(rose / (rose + fell))


def diebold_mariano_slowly(actual, forecast, other, horizon, lags):
    """Every pair of rows at most `lags` apart counts, the less the further apart."""
    loss = [(a - f) ** 2 - (a - o) ** 2 for a, f, o in zip(actual, forecast, other, strict=True)]
    rows, mean = len(loss), sum(loss) / len(loss)
    variance = 0.0
    for i in range(rows):
        for j in range(max(0, i - lags), min(rows, i + lags + 1)):
            variance += (1 - abs(i - j) / (lags + 1)) * (loss[i] - mean) * (loss[j] - mean) / rows
    few_rows = (rows + 1 - 2 * horizon + horizon * (horizon - 1) / rows) / rows
    return mean / (variance / rows) ** 0.5 * few_rows**0.5


@pytest.mark.parametrize(("rows", "horizon", "lags"), [(10, 1, 2), (100, 1, 4), (100, 8, 7), (40, 3, 3), (12, 11, 10)])
def test_diebold_mariano_against_a_slow_loop(rows, horizon, lags):
    """The lags come from the rule of 1994, or from the horizon where that asks for more."""
    drawn = np.random.default_rng(rows).normal(size=(3, rows))
    found = diebold_mariano(*drawn, horizon)
    assert found.lags == lags
    assert found.statistic == pytest.approx(diebold_mariano_slowly(*drawn, horizon, lags), rel=1e-9)


def test_diebold_mariano_on_netflix(netflix):
    """On 608 real rows AR(1) is significantly worse than doing nothing."""
    closes, rows = netflix["close"].to_numpy(), range(2430, 3038)
    compared = closes[2430:], ar1(closes, rows, 2430), naive(closes, rows)
    found = diebold_mariano(*compared)
    assert found.lags == 5
    assert found.statistic == pytest.approx(diebold_mariano_slowly(*compared, 1, 5), rel=1e-9)
    assert (found.statistic, found.p_worse) == pytest.approx((2.678351, 0.003799), abs=5e-7)


def test_diebold_mariano_of_a_published_example():
    """One session ahead, no lags: 1.2112523589452902, two-sided p 0.22868210381769466.

    README of github.com/johntwk/Diebold-Mariano-Test, made by `random.sample` of Python 2, which is spelled out here.
    """
    dice = random.Random(123)  # noqa: S311

    def sample():
        pool = list(range(100))
        for left in range(100, 0, -1):
            drawn = int(dice.random() * left)
            yield pool[drawn]
            pool[drawn] = pool[left - 1]

    actual, forecast, other = (np.array(list(sample()), dtype=float) for _ in range(3))
    found = diebold_mariano(actual, forecast, other, lags=0)
    assert found.statistic == pytest.approx(1.2112523589452902, rel=1e-12)
    assert 2 * found.p_worse == pytest.approx(0.22868210381769466, rel=1e-12)


@pytest.mark.parametrize(
    ("horizon", "statistic", "p"),
    [(1, 5.19425848151562, 5.50818094869588e-7), (3, 5.26421843810818, 8.1912407581098e-7 / 2)],
)
def test_diebold_mariano_agrees_with_r(horizon, statistic, p):
    """dm.test(..., varestimator = "bartlett") of R's package forecast; with errors rounded to 3 places."""
    worse, better = (np.array(errors.split(), dtype=float) for errors in (R_WORSE, R_BETTER))
    found = diebold_mariano(np.zeros(100), worse, better, horizon, lags=horizon - 1)
    assert found.statistic == pytest.approx(statistic, rel=1e-4)
    assert found.p_worse == pytest.approx(p, rel=2e-3)


PAIRS = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=10, max_size=30)


@given(pairs=PAIRS, unit=st.integers(2, 100))
def test_diebold_mariano_knows_no_unit(pairs, unit):
    """Cents give what dollars give."""
    forecast, other = np.array(pairs, dtype=float).T
    actual = np.zeros(len(pairs))
    in_cents = diebold_mariano(actual, forecast * unit, other * unit)
    assert in_cents == pytest.approx(diebold_mariano(actual, forecast, other), rel=1e-6, abs=1e-9)


@given(pairs=PAIRS)
@example(pairs=[(0, 6), (9, 7), (11, 0), (11, 0), (12, 3), (18, 20), (19, 40), (36, 0), (36, 40), (41, 36), (41, 46)])
def test_diebold_mariano_of_exchanged_forecasts(pairs):
    """The other sign and 1 - p, and the sign is that of the difference of the mean squared errors."""
    forecast, other = np.array(pairs, dtype=float).T
    actual = np.zeros(len(pairs))
    found, exchanged = diebold_mariano(actual, forecast, other), diebold_mariano(actual, other, forecast)
    assert exchanged.statistic == pytest.approx(-found.statistic, abs=1e-9)
    difference = np.sum(forecast**2 - other**2)  # of whole numbers: exact
    if difference:
        assert np.sign(found.statistic) == np.sign(difference)
    else:
        assert found.statistic == pytest.approx(0, abs=1e-9)  # the regression's mean is 0 but for rounding
    if np.ptp(forecast**2 - other**2):
        assert exchanged.p_worse == pytest.approx(1 - found.p_worse, abs=1e-9)


def test_forecasts_without_a_difference_are_not_worse():
    """The same errors, or errors on the other side of the truth: statistic 0 and p 1 for both."""
    closes = np.arange(12.0)
    assert diebold_mariano(closes, closes + 1, closes + 1) == (0, 1, 2)
    assert diebold_mariano(closes, closes + 1, closes - 1) == (0, 1, 2)


def test_a_difference_that_never_varies_is_beyond_doubt():
    """Always a dollar off against always right."""
    closes = np.arange(12.0)
    assert diebold_mariano(closes, closes + 1, closes) == (np.inf, 0, 2)
    assert diebold_mariano(closes, closes, closes + 1) == (-np.inf, 1, 2)


@pytest.mark.parametrize(("rows", "horizon"), [(9, 1), (12, 12)])
def test_too_few_rows_to_compare(rows, horizon):
    """Fewer than 10, or none that lies a whole horizon after the first."""
    closes = np.arange(float(rows))
    with pytest.raises(UsageError, match=f"Received: {rows} row"):
        diebold_mariano(closes, closes, closes, horizon)


def rejections(memory, lags):
    """Return how often equally good forecasts are told apart at 5 %; errors remember `memory` of the one before."""
    rng, found = np.random.default_rng(1), 0
    for _ in range(500):
        errors = rng.normal(size=(2, 120))
        for row in range(1, 120):
            errors[:, row] += memory * errors[:, row - 1]
        forecast, other = errors[:, 20:]
        found += diebold_mariano(np.zeros(100), forecast, other, lags=lags).p_worse < 0.05
    return found / 500


def test_equally_good_forecasts_are_seldom_told_apart():
    """About one time in 20 for errors without memory; with memory not much more often, thanks to the lags."""
    assert rejections(0.0, None) == pytest.approx(0.05, abs=0.02)
    assert rejections(0.5, None) == pytest.approx(0.05, abs=0.03)
    assert rejections(0.5, 0) > 0.08


def test_coverage_and_width_by_hand():
    """Of 10, 20 and 40 dollars, 10 lies on a bound, 20 inside, 40 outside; 2, 6 and 10 dollars are 6 on average."""
    low, high = np.array([10.0, 16.0, 41.0]), np.array([12.0, 22.0, 51.0])
    assert coverage(ACTUAL, low, high) == pytest.approx(2 / 3)
    assert mean_width(low, high) == pytest.approx(6)


def test_deciles_by_hand():
    """0 to 100 are cut at 10, 20 ... 90; the first bin holds 11 numbers because a value on an edge is in the lower."""
    values = np.arange(101.0)
    edges = decile_edges(values)
    assert edges == pytest.approx(np.arange(10, 100, 10))
    assert bin_shares(values, np.arange(10.0, 100, 10)) == pytest.approx(np.array([11] + [10] * 9) / 101)


def test_psi_by_hand():
    """Half and half becomes a quarter and three: -1/4 ln(1/2) + 1/4 ln(3/2), which is 1/4 ln 3."""
    assert psi(np.array([0.5, 0.5]), np.array([-1.0, 1.0, 2.0, 3.0]), np.array([0.0])) == pytest.approx(np.log(3) / 4)


def test_psi_of_the_same_values_is_zero():
    """Whatever the bins hold, empty ones included."""
    values = np.array([1.0, 1.0, 1.0, 5.0])
    edges = decile_edges(values)
    assert psi(bin_shares(values, edges), values, edges) == 0


def test_psi_of_an_empty_bin_is_large_but_finite():
    """Half of the past against one in ten thousand, and all against half."""
    by_hand = (0.0001 - 0.5) * np.log(0.0001 / 0.5) + (1 - 0.5) * np.log(1 / 0.5)
    assert psi(np.array([0.5, 0.5]), np.array([1.0, 2.0]), np.array([0.0])) == pytest.approx(by_hand)


def test_psi_without_any_change_depends_on_the_number_of_rows():
    """With ten bins it is about 9 / n; 250 rows are enough for 0.1 to mean something, 60 are not."""
    rng = np.random.default_rng(0)
    past = rng.normal(size=5000)
    edges = decile_edges(past)
    found = {n: [psi(bin_shares(past, edges), rng.normal(size=n), edges) for _ in range(200)] for n in (250, 60)}
    assert np.mean(found[250]) == pytest.approx(9 / 250, rel=0.15)
    assert np.quantile(found[250], 0.95) < 0.1
    assert np.median(found[60]) > 0.1


def test_psi_sees_twice_the_volatility():
    """Returns twice as wild as before are far beyond 0.25."""
    rng = np.random.default_rng(0)
    past = rng.normal(size=2000)
    edges = decile_edges(past)
    assert psi(bin_shares(past, edges), 2 * rng.normal(size=250), edges) > 0.25
