"""The recipe: its file, and what follows from it."""

import json

import numpy as np
import pytest

from pipeline.forecasting.intervals import LEVELS
from pipeline.forecasting.recipe import Distribution, Recipe
from pipeline.forecasting.references import Garch

POINT = Recipe(
    ticker="AAA", calendar="XNYS", target="log_return", lookback=4, scaler_kind="standard", center=0.001, spread=0.02,
    weight=1.0, half_width_80=1.2, half_width_95=2.1, cutoff="2025-11-20", cutoff_close=100.0, return_edges=[0.0],
)  # fmt: skip
GARCH = Garch(0.1, 0.05, 0.1, 0.8, 4.0)
WIDE = POINT._replace(
    distribution=Distribution(0.85, -8.0, 1.0, 0.8, GARCH, 1.1, 0.02, (0.2, 0.5, 0.3, 0.0, 0.0), 100, 0.005)
)


def test_it_is_read_back_to_the_last_digit():
    """With and without a distribution."""
    for recipe in (POINT, WIDE.with_widths(np.linspace(0.1, 2.3, len(LEVELS)))):
        assert Recipe.from_json(recipe.to_json()) == recipe


def test_a_recipe_of_earlier_code_has_two_half_widths():
    """Those of other levels are unknown."""
    values = json.loads(POINT.to_json())
    for name in ("half_widths", "distribution"):
        del values[name]
    recipe = Recipe.from_json(json.dumps(values).encode())
    assert recipe == POINT
    assert np.isfinite(recipe.widths).tolist() == [level in {80, 95} for level in LEVELS]


def test_other_half_widths_have_their_names_too():
    """The fields of earlier code stay true."""
    recipe = POINT.with_widths(np.arange(1.0, 11.0))
    assert (recipe.half_width_80, recipe.half_width_95) == (8.0, 10.0)
    assert recipe.widths.tolist() == list(range(1, 11))


def test_a_restatement_changes_amounts_only():
    """Of a distribution only the close at the cutoff."""
    assert WIDE.rebased(0.1) == WIDE._replace(cutoff_close=pytest.approx(10))
    assert POINT._replace(target="close").rebased(0.1).spread == pytest.approx(0.002)


def test_the_first_forecast_needs_a_window_and_a_scale():
    """A window of 4 returns needs 5 closes; so does a scale of 3 returns, with one to spare."""
    assert (POINT.first_forecast, POINT.scale_window) == (5, 3)
    assert POINT._replace(target="close").first_forecast == 4


def test_a_scale_alone_is_naive_with_its_own_half_widths():
    """GARCH's half-widths were calibrated on its own level, and are converted to that of the EWMA of the range."""
    alone = WIDE.with_scale_alone("garch", np.arange(1.0, 11.0))
    assert (alone.weight, alone.distribution.scale_weights) == (0.0, (0.0, 0.0, 1.0, 0.0, 0.0))
    level = WIDE.distribution.garch_level
    assert level != 1
    assert alone.widths * level == pytest.approx(np.arange(1.0, 11.0))
    assert WIDE.with_scale_alone("range", np.arange(1.0, 11.0)).half_widths[0] == 1.0
    assert not alone.uses_network
    assert WIDE.with_scale_weights(0.4, 0.6).uses_network
    assert WIDE.with_scale_weights(0.4, 0.6).distribution.scale_weights == (0.4, 0.6, 0.0, 0.0, 0.0)


def test_its_metrics_are_its_weights():
    """A point forecast has one."""
    assert POINT.metrics == {"weight": 1.0}
    assert WIDE.metrics == {
        "weight": 1.0, "scale_weight/range": 0.2, "scale_weight/network": 0.5, "scale_weight/garch": 0.3,
    }  # fmt: skip
