"""The forward pass of a network in NumPy, from its `.keras` file: a forecast then needs no training framework.

Importing TensorFlow costs a task more seconds than its forecasts. Networks of output `point` stay with Keras, so that
their published figures stay the same to the last digit.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import h5py
import numpy as np
import numpy.typing as npt

from pipeline.arrays import Floats

if TYPE_CHECKING:
    import keras

    from pipeline.forecasting.recipe import Recipe

Singles = npt.NDArray[np.float32]
_ROWS = 1024  # at a time: the hidden states of a layer stay small


class _Layer(NamedTuple):
    """The weights of one recurrent layer, as Keras has them."""

    kernel: Singles  # (inputs, gates * units)
    recurrent: Singles  # (units, gates * units)
    bias: Singles  # (gates * units,), for a GRU (2, gates * units)


class Forward(NamedTuple):
    """Stacked recurrent layers and one linear layer, ready to predict."""

    cell: str  # Keras' name of its class, such as "SimpleRNN"
    layers: tuple[_Layer, ...]
    kernel: Singles  # (units, outputs)
    bias: Singles  # (outputs,)
    data: bytes  # the `.keras` file


class Remembering:
    """A network that keeps its last outputs: windows that begin as the last ones are not predicted again.

    An output depends on its own window alone. Among other windows it may differ by the rounding of 32-bit numbers;
    networks of the presets gave the same bits (3 histories, 145 to 565 windows).
    """

    def __init__(self, network: Network) -> None:
        """Start without outputs.

        Args:
            network: as `load` returns it.
        """
        self.network = network
        self._inputs: Floats | None = None
        self._outputs: Floats = np.empty((0, 0))

    def predict(self, inputs: Floats) -> Floats:
        """Return the predictions of each window, as the function `predict` does."""
        known = 0
        if self._inputs is not None and self._inputs.shape[1:] == inputs.shape[1:]:
            both = min(len(self._inputs), len(inputs))
            differs = (self._inputs[:both] != inputs[:both]).reshape(both, -1).any(axis=1)
            known = int(np.argmax(differs)) if differs.any() else both
        made = self._outputs[:known]
        if known < len(inputs):
            new = predict(self.network, inputs[known:])
            made = np.concatenate((made, new)) if known else new
        self._inputs = inputs.copy()
        self._outputs = made
        return made.copy()


Network: TypeAlias = "Forward | Remembering | keras.Model"


def load(data: bytes, recipe: Recipe) -> Network:
    """Return the network of a `.keras` file as the recipe's forecasts use it.

    Args:
        data: the content of the file, as `model.to_bytes` wrote it.
        recipe: of the network.

    Raises:
        ValueError: when the data are no such file.
    """
    if recipe.distribution is not None:
        return forward(data)
    from pipeline.forecasting import model

    return model.from_bytes(data)


def as_loaded(network: keras.Model, recipe: Recipe) -> Network:
    """Return a trained network as `load` would return it from its file."""
    return forward(to_bytes(network)) if recipe.distribution else network


def forward(data: bytes) -> Forward:
    """Return the forward pass of the network in a `.keras` file, as `model.build` makes it.

    Raises:
        ValueError: when the data are no such file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            config = json.loads(archive.read("config.json"))
            weights = io.BytesIO(archive.read("model.weights.h5"))
        (cell,) = {layer["class_name"] for layer in config["config"]["layers"]} & set(_CELLS)
        with h5py.File(weights) as file:
            stored = file["layers"]
            names = sorted((name for name in stored if "cell" in stored[name]), key=_number)
            layers = tuple(_Layer(*_variables(stored[f"{name}/cell/vars"])) for name in names)
            kernel, bias = _variables(stored["dense/vars"])
    except (zipfile.BadZipFile, zlib.error, KeyError, OSError, TypeError) as error:
        msg = f"no network of Closecast: {type(error).__name__}: {error}"
        raise ValueError(msg) from error
    return Forward(cell, layers, kernel, bias, data)


def weights(network: Network) -> Singles:
    """Return all weights of a network as one array."""
    known = network if isinstance(network, Forward) else forward(to_bytes(network))
    parts = [part for layer in known.layers for part in layer] + [known.kernel, known.bias]
    return np.concatenate([part.ravel() for part in parts])


def predict(network: Network, inputs: Floats) -> Floats:
    """Return the predictions of each window, shape (n, outputs).

    Args:
        network: as `load` returns it.
        inputs: windows, shape (n, lookback) or (n, lookback, inputs).
    """
    if isinstance(network, Remembering):
        return network.predict(inputs)
    if not isinstance(network, Forward):
        from pipeline.forecasting import model

        return model.predict(network, inputs)
    made = np.empty((len(inputs), len(network.bias)))
    for start in range(0, len(inputs), _ROWS):
        rows = inputs[start : start + _ROWS]
        made[start : start + _ROWS] = _outputs(network, rows.reshape(*rows.shape[:2], -1).astype("float32"))
    return made


def to_bytes(network: Network) -> bytes:
    """Return the content of the network's `.keras` file."""
    if isinstance(network, Remembering):
        return to_bytes(network.network)
    if isinstance(network, Forward):
        return network.data
    from pipeline.forecasting import model

    return model.to_bytes(network)


def _outputs(network: Forward, windows: Singles) -> Singles:
    hidden = windows.swapaxes(0, 1)  # (lookback, n, inputs)
    for layer in network.layers:
        hidden = _CELLS[network.cell](layer, hidden)
    made: Singles = hidden[-1] @ network.kernel + network.bias
    return made


def _simple_rnn(layer: _Layer, inputs: Singles) -> Singles:
    states = inputs @ layer.kernel + layer.bias
    state = np.zeros_like(states[0])
    for at, step in enumerate(states):
        state = states[at] = np.tanh(step + state @ layer.recurrent)
    return states


def _lstm(layer: _Layer, inputs: Singles) -> Singles:
    gates = inputs @ layer.kernel + layer.bias
    states = np.zeros((*gates.shape[:2], len(layer.recurrent)), dtype="float32")
    state = memory = np.zeros_like(states[0])
    for at, step in enumerate(gates):
        let_in, keep, new, out = np.split(step + state @ layer.recurrent, 4, axis=1)
        memory = _sigmoid(keep) * memory + _sigmoid(let_in) * np.tanh(new)
        state = states[at] = _sigmoid(out) * np.tanh(memory)
    return states


def _gru(layer: _Layer, inputs: Singles) -> Singles:
    gates = inputs @ layer.kernel + layer.bias[0]
    states = np.zeros((*gates.shape[:2], len(layer.recurrent)), dtype="float32")
    state = np.zeros_like(states[0])
    for at, step in enumerate(gates):
        update, reset, new = np.split(step, 3, axis=1)
        old_update, old_reset, old_new = np.split(state @ layer.recurrent + layer.bias[1], 3, axis=1)
        share = _sigmoid(update + old_update)
        candidate = np.tanh(new + _sigmoid(reset + old_reset) * old_new)
        state = states[at] = share * state + (1 - share) * candidate
    return states


_CELLS: dict[str, Callable[[_Layer, Singles], Singles]] = {"SimpleRNN": _simple_rnn, "LSTM": _lstm, "GRU": _gru}


def _sigmoid(values: Singles) -> Singles:
    """Return the logistic function; by tanh, which does not overflow."""
    made: Singles = np.float32(0.5) * (np.tanh(np.float32(0.5) * values) + np.float32(1))
    return made


def _variables(group: h5py.Group) -> list[Singles]:
    return [np.asarray(group[name], dtype="float32") for name in sorted(group, key=int)]


def _number(name: str) -> int:
    """Return 0 for "simple_rnn" and 2 for "simple_rnn_2": Keras counts the layers of a class in their order."""
    last = name.rpartition("_")[2]
    return int(last) if last.isdigit() else 0
