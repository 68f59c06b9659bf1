"""From closes to dollars and their intervals."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.forecasting import model
from pipeline.forecasting.bars import Bars
from pipeline.forecasting.forecaster import Recipe, columns, first_forecast, forecast
from pipeline.forecasting.recipe import Distribution
from pipeline.forecasting.references import Garch, garch
from tests.support.old_names import old_json

RECIPE = Recipe(
    ticker="AAA", calendar="XNYS", target="log_return", lookback=4, scaler_kind="standard", center=0.001, spread=0.02,
    weight=1.0, half_width_80=1.2, half_width_95=2.1, cutoff="2025-11-20", cutoff_close=100.0,
    return_edges=tuple(np.linspace(-0.02, 0.02, 9)),
)  # fmt: skip
CLOSES = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.02, 40)))


def amounts(made):
    """Return the columns that are prices; those of levels without a half-width are unknown."""
    return {name: made.columns()[name] for name in ("forecast", "low_80", "high_80", "low_95", "high_95")}


@pytest.fixture(scope="module")
def network():
    """Return a network whose forecasts are not constant."""
    return model.build(4, (3,))


@pytest.fixture(scope="module")
def flat():
    """Return a network that predicts scaled 0, the mean of train."""
    return model.build(4, (3,), zero_start=True)


def test_a_network_that_predicts_zero_forecasts_the_mean_return(flat):
    """Scaled 0 is the mean log return of train: the random walk with drift, in dollars."""
    made = forecast(flat, CLOSES, range(5, 41), RECIPE)
    assert made.forecast == pytest.approx(CLOSES[4:40] * np.exp(0.001))


def test_the_weight_mixes_with_naive(flat):
    """Weight 0 is the close before; a quarter is a quarter of the network's move."""
    rows, last = range(5, 41), CLOSES[4:40]
    assert forecast(flat, CLOSES, rows, RECIPE._replace(weight=0.0)).forecast.tolist() == last.tolist()
    quarter = forecast(flat, CLOSES, rows, RECIPE._replace(weight=0.25)).forecast
    assert quarter == pytest.approx(last + 0.25 * (last * np.exp(0.001) - last))


def test_the_interval_is_half_widths_times_the_volatility_of_the_window(flat):
    """By hand for one row: the three returns of its window, the newest weighted most."""
    made = forecast(flat, CLOSES, range(40, 41), RECIPE)
    returns = np.diff(np.log(CLOSES))[-3:]
    weights = np.array([0.94**2, 0.94, 1.0])
    volatility = np.sqrt((weights * returns**2).sum() / weights.sum())
    for level, width in ((80, 1.2), (95, 2.1)):
        low, high = made.interval(level)
        assert np.log(high / made.forecast)[0] == pytest.approx(width * volatility)
        assert np.log(made.forecast / low)[0] == pytest.approx(width * volatility)


def test_a_restatement_changes_the_dollars_and_nothing_else(network):
    """Rebased by a tenth, prices of a tenth give a tenth, whether the network sees returns or levels."""
    for target, center, spread in (("log_return", 0.001, 0.02), ("close", 80.0, 50.0)):
        recipe = RECIPE._replace(target=target, center=center, spread=spread)
        before = forecast(network, CLOSES, range(5, 41), recipe)
        after = forecast(network, CLOSES / 10, range(5, 41), recipe.rebased(0.1))
        for name, values in amounts(before).items():
            assert amounts(after)[name] == pytest.approx(values / 10, rel=1e-6)
        assert recipe.rebased(0.1).cutoff_close == pytest.approx(10)


@settings(max_examples=15, deadline=None)
@given(t=st.integers(6, 38), price=st.floats(1, 1000))
def test_no_later_row_changes_a_forecast(network, t, price):
    """Rows after t may be anything: forecasts and intervals up to the session after t stay what they were."""
    changed = CLOSES.copy()
    changed[t + 1 :] = price
    rows = range(5, t + 2)
    before, after = (forecast(network, closes, rows, RECIPE).columns() for closes in (CLOSES, changed))
    for name, values in before.items():
        assert np.array_equal(values, after[name], equal_nan=True)


@settings(max_examples=15, deadline=None)
@given(t=st.integers(5, 40), price=st.floats(1, 1000))
def test_the_closes_of_its_window_are_all_that_a_forecast_needs(network, t, price):
    """Older rows may be anything or missing: whoever asks the model with its last closes gets the same number."""
    changed = CLOSES.copy()
    changed[: t - 5] = price
    whole = forecast(network, CLOSES, range(t, t + 1), RECIPE)
    for closes, rows in ((changed, range(t, t + 1)), (CLOSES[t - 5 : t], range(5, 6))):
        other = forecast(network, closes, rows, RECIPE).columns()
        for name, values in whole.columns().items():
            assert other[name] == pytest.approx(values, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize(
    ("closes", "words"),
    [(CLOSES[:4], "last 5 closes"), (np.append(CLOSES, -1), "positive"), (np.append(CLOSES, np.nan), "positive")],
)
def test_closes_that_cannot_be_used_are_refused(network, closes, words):
    """Too few of them, or one that is no price."""
    assert first_forecast(RECIPE) == 5
    with pytest.raises(DataError, match=words):
        forecast(network, closes, range(5, len(closes) + 1), RECIPE)


def test_the_recipe_of_an_earlier_version_is_read():
    """Its close at the cutoff is called `cutoff_close_usd`."""
    old = old_json(RECIPE.to_json())
    assert json.loads(old)["cutoff_close_usd"] == 100.0
    assert Recipe.from_json(old) == RECIPE._replace(return_edges=list(RECIPE.return_edges))


def test_the_code_of_earlier_versions_gets_the_names_of_its_signature(network):
    """It calls `columns`, and then names its columns by the result."""
    made = forecast(network, CLOSES, range(39, 41), RECIPE)
    old = columns(made)
    assert list(old) == ["forecast_usd", "low_80_usd", "high_80_usd", "low_95_usd", "high_95_usd"]
    assert old["forecast_usd"] is made.forecast


WIDE = RECIPE._replace(
    distribution=Distribution(
        range_decay=0.85,
        log_variance_center=-8.0,
        log_variance_spread=1.0,
        unit=0.8,
        garch=Garch(0.1, 0.05, 0.1, 0.8, 4.0),
        garch_level=1.1,
        deviation=0.02,
        scale_weights=(1.0, 0.0, 0.0, 0.0, 0.0),
        calibration_rows=100,
        adaptive_step=0.005,
    ),
    half_widths=tuple(np.linspace(0.2, 2.0, 10)),
    weight=0.0,
)
BARS = Bars(CLOSES * 0.999, CLOSES * 1.02, CLOSES * 0.98, CLOSES)


def weighted(*weights):
    """Return the recipe with other weights of the scales."""
    return WIDE.with_scale_weights(*weights)


def test_a_fresh_network_of_a_distribution_is_the_reference():
    """It starts at zero: its scale is the EWMA of the range, and the forecast is naive."""
    fresh = model.build(4, (3,), zero_start=True, inputs=2, outputs=2)
    made = forecast(fresh, BARS, range(5, 41), weighted(0.0, 1.0, 0.0))
    assert made.forecast.tolist() == CLOSES[4:40].tolist()
    day = np.log(1.02 / 0.98) ** 2 / 2 - (2 * np.log(2) - 1) * np.log(1 / 0.999) ** 2
    nights = np.log(BARS.open[1:] / CLOSES[:-1]) ** 2
    weights = np.array([0.85**2, 0.85, 1.0])
    expected = np.sqrt(weights @ (day + nights[36:39]) / weights.sum())
    assert made.scale[-1] == pytest.approx(expected)


def test_the_scale_is_the_weighted_geometric_mean():
    """Of the range, the network and GARCH, each of which has weight 1 in turn."""
    trained = model.build(4, (3,), inputs=2, outputs=2)
    rows = range(5, 41)
    one, two, three = (forecast(trained, BARS, rows, weighted(*row)).scale for row in np.eye(5)[:3].tolist())
    assert (one != two).all()
    assert three == pytest.approx(1.1 * garch(CLOSES, WIDE.distribution.garch, 3)[5:41])
    mixed = forecast(trained, BARS, rows, weighted(0.2, 0.5, 0.3)).scale
    assert mixed == pytest.approx(one**0.2 * two**0.5 * three**0.3)


def test_the_recipe_of_a_distribution_is_read_back():
    """To the last digit."""
    assert Recipe.from_json(WIDE.to_json()) == WIDE._replace(return_edges=list(WIDE.return_edges))


@settings(max_examples=10, deadline=None)
@given(t=st.integers(6, 38), price=st.floats(1, 1000))
def test_no_later_bar_changes_a_distribution(t, price):
    """Opens, highs, lows and closes after t may be anything."""
    trained = model.build(4, (3,), inputs=2, outputs=2)
    changed = Bars(*(column.copy() for column in BARS))
    for column in changed:
        column[t + 1 :] = price
    before, after = (forecast(trained, bars, range(5, t + 2), WIDE).columns() for bars in (BARS, changed))
    for name, values in before.items():
        assert np.array_equal(values, after[name]), name


def test_quantiles_ascend_and_agree_with_the_intervals():
    """The 25 and 75 % quantiles are the bounds of the 50 % interval, the middle one is the forecast."""
    made = forecast(model.build(4, (3,), inputs=2, outputs=2), BARS, range(5, 41), WIDE)
    named = made.columns()
    assert (np.diff(made.quantiles, axis=1) >= 0).all()
    for name, bound in (
        ("q25", "low_50"),
        ("q75", "high_50"),
        ("q10", "low_80"),
        ("q90", "high_80"),
        ("q50", "forecast"),
    ):
        assert named[name].tolist() == named[bound].tolist()
