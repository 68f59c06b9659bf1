"""Fitting: one network for one history or several, chosen on rows before the test rows."""

import numpy as np
import pytest

from pipeline.forecasting import model, target, windows
from pipeline.forecasting.bars import Bars
from pipeline.forecasting.fitting import History, Parts, calibration_rows, fit, refit, rolled_widths
from pipeline.forecasting.forecaster import predicted
from pipeline.forecasting.intervals import calibrate, residuals
from pipeline.forecasting.scale import fit_scaler
from pipeline.forecasting.split import split
from pipeline.settings import load_settings

TINY = (
    load_settings()
    .presets["daily"]
    .model_copy(update={"lookback": 5, "units": (3, 2), "epochs": 3, "batch_size": 64, "calibration_rows": 200})
)
ROWS = 700


def market(seed):
    """Return bars whose volatility comes in waves."""
    rng = np.random.default_rng(seed)
    size = 0.02 * np.exp(np.sin(np.arange(ROWS) / 15))
    close = 100 * np.exp(np.cumsum(size * rng.standard_t(5, ROWS) / 1.3))
    opened = np.concatenate(([100.0], close[:-1])) * np.exp(0.2 * size * rng.normal(size=ROWS))
    wide = np.exp(size * rng.uniform(0.2, 1.0, ROWS))
    return Bars(opened, np.maximum(opened, close) * wide, np.minimum(opened, close) / wide, close)


def history(bars, ticker="AAA", preset=TINY):
    """Return a history of which the last fifth is test."""
    parts = split(len(bars.close), preset.train_fraction, preset.validation_fraction)
    values = target.to_values(bars.close[: parts.test], preset.target)
    return History(
        ticker=ticker, calendar="XNYS", currency="USD", bars=bars, scaler=fit_scaler(values, preset.scaler),
        laid=windows.windows_of(parts, preset), cutoff="2025-01-02", train_stop=parts.test,
    )  # fmt: skip


@pytest.fixture(scope="module")
def fitted():
    """Return the network of two histories."""
    return fit([history(market(0)), history(market(1), "BBB")], TINY, preset_name="daily")


def test_each_history_has_its_own_recipe(fitted):
    """One network; scalers, weights and intervals of each ticker; the weights of the scales add up to 1."""
    one, other = fitted.recipes
    assert (one.ticker, other.ticker) == ("AAA", "BBB")
    assert one.center != other.center
    assert one.distribution.log_variance_center != other.distribution.log_variance_center
    for recipe in fitted.recipes:
        assert sum(recipe.distribution.scale_weights) == pytest.approx(1)
        assert all(width > 0 for width in recipe.half_widths)
        assert list(recipe.half_widths) == sorted(recipe.half_widths)


def test_no_row_after_train_changes_anything(fitted):
    """All test rows may be anything: network, scalers, best epoch, weights and intervals stay to the last bit."""
    changed = []
    for seed, ticker in ((0, "AAA"), (1, "BBB")):
        bars = market(seed)
        stop = history(bars).train_stop
        changed.append(history(bars, ticker)._replace(bars=Bars(*(_damaged(column, stop) for column in bars))))
    again = fit(changed, TINY, preset_name="daily")
    assert again.recipes == fitted.recipes
    assert again.trained.best_epoch == fitted.trained.best_epoch
    for one, other in zip(again.trained.network.get_weights(), fitted.trained.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def _damaged(column, stop):
    return np.where(np.arange(len(column)) >= stop, 7.0, column)


def test_the_rows_that_choose_the_weights_choose_no_epoch():
    """The first half of validation stops the training, the second half chooses; point uses all of it twice."""
    parts = Parts.of(history(market(0)), TINY)
    laid = history(market(0)).laid
    assert (parts.train, parts.stop.start, parts.choice.stop) == (
        laid.train,
        laid.validation.start,
        laid.validation.stop,
    )
    assert parts.stop.stop == parts.choice.start
    assert abs(len(parts.stop) - len(parts.choice)) <= 1
    point = TINY.model_copy(update={"output": "point"})
    assert Parts.of(history(market(0)), point) == Parts(laid.train, laid.validation, laid.validation)
    assert calibration_rows(laid._replace(validation=range(0))) == laid.train[-(len(laid.train) // 10) :]


def test_a_history_that_is_not_learned_gets_the_reference():
    """It changes no weight of the network, its forecast is naive, and its scale the EWMA of the range."""
    short, whole = history(market(1), "BBB"), history(market(0))
    alone = fit([whole], TINY, preset_name="daily")
    both = fit([whole, short], TINY, preset_name="daily", learned=[True, False])
    for one, other in zip(alone.trained.network.get_weights(), both.trained.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert both.recipes[0] == alone.recipes[0]
    assert (both.recipes[1].weight, both.recipes[1].distribution.scale_weights) == (0.0, (1.0, 0.0, 0.0, 0.0, 0.0))


def test_the_network_that_is_served_has_seen_every_row_and_keeps_the_choices(fitted):
    """Its cutoff and its scaler are those of all rows; weights and half-widths those of the evaluation."""
    whole = []
    for seed, ticker in ((0, "AAA"), (1, "BBB")):
        bars = market(seed)
        laid = windows.windows_of(split(ROWS, 1.0, 0.0), TINY)
        values = target.to_values(bars.close, "log_return")
        scaler = fit_scaler(values, "standard")
        whole.append(history(bars, ticker)._replace(laid=laid, train_stop=ROWS, cutoff="2025-11-21", scaler=scaler))
    served = refit(whole, TINY, fitted, preset_name="daily")
    assert len(served.trained.curves["loss"]) == fitted.trained.best_epoch
    for one, chosen in zip(served.recipes, fitted.recipes, strict=True):
        assert one.cutoff == "2025-11-21"
        assert one.center != chosen.center
        assert (one.weight, one.half_widths) == (chosen.weight, chosen.half_widths)
        assert one.distribution.scale_weights == chosen.distribution.scale_weights


def test_half_widths_roll_over_the_residuals_that_were_known(fitted):
    """Without a step they are the quantiles of the newest residuals, of the reference on train and of the network."""
    recipe = fitted.recipes[0]._replace(distribution=fitted.recipes[0].distribution._replace(adaptive_step=0.0))
    bars = market(0)
    rows = range(history(bars).laid.validation.start, ROWS)
    said = predicted(fitted.trained.network, bars, rows, recipe)
    widths = rolled_widths(said, bars, rows, recipe, 560)
    assert widths.shape == (141, 10)
    last = bars.close[rows.start - 1 : -1]
    weights = np.array(recipe.distribution.scale_weights)
    scale = np.exp(np.log(said.scales) @ weights)
    forecast = last + recipe.weight * (said.forecast - last)
    known = residuals(bars.close[rows.start :], forecast, last, scale)
    assert len(known) < 200
    newest = known[-100:]
    filled = calibrate(np.concatenate((_reference_residuals(bars, recipe, rows.start)[-(200 - len(known)) :], known)))
    np.testing.assert_allclose(widths[-1], filled)
    assert not np.allclose(widths[-1], calibrate(newest))


def _reference_residuals(bars, recipe, stop):
    from pipeline.forecasting.references import range_ewma

    scale = range_ewma(bars, recipe.scale_window, 0.85)[:stop]
    moves = np.abs(np.concatenate(([0.0], np.diff(np.log(bars.close)))))[:stop]
    return (moves / scale)[recipe.first_forecast :]


def test_point_is_fitted_as_before():
    """Two half-widths by one calibration on validation, the weight chosen there too, no distribution."""
    preset = (
        load_settings()
        .presets["point"]
        .model_copy(update={"lookback": 5, "units": (3, 2), "epochs": 3, "batch_size": 64})
    )
    mine = history(market(0), preset=preset)
    trained, (recipe,) = fit([mine], preset, preset_name="point")
    assert recipe.distribution is None
    assert (recipe.half_width_80, recipe.half_width_95) == (recipe.half_widths[7], recipe.half_widths[9])
    assert model.predict(trained.network, np.zeros((2, 5))).shape == (2, 1)
