"""A network that was fitted to other histories."""

from typing import NamedTuple

import pytest

from pipeline.forecasting import inference, target, windows
from pipeline.forecasting.adoption import adopt
from pipeline.forecasting.fitting import fit, refit
from pipeline.forecasting.recipe import Recipe
from pipeline.forecasting.scale import fit_scaler
from pipeline.forecasting.split import split
from tests.forecasting.test_fitting import ROWS, TINY, history, market


def whole(bars, ticker):
    """Return a history of all rows."""
    scaler = fit_scaler(target.to_values(bars.close, TINY.target), TINY.scaler)
    laid = windows.windows_of(split(ROWS, 1.0, 0.0), TINY)
    return history(bars, ticker)._replace(laid=laid, train_stop=ROWS, cutoff="2025-11-21", scaler=scaler)


class Alone(NamedTuple):
    """The networks of one history."""

    network: inference.Network  # of the evaluation
    evaluated: Recipe
    served: Recipe


@pytest.fixture(scope="module")
def alone():
    """Fit and refit one history."""
    fitted = fit([history(market(0))], TINY, preset_name="daily")
    served = refit([whole(market(0), "AAA")], TINY, fitted, preset_name="daily")
    return Alone(inference.as_loaded(fitted.trained.network, fitted.recipes[0]), fitted.recipes[0], served.recipes[0])


def adopted(alone, bars, ticker):
    """Return the recipes of a history for the network of `alone`."""
    return adopt(alone.network, history(bars, ticker), whole(bars, ticker), TINY, preset_name="daily")


def test_the_history_of_the_network_gets_the_recipes_of_its_training(alone):
    """The same rows choose the same weights and intervals, to the last bit."""
    recipes = adopted(alone, market(0), "AAA")
    assert recipes.evaluated == alone.evaluated
    assert recipes.served == alone.served


def test_another_history_gets_recipes_of_its_own(alone):
    """Its scalers, its weights, its half-widths."""
    recipes = adopted(alone, market(1), "BBB")
    assert recipes.evaluated.ticker == "BBB"
    assert recipes.evaluated.center != alone.evaluated.center
    assert recipes.evaluated.half_widths != alone.evaluated.half_widths
    assert recipes.served.cutoff == "2025-11-21"
    assert recipes.served.half_widths == recipes.evaluated.half_widths


def test_no_row_after_the_border_changes_the_recipe_of_the_evaluation(alone):
    """Test rows are new to it."""
    bars = market(1)
    stop = history(bars).train_stop
    later = [column.copy() for column in bars]
    for column in later:
        column[stop:] *= 3
    assert adopted(alone, type(bars)(*later), "BBB").evaluated == adopted(alone, bars, "BBB").evaluated
