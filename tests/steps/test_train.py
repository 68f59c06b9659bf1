"""The step `train`: what it leaves for evaluation, serving and MLflow."""

from pathlib import Path

import numpy as np
import pytest

from pipeline import runner, runs
from pipeline.errors import DataError
from pipeline.forecasting import inference, model
from pipeline.forecasting.split import split
from pipeline.steps import Unit
from pipeline.steps.train import _fold_windows
from pipeline.store.runs import read_plan
from tests.support.nights import folder_of_run, json_in


def test_the_recipe_is_that_of_the_split_the_scaler_and_the_preset(two_nights):
    """Serving needs nothing beside the network and this file."""
    folder = folder_of_run(two_nights, "manual__2")
    recipe = json_in(folder, "recipe")
    scaler = json_in(folder, "scaler")
    assert (recipe["ticker"], recipe["lookback"], recipe["preset"], recipe["cell"]) == ("AAA", 5, "daily", "simple_rnn")
    assert (recipe["scaler_kind"], recipe["center"]) == (scaler["kind"], scaler["center"])
    assert recipe["cutoff"] == folder.manifest("split_scale").outcome.tags["cutoff"]
    assert 0 <= recipe["weight"] <= 1
    assert 0 < recipe["half_width_80"] < recipe["half_width_95"]


def test_the_network_is_whole_and_takes_windows_of_the_lookback(two_nights):
    """Its parameters are those that MLflow has."""
    folder = folder_of_run(two_nights, "manual__2")
    network = model.load(Path(folder.path("model.keras")))
    predicted = model.predict(network, np.zeros((2, 5, 2)))
    assert predicted.shape == (2, 2)
    params = folder.manifest("train").outcome.params
    layers = model.layer_parameters(network)
    assert params["parameters"] == str(sum(layers))
    assert params["layer_parameters"] == " + ".join(map(str, layers))


def test_each_epoch_has_a_point_of_each_curve(two_nights):
    """The curves in the store, in the manifest and the count of epochs agree."""
    folder = folder_of_run(two_nights, "manual__2")
    outcome = folder.manifest("train").outcome
    assert json_in(folder, "history") == outcome.curves
    lengths = {name: len(values) for name, values in outcome.curves.items()}
    assert set(lengths.values()) == {outcome.metrics["epochs_trained"]} == {3}
    best = int(np.argmin(outcome.curves["val_loss"])) + 1
    assert outcome.metrics["best_epoch"] == best


def test_the_network_of_the_evaluation_is_not_the_refitted_one(two_nights):
    """The refitted one has seen the test rows; Keras trains the same object twice."""
    folder = folder_of_run(two_nights, "manual__2")
    evaluated, served = (inference.forward(folder.read(name)) for name in ("model.keras", "refitted.keras"))
    assert np.abs(evaluated.kernel - served.kernel).max() > 0
    for one, other in zip(evaluated.layers, served.layers, strict=True):
        assert np.abs(one.kernel - other.kernel).max() > 0


def test_only_a_walk_forward_has_its_file(two_nights):
    """Without folds nothing is trained twice."""
    assert "walk_forward.parquet" not in folder_of_run(two_nights, "manual__2").manifest("train").outputs


def test_a_fold_without_room_for_a_window_is_refused(tiny):
    """Before anything is trained on it."""
    (batch, *_) = runs.plan(tiny, "manual__1")
    plan = read_plan(tiny.store_url, batch["run"])
    unit = Unit("AAA", plan, None, tiny, None, runner.STEPS["train"], ())
    parts = split(8, 1.0, plan.preset.validation_fraction)
    assert _fold_windows(split(60, 1.0, plan.preset.validation_fraction), unit).train
    with pytest.raises(DataError, match="one window of 5 sessions") as error:
        _fold_windows(parts, unit)
    assert error.value.received == "8 sessions in the first fold"
