"""Training by the real Keras: curves, best epoch, reproducibility, divergence."""

import numpy as np
import pytest
from scipy.stats import t

from pipeline.errors import TrainingDiverged
from pipeline.forecasting import model, training
from pipeline.forecasting.windows import inputs
from pipeline.settings import load_settings
from pipeline.settings.preset import Preset

TINY = (
    load_settings()
    .presets["point"]
    .model_copy(update={"lookback": 5, "units": (3, 2), "epochs": 4, "batch_size": 16, "learning_rate": 1e-2})
)


def wave(start=5, stop=105):
    """Return the windows and targets of a sine."""
    values = np.sin(np.arange(120.0) / 4)
    rows = range(start, stop)
    return inputs(values, rows, 5), values[rows.start : rows.stop]


def fit(preset: Preset = TINY, **given):
    """Train on the wave."""
    return training.train(*wave(), preset, validation=wave(105, 120), **given)


@pytest.fixture(scope="module")
def trained():
    """Return one training."""
    epochs = []
    result = fit(on_epoch=lambda *seen: epochs.append(seen))
    return result, epochs


@pytest.mark.parametrize("cell", ["simple_rnn", "gru", "lstm"])
def test_the_loop_that_is_trained_is_the_layers_that_are_saved(cell):
    """Same windows, same weights, same forecasts, after a training; and the training got somewhere."""
    result = fit(TINY.model_copy(update={"cell": cell}))
    fused = training._trainer(5, (3, 2), cell, 1e-2, TINY.clip_norm, "point").fused
    saved = model.predict(result.network, wave()[0])
    assert model.predict(fused, wave()[0]) == pytest.approx(saved, abs=1e-6)
    assert np.ptp(saved) > 0.1


def test_curves_have_one_point_per_epoch(trained):
    """Loss, validation loss and gradient norm; the watcher saw each epoch."""
    result, epochs = trained
    assert {name: len(points) for name, points in result.curves.items()} == {
        "loss": 4, "val_loss": 4, "gradient_norm": 4,
    }  # fmt: skip
    assert epochs == [(n, 4, loss) for n, loss in enumerate(result.curves["loss"], start=1)]
    assert all(norm > 0 for norm in result.curves["gradient_norm"])
    assert result.curves["loss"][-1] < result.curves["loss"][0]


def test_the_weights_of_the_best_epoch_are_kept(trained):
    """The network's validation error is the lowest of the curve."""
    result, _ = trained
    windows, targets = wave(105, 120)
    error = float(np.mean((model.predict(result.network, windows)[:, 0] - targets) ** 2))
    assert error == pytest.approx(min(result.curves["val_loss"]), rel=1e-4)
    assert result.best_epoch == int(np.argmin(result.curves["val_loss"])) + 1


def test_the_same_seed_gives_the_same_numbers_whatever_was_trained_before(trained):
    """A trainer serves one ticker after the other and keeps nothing of the one before."""
    first = trained[0].curves
    other = fit(TINY.model_copy(update={"seed": 1})).curves
    assert other["loss"] != first["loss"]
    assert fit().curves == first


def test_a_later_training_leaves_the_network_of_an_earlier_one_as_it_was():
    """A night trains twice in one process: the network of the evaluation must not learn the test rows then."""
    first = fit()
    weights = [one.copy() for one in first.network.get_weights()]
    fit(TINY.model_copy(update={"seed": 9}))
    for before, now in zip(weights, first.network.get_weights(), strict=True):
        np.testing.assert_array_equal(before, now)


def test_training_changes_the_layers_that_are_saved(trained):
    """The compiled twin and the saved network share their weights; a file gives the same numbers back."""
    result, _ = trained
    again = model.from_bytes(model.to_bytes(result.network))
    windows, _ = wave()
    assert model.predict(again, windows) == pytest.approx(model.predict(result.network, windows), abs=1e-6)


@pytest.mark.parametrize("losses", [[1.0, 5.0, 10.1], [1.0, float("nan")], [float("inf")]])
def test_a_loss_that_runs_away_stops_the_training_with_its_figures(losses):
    """Ten times the first epoch, or no number: the message has the epoch, the loss and what to change."""
    network = training._trainer(5, (3, 2), "simple_rnn", 1e-2, 1.0, "point").fused
    recorder = training._Recorder(epochs=20, steps=1, on_epoch=None)
    recorder.set_model(network)
    for epoch, loss in enumerate(losses[:-1]):
        recorder.on_epoch_end(epoch, {"loss": loss})
    with pytest.raises(TrainingDiverged, match=f"loss .* in epoch {len(losses)},") as error:
        recorder.on_epoch_end(len(losses) - 1, {"loss": losses[-1]})
    assert "clip_norm" in error.value.todo


def test_values_that_are_no_numbers_never_become_a_model():
    """The loss of the first epoch is NaN, and that is the end."""
    windows, targets = wave()
    with pytest.raises(TrainingDiverged, match="loss nan in epoch 1"):
        training.train(windows, np.full_like(targets, np.nan), TINY)


def spread(rows, seed):
    """Return windows of two inputs, of which the second names the scale of what follows: 0.5 or 2."""
    rng = np.random.default_rng(seed)
    wild = rng.integers(0, 2, rows) * 2 - 1.0
    windows = rng.normal(size=(rows, 5, 2))
    windows[:, -1, 1] = wild
    return windows, rng.standard_t(5, rows) * np.where(wild > 0, 2, 0.5)


def test_a_distribution_learns_the_scale_that_its_inputs_show():
    """The log scales of wild and calm windows lie log(4) apart, and the location stays near 0."""
    preset = TINY.model_copy(update={"output": "distribution", "epochs": 40, "patience": 10, "zero_start": True})
    result = training.train(*spread(2000, 0), preset, validation=spread(500, 1))
    windows, _ = spread(400, 2)
    location, log_scale = model.predict(result.network, windows).T
    wild = windows[:, -1, 1] > 0
    assert log_scale[wild].mean() - log_scale[~wild].mean() == pytest.approx(np.log(4), abs=0.25)
    assert np.abs(location).mean() < 0.3


def test_the_loss_of_a_distribution_is_the_density_of_student_t():
    """Against SciPy's, up to the constant."""
    actual = np.array([[0.3], [-2.0], [5.0]])
    predicted = np.array([[0.1, 0.0], [-0.5, 0.4], [1.0, -0.3]])
    loss = np.asarray(training.student_t_likelihood(actual, predicted))
    expected = -t.logpdf(actual[:, 0], 5, predicted[:, 0], np.exp(predicted[:, 1]))
    assert loss - loss[0] == pytest.approx(expected - expected[0], abs=1e-5)
