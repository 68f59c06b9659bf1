"""Scores of intervals and quantiles: by hand, against slow references, and published examples."""

import math

import numpy as np
import pytest
from scipy.stats import chi2, norm

from pipeline.evaluation.distributions import (
    christoffersen,
    good_windows,
    inside,
    interval_score,
    kupiec_p_value,
    pinball,
    pit,
)

PROBABILITIES = np.arange(1, 20) / 20


def test_the_interval_score_by_hand():
    """Width 4; a miss by 1 costs 2 / 0.05 = 40 more at 95 %, and 10 more at 80 %."""
    actual = np.array([10.0, 13.0, 7.0])
    low, high = np.full(3, 8.0), np.full(3, 12.0)
    assert interval_score(actual, low, high, 0.95) == pytest.approx([4, 44, 44])
    assert interval_score(actual, low, high, 0.8) == pytest.approx([4, 14, 14])
    assert inside(actual, low, high).tolist() == [True, False, False]


def test_the_true_interval_has_the_lowest_expected_score():
    """Of a normal distribution, wider and narrower ones score worse."""
    draws = np.random.default_rng(0).normal(size=200_000)
    scores = [
        interval_score(draws, -np.full(len(draws), w), np.full(len(draws), w), 0.95).mean() for w in (1.7, 1.96, 2.3)
    ]
    assert scores[1] < min(scores[0], scores[2])


def test_pinball_against_a_slow_loop():
    """The textbook's two cases, one quantile after the other."""
    rng = np.random.default_rng(0)
    actual, quantiles = rng.normal(size=30), np.sort(rng.normal(size=(30, 19)), axis=1)
    fast = pinball(actual, quantiles, PROBABILITIES)
    for row in range(30):
        losses = []
        for probability, quantile in zip(PROBABILITIES, quantiles[row], strict=True):
            if actual[row] >= quantile:
                losses.append(probability * (actual[row] - quantile))
            else:
                losses.append((1 - probability) * (quantile - actual[row]))
        assert fast[row] == pytest.approx(sum(losses) / 19)


def hits(pattern):
    return np.array([sign == "." for sign in pattern])


def test_kupiec_of_the_published_table():
    """Kupiec's table 1995, as Jorion prints it: at 255 days and p = 5 %, 6 < misses < 21 are accepted at 5 %."""
    for misses, accepted in ((6, False), (7, True), (13, True), (20, True), (21, False)):
        row = np.ones(255, dtype=bool)
        row[:misses] = False
        assert (kupiec_p_value(row, 0.95) > 0.05) is accepted, misses


def test_kupiec_by_its_formula():
    """20 misses of 250 at 95 %; and no miss at all, where 0 log 0 is 0."""
    row = np.ones(250, dtype=bool)
    row[::13] = False
    misses = int((~row).sum())
    share = misses / 250
    statistic = -2 * math.log((0.95 ** (250 - misses) * 0.05**misses) / ((1 - share) ** (250 - misses) * share**misses))
    assert kupiec_p_value(row, 0.95) == pytest.approx(chi2.sf(statistic, 1))
    assert kupiec_p_value(np.ones(100, dtype=bool), 0.95) == pytest.approx(chi2.sf(-200 * math.log(0.95), 1))


def test_christoffersen_of_a_published_example():
    """Jorion, "Value at Risk", 3rd edition, box 6-2: J.P. Morgan 1998, 252 days, 20 misses, 6 of them after a miss.

    The book gives a statistic of 9.53 for T00 = 218, T01 = 14, T10 = 14, T11 = 6.
    """
    # Six pairs of misses in a row, and eight single ones: 14 ways in, 14 ways out, 6 from miss to miss.
    pattern = "." * 5 + ("xx" + "." * 12) * 6 + ("x" + "." * 16) * 8
    pattern += "." * (253 - len(pattern))
    missed = ~hits(pattern)
    counts = [int(np.sum((missed[:-1] == a) & (missed[1:] == b))) for a in (False, True) for b in (False, True)]
    assert counts == [218, 14, 14, 6]
    assert christoffersen(hits(pattern)).statistic == pytest.approx(9.53, abs=0.01)
    assert christoffersen(hits(pattern)).p_value == pytest.approx(0.002, abs=0.0005)


@pytest.mark.parametrize("pattern", ["." * 50, "x" * 50, "." * 49 + "x"])
def test_without_misses_to_compare_nothing_is_clustered(pattern):
    """No miss, only misses, or one in the last row."""
    assert christoffersen(hits(pattern)).p_value == pytest.approx(1, abs=0.9)
    assert 0 <= christoffersen(hits(pattern)).statistic < 1


def test_independent_misses_are_rejected_as_often_as_promised():
    """Of 2,000 series of 500 rows about 5 % at the 5 % level."""
    rng = np.random.default_rng(0)
    rejected = [christoffersen(rng.random(500) < 0.9).p_value < 0.05 for _ in range(2000)]
    assert np.mean(rejected) == pytest.approx(0.05, abs=0.02)


def test_the_transform_of_right_quantiles_is_even():
    """Draws of a log-normal beside its own quantiles: each tenth has a tenth of the rows."""
    draws = np.exp(np.random.default_rng(0).normal(0, 0.02, 20_000))
    quantiles = np.tile(np.exp(norm.ppf(PROBABILITIES, 0, 0.02)), (len(draws), 1))
    transformed = pit(draws, quantiles, PROBABILITIES)
    shares = np.histogram(transformed, 10, (0, 1))[0] / len(draws)
    assert shares == pytest.approx(0.1, abs=0.01)


def test_the_transform_by_hand():
    """On a quantile its probability, between two the middle, outside half of the rest."""
    quantiles = np.exp(np.tile(np.linspace(-0.9, 0.9, 19), (4, 1)))
    actual = np.exp([0.0, 0.05, -2.0, 2.0])
    assert pit(actual, quantiles, PROBABILITIES) == pytest.approx([0.5, 0.525, 0.025, 0.975])


def test_good_windows_by_hand():
    """Windows of 4 of ..x..: 3 of 4 hits in each; too few rows have no window."""
    assert good_windows(hits("..x.."), 4, 0.75, 0.8) == 1
    assert good_windows(hits("..x...."), 4, 0.75, 0.8) == 0.75
    assert math.isnan(good_windows(hits("..."), 4, 0.75, 0.8))
