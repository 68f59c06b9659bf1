"""The network. With training.py the only user of Keras, by its version 3 API only, so that every backend works."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline.forecasting.device import backend, check_gpu

# Set before Keras imports its backend. By default both libraries reserve the whole memory of a card, and the next task
# would get no memory. Variables also reach child processes, and cannot come too late as calls can.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
# A user's keras.json and other KERAS_ variables are ignored, here and below: no step's key includes them.
os.environ["KERAS_BACKEND"] = backend()
os.environ["KERAS_NNX_ENABLED"] = "false"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # hides TensorFlow's banner

with contextlib.suppress(ImportError):  # a machine that only serves does not have it
    # Before TensorFlow, which exports its copy of BoringSSL: curl_cffi would use that copy, and yfinance would fail
    # ("Impersonating chrome is not supported") in a process that has trained.
    import curl_cffi  # noqa: F401

import keras
import numpy as np
import numpy.typing as npt

from pipeline.arrays import Floats

keras.config.set_floatx("float32")
keras.config.set_epsilon(1e-7)
keras.config.set_max_epochs(None)
keras.config.set_max_steps_per_epoch(None)
LAYERS = {"simple_rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
PREDICT_BATCH = 1024


def build(
    lookback: int,
    units: Sequence[int],
    cell: str = "simple_rnn",
    *,
    zero_start: bool = False,
    inputs: int = 1,
    outputs: int = 1,
) -> keras.Model:
    """Return the network: stacked recurrent layers and one linear layer.

    Args:
        lookback: sessions in a window; the input is (batch, lookback, inputs), the output (batch, outputs).
        units: width of each layer. SimpleRNN with (20, 20, 20) has 440 + 820 + 820 + 21 = 2,101 parameters with one
            input and one output, 460 + 820 + 820 + 42 = 2,142 with two of each.
        cell: a key of `LAYERS`.
        zero_start: whether the output layer starts at zero, so that the new network predicts 0 for every window.
        inputs: values of a session.
        outputs: values that the network predicts.
    """
    windows = keras.Input((lookback, inputs))
    hidden = windows
    for layer, width in enumerate(units, start=1):
        hidden = LAYERS[cell](width, return_sequences=layer < len(units))(hidden)
    dense = keras.layers.Dense(outputs, kernel_initializer="zeros" if zero_start else "glorot_uniform")
    return keras.Model(windows, dense(hidden), name=f"stacked_{cell}")


def predict(network: keras.Model, inputs: Floats) -> Floats:
    """Return the predictions of each window, shape (n, outputs).

    Args:
        network: as `build` makes it.
        inputs: windows, shape (n, lookback) or (n, lookback, inputs).
    """
    if not len(inputs):
        return np.empty((0, network.output_shape[-1]))
    return np.asarray(network.predict(tensor(inputs), batch_size=PREDICT_BATCH, verbose=0), dtype="float64")


def to_bytes(network: keras.Model) -> bytes:
    """Return the network as the content of a `.keras` file."""
    with tempfile.TemporaryDirectory() as folder:  # Keras saves to paths only
        path = Path(folder) / "model.keras"
        network.save(path)
        return path.read_bytes()


def load(path: Path) -> keras.Model:
    """Return the network in a `.keras` file; Keras refuses a file that contains code."""
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def from_bytes(data: bytes) -> keras.Model:
    """Return the network that `to_bytes` wrote."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(data)
        return load(path)


def layer_parameters(network: keras.Model) -> list[int]:
    """Return the number of parameters of each layer with parameters."""
    return [layer.count_params() for layer in network.layers if layer.count_params()]


def device() -> str:
    """Return where Keras computes here, such as "cpu:0" or "gpu:0"."""
    return str(keras.distribution.list_devices()[0])  # the best kind comes first; with a kind as argument JAX may raise


def require_gpu() -> None:
    """Check that Keras computes on a GPU here.

    Raises:
        UsageError: when it computes on another device.
    """
    check_gpu(device())


def tensor(windows: Floats) -> npt.NDArray[np.float32]:
    """Return windows as the network's input: float32, shape (n, lookback, inputs); two axes mean one input."""
    narrow = windows.astype("float32")
    return narrow.reshape(*narrow.shape[:2], -1)
