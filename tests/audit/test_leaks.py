"""No leak in the night, and each planted leak is named with its stage."""

from importlib import import_module

import numpy as np
import pytest

from pipeline.audit import leaks
from pipeline.forecasting import fitting, intervals, training, windows
from pipeline.forecasting.bars import Bars
from pipeline.steps import champion
from tests.support.markets import prepared

# The package has functions of the same names.
split_scale = import_module("pipeline.steps.split_scale")
train = import_module("pipeline.steps.train")
TRAINING = ("scale", "fit", "weights", "calibration")


@pytest.fixture
def night(tiny):
    """Return a night of two tickers, each with a network of its own, without the seconds of a refit."""
    return prepared(tiny, refit=False)


def found(night, *stages):
    """Return the leak of each stage."""
    return {stage.name: stage.leak for stage in leaks.leaks(*night, only=stages)}


def test_the_night_has_no_leak(tiny):
    """Every stage of two tickers, with the refit of the preset."""
    checked = leaks.leaks(*prepared(tiny))
    assert [stage.name for stage in checked] == list(leaks.STAGES)
    assert {stage.leak for stage in checked} == {""}


def test_a_network_of_a_universe_has_no_leak(tiny):
    """One network for two histories of different length."""
    assert set(found(prepared(tiny, scope="universe"), *TRAINING).values()) == {""}


def test_a_scaler_on_all_rows_is_named(night, monkeypatch):
    """It sees the test rows."""
    fit = split_scale.fit_scaler
    monkeypatch.setattr(split_scale, "fit_scaler", lambda values, kind: fit(values.base, kind))
    named = found(night, *TRAINING)
    assert named["scale"].startswith("AAA center: ")
    assert named["fit"] == "follows from scale"


def test_a_target_inside_its_window_is_named(night, monkeypatch):
    """The window ends with the row that it predicts."""
    laid = windows.inputs

    def shifted(values, targets, lookback):
        return laid(values, range(targets.start + 1, targets.stop + 1), lookback)

    monkeypatch.setattr(windows, "inputs", shifted)
    monkeypatch.setattr(fitting, "inputs", shifted)
    named = found(night, "windows", "forecasts")
    assert named["windows"].startswith("AAA the window of row ")
    assert named["forecasts"].startswith("AAA ")
    assert "were changed" in named["forecasts"]


def test_a_calibration_with_its_own_residual_is_named(night, monkeypatch):
    """The half-widths of a row know its close."""
    roll = intervals.roll

    def early(residuals, first, **options):
        widths = roll(residuals, first, **options)
        return np.concatenate((widths[1:], widths[-1:]))

    monkeypatch.setattr(intervals, "roll", early)
    named = found(night, "forecasts")["forecasts"]
    assert named.startswith(("AAA low_", "AAA q"))
    assert "were changed" in named


def whole_histories(monkeypatch):
    """Return the histories that `fit` is given, with their test rows, by ticker."""
    whole = {}
    fit = fitting.fit

    def seen(histories, *args, **options):
        whole.update({one.ticker: one for one in histories})
        return fit(histories, *args, **options)

    monkeypatch.setattr(fitting, "fit", seen)
    return whole


def test_a_best_epoch_that_is_chosen_on_test_is_named(night, monkeypatch):
    """By the first value of the curve that chooses."""
    whole = whole_histories(monkeypatch)
    samples = fitting._samples

    def on_test(histories, recipes, parts, taught):
        if parts[0].start == histories[0].laid.validation.start:
            histories = [whole[one.ticker] for one in histories]
            parts = [one.laid.test for one in histories]
        return samples(histories, recipes, parts, taught)

    monkeypatch.setattr(fitting, "_samples", on_test)
    named = found(night, *TRAINING)
    assert named["scale"] == ""
    assert named["fit"].startswith("AAA val_loss 1: ")


def test_a_refit_that_changes_the_network_of_the_evaluation_is_named(tiny, monkeypatch):
    """Keras trains one object twice: the evaluation then meets a network that has learned the test rows."""
    monkeypatch.setattr(training._Trainer, "own_network", lambda trainer: trainer.network)
    named = found(prepared(tiny, refit=True), *TRAINING)
    assert named["scale"] == ""
    assert named["fit"].startswith("AAA network 1: ")


def test_weights_that_are_chosen_on_test_are_named(night, monkeypatch):
    """The network and its best epoch are clean."""
    whole = whole_histories(monkeypatch)
    choose = fitting.with_choices

    def on_test(network, history, recipe, rows, preset, **options):
        known = whole[history.ticker]
        return choose(network, known, recipe, known.laid.test or rows, preset, **options)

    monkeypatch.setattr(fitting, "with_choices", on_test)
    named = found(night, *TRAINING)
    assert (named["scale"], named["fit"]) == ("", "")
    assert named["weights"].startswith("AAA ")
    assert "weight" in named["weights"]


def test_a_champion_that_has_seen_the_test_rows_is_named(night, monkeypatch):
    """It would win every comparison."""
    monkeypatch.setattr(champion, "is_comparable", lambda _unit, _served: True)
    assert found(night, "champion")["champion"].startswith("AAA a champion trained up to ")


def test_later_dates_of_another_ticker_are_named(tiny, monkeypatch):
    """The shared network learns dates of BBB that are test rows of AAA."""
    monkeypatch.setattr(train, "with_common_borders", lambda tickers: tickers)
    named = found(prepared(tiny, scope="universe"), *TRAINING)
    assert named["fit"].startswith("AAA ")


def test_future_dividends_in_the_closes_are_named(night, monkeypatch):
    """`adj_close` of the past knows every dividend that came later."""
    read = split_scale.frame_of

    def adjusted(data):
        frame = read(data)
        return frame.assign(close=frame["adj_close"])

    monkeypatch.setattr(split_scale, "frame_of", adjusted)
    named = found(night, "clean")["clean"]
    assert "closes of scaled.npz" in named
    assert "dividend" in named


def test_a_row_after_the_night_is_named(night, monkeypatch):
    """A source that does not stop at `as_of`: the bar of the next session is still unfinished."""
    from pipeline.prices.sources import files

    cut = files.price_frame
    later = night.plan.as_of.replace(day=24)
    monkeypatch.setattr(files, "price_frame", lambda raw, start, _as_of: cut(raw, start, later))
    monkeypatch.setattr("pipeline.audit.night.clean", lambda raw, _sessions: Kept(raw))
    assert "sessions after 2025-11-21 were added" in found(night, "clean")["clean"]


class Kept:
    """A cleaning that removes nothing."""

    def __init__(self, prices):
        self.prices = prices


def test_every_bar_is_cut_at_the_end_of_train():
    """The plants above get past this: `fit` itself never sees a test row."""
    bars = Bars.of_closes(np.arange(1.0, 9.0))
    assert len(bars.up_to(5).close) == 5
