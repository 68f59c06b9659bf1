"""The network: its layers, their parameters, and prediction."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.forecasting import model
from pipeline.settings import load_settings


def test_the_published_network_has_2101_parameters():
    """440 + 820 + 820 + 21, by layer, for both presets."""
    for preset in (load_settings().presets[name] for name in ("daily", "tutorial")):
        network = model.build(preset.lookback, preset.units, preset.cell, zero_start=preset.zero_start)
        assert model.layer_parameters(network) == [440, 820, 820, 21]
        assert network.count_params() == 2101


def test_the_other_cells_are_what_their_presets_say():
    """By the formulas of the cells: LSTM has 4 gates, GRU 3 with a bias more each; all else is as in `daily`."""
    daily = load_settings().presets["daily"]
    first, next_ = (1 + 20 + 1) * 20, (20 + 20 + 1) * 20
    expected = {"lstm": [4 * first, 4 * next_, 4 * next_, 21]}
    expected["gru"] = [3 * (first + 20), 3 * (next_ + 20), 3 * (next_ + 20), 21]
    for cell, layers in expected.items():
        preset = load_settings().presets[cell]
        assert preset == daily.model_copy(update={"cell": cell})
        assert model.layer_parameters(model.build(preset.lookback, preset.units, preset.cell)) == layers


def test_a_zero_start_predicts_zero():
    """Before any training, for every window."""
    network = model.build(5, (3, 2), zero_start=True)
    assert not model.predict(network, np.random.default_rng(0).normal(size=(20, 5))).any()


def test_nothing_to_predict_is_no_error():
    """No windows, no values."""
    assert model.predict(model.build(5, (2,)), np.empty((0, 5))).shape == (0, 1)


@pytest.mark.parametrize("cell", ["simple_rnn", "gru", "lstm"])
def test_a_file_gives_the_same_network_back(cell):
    """Every prediction is equal to the last digit."""
    network = model.build(5, (3, 2), cell)
    windows = np.random.default_rng(0).normal(size=(20, 5))
    again = model.from_bytes(model.to_bytes(network))
    assert model.predict(again, windows).tolist() == model.predict(network, windows).tolist()


FOREIGN = """
from pipeline.forecasting import model, training
import keras, numpy as np
network = model.build(5, (2,))
network.compile(loss="mse")
epochs = network.fit(np.zeros((8, 5, 1)), np.zeros(8), epochs=3, batch_size=2, verbose=0).epoch
print({one.dtype for one in network.weights}, network.compute_dtype, keras.config.epsilon(), len(epochs))
"""


def test_a_users_keras_json_and_variables_change_no_network(tmp_path):
    """The type of numbers, epsilon and the number of epochs are those of the preset."""
    (tmp_path / "keras.json").write_text(json.dumps({"floatx": "float16", "epsilon": 0.1, "nnx_enabled": True}))
    variables = {"KERAS_HOME": str(tmp_path), "KERAS_MAX_EPOCHS": "1", "KERAS_MAX_STEPS_PER_EPOCH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", FOREIGN],
        env=os.environ | variables | {"KERAS_BACKEND": "jax"},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "{'float32'} float32 1e-07 3\n"


def test_yahoo_is_asked_in_a_process_that_has_loaded_tensorflow():
    """TensorFlow's own TLS library must not come between curl_cffi and its own."""
    code = (
        "import pipeline.forecasting.model\n"
        "from curl_cffi.requests import Session\n"
        "from curl_cffi.requests.exceptions import ConnectionError\n"
        "try: Session(impersonate='chrome').get('http://127.0.0.1:9/')\n"
        "except ConnectionError: print('asked')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "asked", done.stderr
