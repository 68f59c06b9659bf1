"""How much of the network is followed: by hand, against a slow search, and never without evidence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.metrics import diebold_mariano
from pipeline.forecasting.blend import blend, choose_scale_weights, choose_weight

RNG = np.random.default_rng(0)
LAST = 100 * np.exp(np.cumsum(RNG.normal(0, 0.02, 400)))
MOVED = RNG.normal(0, 0.02, 400)
ACTUAL = LAST * (1 + MOVED)


def test_blend_by_hand():
    """Half way between the last close and the forecast."""
    assert blend(np.array([110.0, 90.0]), np.array([100.0, 100.0]), 0.5).tolist() == [105.0, 95.0]
    assert blend(np.array([110.0]), np.array([100.0]), 0.0).tolist() == [100.0]
    assert blend(np.array([110.0]), np.array([100.0]), 1.0).tolist() == [110.0]


def test_noise_gets_no_weight():
    """A network that knows nothing is naive, weight 0 and not a small one, but for the chance of the 5 % test."""
    noises = (np.random.default_rng(seed).normal(0, 0.005, 400) for seed in range(1, 201))
    weights = [choose_weight(ACTUAL, LAST * (1 + noise), LAST) for noise in noises]
    assert np.mean([weight > 0 for weight in weights]) < 0.08


def test_a_network_that_knows_is_followed():
    """It says half of what comes: twice that would be best, more than all of it is not followed."""
    assert choose_weight(ACTUAL, LAST * (1 + MOVED / 2), LAST) == 1.0
    assert choose_weight(ACTUAL, LAST * (1 + 2 * MOVED), LAST) == pytest.approx(0.5)


def test_a_network_that_is_always_wrong_is_not_followed_backwards():
    """A negative weight would be a bet that it goes on being wrong."""
    assert choose_weight(ACTUAL, LAST * (1 - MOVED), LAST) == 0.0


def test_few_rows_and_no_move_give_no_weight():
    """The Diebold-Mariano test needs 10 rows: a perfect network gets weight 0 on 9 rows and weight 1 on 10."""
    assert choose_weight(ACTUAL[:9], ACTUAL[:9], LAST[:9]) == 0.0
    assert choose_weight(ACTUAL[:10], ACTUAL[:10], LAST[:10]) == 1.0
    assert choose_weight(ACTUAL, LAST, LAST) == 0.0


def test_noise_that_repeats_itself_gets_no_weight_either():
    """Ten equal rows are one piece of evidence, not ten: a test without lags follows 38 of these 200 networks."""
    followed = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        moved = np.repeat(generator.normal(0, 0.02, 40), 10)
        forecast = np.repeat(generator.normal(0, 0.02, 40), 10)
        last = np.full(400, 100.0)
        followed += choose_weight(last * (1 + moved), last * (1 + forecast), last) > 0
    assert followed <= 10


@pytest.mark.parametrize(("rows", "share"), [(400, 0.05), (12, 0.4)])
def test_the_weight_is_kept_where_the_common_test_rejects_naive(rows, share):
    """The rule is the p value of `diebold_mariano` on returns, below 5 %, on 200 networks near that limit."""
    moved = MOVED[:rows]
    last = LAST[:rows]
    followed = 0
    for seed in range(200):
        forecast = share * moved + np.random.default_rng(seed).normal(0, 0.01, rows)
        weight = choose_weight(ACTUAL[:rows], last * (1 + forecast), last)
        best = np.clip(moved @ forecast / (forecast @ forecast), 0, 1)
        p_worse = diebold_mariano(moved, np.zeros(rows), best * forecast).p_worse
        assert weight == pytest.approx(best if p_worse < 0.05 else 0.0)
        followed += weight > 0
    assert 20 < followed < 180


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0.2, 3), noise=st.floats(0, 0.02), unit=st.floats(0.01, 1000))
def test_the_weight_is_the_best_of_a_slow_search_in_any_currency(share, noise, unit):
    """Least squares on returns, from 0 to 1, and the same in cents."""
    said = share * MOVED + noise * np.random.default_rng(1).normal(size=400)
    weight = choose_weight(ACTUAL, LAST * (1 + said), LAST)
    tried = np.linspace(0, 1, 1001)
    best = tried[np.argmin([np.sum((MOVED - one * said) ** 2) for one in tried])]
    assert weight == pytest.approx(best, abs=2e-3)
    assert choose_weight(unit * ACTUAL, unit * LAST * (1 + said), unit * LAST) == pytest.approx(weight)


def test_shrinking_draws_the_weight_towards_naive():
    """As if 250 further rows asked for it: of weight 1, 400 rows keep 400 / 650."""
    known = LAST * (1 + MOVED / 2)
    assert choose_weight(ACTUAL, known, LAST, shrink=True) == pytest.approx(400 / 650)


def scales(rows, seed=0):
    """Return returns of a known scale, and the logs of that scale, of a noisy one, and of a constant."""
    rng = np.random.default_rng(seed)
    log_scale = rng.normal(0, 0.7, rows)
    returns = 0.02 * np.exp(log_scale) * rng.standard_t(5, rows)
    return returns, np.column_stack((log_scale, log_scale + rng.normal(0, 1.5, rows), np.zeros(rows)))


def test_the_scale_that_knows_gets_the_weight():
    """With many rows nearly all of it; the weights add up to 1."""
    weights = choose_scale_weights(*scales(20_000))
    assert weights[0] > 0.95
    assert sum(weights) == pytest.approx(1)


def test_few_rows_stay_near_equal_weights():
    """10 rows move no weight by more than 10 / 260 of the way."""
    weights = choose_scale_weights(*scales(10))
    assert max(abs(weight - 1 / 3) for weight in weights) <= 2 / 3 * 10 / 260 + 1e-12


def test_the_level_of_a_scale_is_no_evidence():
    """It is calibrated later: a scale times 10 gets the weights that it had."""
    returns, logs = scales(500)
    assert choose_scale_weights(returns, logs + np.log(10)) == pytest.approx(choose_scale_weights(returns, logs))


def test_closes_that_never_moved_prefer_no_scale():
    """Equal weights."""
    assert choose_scale_weights(np.zeros(50), np.zeros((50, 3))) == pytest.approx([1 / 3] * 3)
