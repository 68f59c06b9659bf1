"""Conformal intervals: by hand, against a slow loop, and their promise kept where it can be checked."""

import math
from unittest.mock import patch

import numpy as np
import pytest

from pipeline.forecasting import intervals
from pipeline.forecasting.intervals import LEVELS, calibrate, center, residuals, roll

AT_80, AT_95 = LEVELS.index(80), LEVELS.index(95)


def test_calibration_by_hand():
    """Of 19 residuals 1..19 the 95 % half-width is ceil(20 * 0.95) = 19th, the 80 % one ceil(20 * 0.8) = 16th."""
    widths = calibrate(np.random.default_rng(0).permutation(np.arange(1.0, 20.0)))
    assert widths.tolist() == [2, 4, 6, 8, 10, 12, 14, 16, 18, 19]


@pytest.mark.parametrize(("rows", "ranks"), [(999, (800, 950)), (1000, (801, 951))])
def test_the_rank_of_many_rows_by_hand(rows, ranks):
    """Of residuals 1..n the half-width is the rank itself: ceil(1001 * 0.8) = 801 and ceil(1001 * 0.95) = 951."""
    widths = calibrate(np.random.default_rng(0).permutation(np.arange(1.0, rows + 1)))
    assert (widths[AT_80], widths[AT_95]) == ranks


def test_few_rows_take_the_largest():
    """With 4 rows there is no 95 % quantile of a fifth."""
    assert calibrate(np.arange(1.0, 5.0))[AT_80:].tolist() == [4, 4, 4]


def test_residuals_by_hand():
    """A rise and a fall of 4 % are two scales of 2 %; a forecast below 0 counts as 1/10,000 of the close before."""
    still = np.full(3, 100.0)
    actual = 100 * np.exp([0.04, -0.04, 0.0])
    assert residuals(actual, np.array([100.0, 100.0, -5.0]), still, np.full(3, 0.02)) == pytest.approx(
        [2, 2, math.log(10_000) / 0.02]
    )
    assert center(np.array([-5.0, 7.0]), np.array([100.0, 100.0])).tolist() == [0.01, 7.0]


def slow_roll(values, first, most, step):
    """Return what `roll` promises, one row and one level after the other."""
    rows = []
    misses = [1 - level / 100 for level in LEVELS]
    adapted = list(misses)
    for row in range(min(first, 100), len(values) + 1):
        known = sorted(values[max(0, row - most) : row])
        widths = []
        for share in adapted:
            rank = math.ceil((len(known) + 1) * (1 - share) - 1e-9)
            widths.append(known[min(max(rank, 1), len(known)) - 1])
        if row >= first:
            rows.append([max(widths[: at + 1]) for at in range(len(LEVELS))])
        if row < len(values):
            for at, width in enumerate(widths):
                missed = 1 if values[row] > width else 0
                adapted[at] = min(max(adapted[at] + step * (misses[at] - missed), 0.2 * misses[at]), 1)
    return np.array(rows)


@pytest.mark.parametrize("step", [0.0, 0.005, 0.05])
def test_rolling_against_a_slow_loop(step):
    """Residuals whose size doubles half-way, more and fewer than `most`."""
    values = np.abs(np.random.default_rng(0).standard_t(4, 400)) * np.repeat([1, 2], 200)
    for first, most in ((150, 100), (30, 1000), (400, 50)):
        fast = roll(values, first, most=most, step=step)
        assert fast.shape == (401 - first, len(LEVELS))
        np.testing.assert_array_equal(fast, slow_roll(values.tolist(), first, most, step))


def test_without_a_step_each_row_is_calibrated_on_the_rows_before_it():
    """The newest `most` of them."""
    values = np.abs(np.random.default_rng(1).normal(size=300))
    rolled = roll(values, 120, most=100, step=0)
    for at, row in enumerate(range(120, 301)):
        np.testing.assert_array_equal(rolled[at], calibrate(values[row - 100 : row]))


@pytest.mark.parametrize("row", [130, 199])
def test_no_row_changes_the_half_widths_up_to_its_own(row):
    """Another residual in row t changes the half-widths after t only."""
    values = np.abs(np.random.default_rng(2).normal(size=200))
    changed = values.copy()
    changed[row] = 50
    before, after = (roll(one, 110, most=60, step=0.02) for one in (values, changed))
    np.testing.assert_array_equal(before[: row - 109], after[: row - 109])
    assert (before[row - 109] != after[row - 109]).any()


def test_rows_that_were_computed_before_are_the_same(monkeypatch):
    """One residual more each night, a corrected one, a shorter history: as if nothing were remembered."""
    values = np.abs(np.random.default_rng(5).normal(size=260))
    corrected = np.where(np.arange(260) == 180, 9.0, values)
    histories = [
        *(values[:rows] for rows in range(200, 230)),
        corrected,
        values[:150],
        values,
        values[:100],
        values[:40],
    ]
    fast = [roll(one, min(110, len(one)), most=60, step=0.02) for one in histories]
    for history, made in zip(histories, fast, strict=True):
        monkeypatch.setattr(intervals, "_rolled", {})
        np.testing.assert_array_equal(made, roll(history, min(110, len(history)), most=60, step=0.02))


def test_only_new_rows_are_computed():
    """A night more of 2,000 residuals costs one row."""
    values = np.abs(np.random.default_rng(6).normal(size=2001))
    other = np.where(np.arange(2001) < 1200, values, 2 * values)  # of a network with the same rows before validation
    for one in (values, other):
        roll(one[:-1], 1500, most=1000, step=0.01)
    with patch.object(np, "sort", wraps=np.sort) as sorted_rows:
        for one in (values, other):
            roll(one, 1500, most=1000, step=0.01)
    assert sorted_rows.call_count == 4


def test_a_wider_level_has_no_narrower_interval():
    """Also where each level adapts by itself."""
    values = np.abs(np.random.default_rng(3).standard_t(2, 600))
    assert (np.diff(roll(values, 100, most=80, step=0.1), axis=1) >= 0).all()


def test_the_level_follows_a_market_that_becomes_wild():
    """Residuals twice as large: the adapting level brings most of the hits back, the fixed one does not in time."""
    values = np.abs(np.random.default_rng(4).normal(size=1500)) * np.repeat([1, 2], (1000, 500))
    inside = {
        step: np.mean(values[1000:] <= roll(values, 1000, most=1000, step=step)[:-1, AT_95]) for step in (0, 0.007)
    }
    assert inside[0] < 0.82
    assert inside[0.007] > 0.91


def test_no_level_asks_for_the_largest_residuals():
    """A miss on each of many rows: the interval of 95 % becomes that of 99 %, the 991st smallest of 1,000."""
    values = np.append(np.arange(1.0, 1001.0), np.arange(2001.0, 2101.0))
    last = roll(values, 1000, most=1000, step=0.05)[-1, AT_95]
    assert last == sorted(values[-1000:])[990]


@pytest.mark.parametrize("heavy", [False, True])
def test_new_rows_of_the_same_kind_lie_inside_as_often_as_promised(heavy):
    """1,000 calibrations on 99 rows: mean coverage of 1,000 new ones is 80 and 95 %, whatever the distribution."""
    rng = np.random.default_rng(2)
    drawn = np.abs(rng.standard_t(3, (1000, 1099)) if heavy else rng.normal(size=(1000, 1099)))
    inside = [np.mean(rows[99:, np.newaxis] <= calibrate(rows[:99]), axis=0) for rows in drawn]
    shares = np.mean(inside, axis=0)
    for at, level in ((AT_80, 80), (AT_95, 95)):
        assert shares[at] == pytest.approx(level / 100, abs=0.004)  # the exact expectation, four errors wide
