"""Backtest: what a night would have served on each test row, beside simpler forecasts of the same rows."""

import numpy as np
import pytest

from pipeline.evaluation.distributions import interval_score
from pipeline.forecasting import forecaster, windows
from pipeline.forecasting.backtest import backtest, forecasts_of, interval_p_worse, recipe_of_reference, scored
from pipeline.forecasting.bars import Bars
from pipeline.forecasting.fitting import fit
from pipeline.forecasting.split import split
from pipeline.forecasting.windows import FittedRows
from tests.forecasting.test_fitting import ROWS, TINY, history, market

PARTS = split(ROWS, TINY.train_fraction, TINY.validation_fraction)
FITTED = FittedRows(PARTS, windows.windows_of(PARTS, TINY))


@pytest.fixture(scope="module")
def network():
    """Return a fitted network and its recipe."""
    trained, (recipe,) = fit([history(market(0))], TINY, preset_name="daily")
    return trained.network, recipe


@pytest.fixture(scope="module")
def tested(network):
    """Return its backtest."""
    return backtest(*network, market(0), FITTED, TINY)


def test_all_forecasts_are_of_the_test_rows(tested):
    """140 rows, each with its close and the close before."""
    assert len(tested.actual) == len(FITTED.windows.test) == 140
    for made in (tested.made, tested.ewma, tested.reference):
        assert made.half_widths.shape == (140, 10)
    assert tested.naive.tolist() == market(0).close[559:699].tolist()
    assert tested.next_widths.shape == (10,)


@pytest.mark.parametrize("row", [560, 600, 699])
def test_no_row_changes_forecasts_and_intervals_up_to_its_own(network, tested, row):
    """Row t and all later ones may be anything: every forecast and bound for rows up to t stays to the last bit."""
    changed = Bars(*(np.where(np.arange(ROWS) >= row, column * 1.5, column) for column in market(0)))
    again = backtest(*network, changed, FITTED, TINY)
    kept = row - 559
    for name in ("made", "ewma", "reference"):
        before, after = getattr(tested, name).columns(), getattr(again, name).columns()
        for column, values in before.items():
            np.testing.assert_array_equal(values[:kept], after[column][:kept], err_msg=f"{name} {column}")
    assert again.reference_name == tested.reference_name


def test_the_reference_is_chosen_before_the_test_rows(network, tested):
    """Test rows of another market choose the same one."""
    other = market(5)
    changed = Bars(*(np.where(np.arange(ROWS) >= 560, new, old) for new, old in zip(other, market(0), strict=True)))
    assert backtest(*network, changed, FITTED, TINY).reference_name == tested.reference_name


def test_scores_are_means_over_the_test_rows_in_per_cent_of_the_last_close(tested):
    """By hand for the 95 % interval; the skills follow."""
    scores = scored(tested, market(0).close[:560])
    by_hand = {}
    for prefix, made in (("", tested.made), ("ewma_", tested.ewma), ("reference_", tested.reference)):
        score = interval_score(tested.actual, *made.interval(95), 0.95)
        by_hand[prefix] = float(np.mean(100 * score / tested.naive))
        assert getattr(scores, f"{prefix}interval_score_95_pct") == pytest.approx(by_hand[prefix])
    assert scores.interval_skill_95 == pytest.approx(1 - by_hand[""] / by_hand["ewma_"])
    assert scores.reference_skill_95 == pytest.approx(1 - by_hand[""] / by_hand["reference_"])
    assert scores.coverage_50 < scores.coverage_80 < scores.coverage_95
    assert scores.good_windows_95 is None  # fewer rows than a window has
    assert 0 <= scores.kupiec_95_p_value <= 1


def test_the_reference_can_take_the_place_of_the_network(network, tested):
    """Its recipe, served with tonight's half-widths, forecasts the row after the last as the reference does.

    The level of a scale differs from that of the reference by a constant, and the half-widths by its inverse.
    """
    model, recipe = network
    alone = recipe_of_reference(recipe, tested)
    again = forecasts_of(model, alone, market(0), FITTED)
    assert again.forecast.tolist() == tested.naive.tolist()
    served = forecaster.forecast(model, market(0), range(ROWS, ROWS + 1), alone)
    level = recipe.distribution.garch_level if tested.reference_name == "GJR-GARCH" else 1.0
    np.testing.assert_allclose(served.half_widths[0] * level, tested.reference_next_widths)
    np.testing.assert_allclose(again.scale, level * tested.reference.scale)
    assert tested.reference_alone.made is tested.reference


def test_an_interval_is_worse_only_with_evidence(tested):
    """Than itself it is not; three times as wide it is."""
    bounds = tested.made.interval(95)
    wide = type(bounds)(bounds.low * 0.8, bounds.high * 1.2)
    assert interval_p_worse(tested.actual, bounds, bounds, tested.naive) == 1.0
    assert interval_p_worse(tested.actual, wide, bounds, tested.naive) < 0.01
