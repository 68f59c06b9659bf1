"""The network: the only user of Keras, and of nothing but its version 3 API, so that every backend works."""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.device import backend, check_gpu, name_of

# Before Keras imports its backend. Both libraries would take the whole memory of a card, and leave none
# to the next task; these variables also hold for what they start, and cannot come too late as calls can.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
os.environ["KERAS_BACKEND"] = backend()  # a user's keras.json has no say: no step's key knows of it
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's banner is no news

with contextlib.suppress(ImportError):  # a machine that only serves has none
    # Before TensorFlow, whose copy of BoringSSL is visible to all: curl_cffi would take it for its own, and yfinance
    # would get no answer ("Impersonating chrome is not supported") in a process that has trained.
    import curl_cffi  # noqa: F401

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from pipeline.errors import TrainingDiverged

if TYPE_CHECKING:
    from pipeline.preset import Preset

Floats = npt.NDArray[np.float64]
OnEpoch = Callable[[int, int, float], None]  # (epoch from 1, epochs, loss)

DIVERGED_FACTOR = 10.0  # loss above its first epoch this many times is no training any more
LAYERS = {"simple_rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
_PREDICT_BATCH = 1024


class Trained(NamedTuple):
    """A trained network and how it came about."""

    network: keras.Model
    curves: dict[str, list[float]]  # loss, val_loss, gradient_norm: one value per epoch
    best_epoch: int  # from 1; its weights are the network's
    fit_seconds: float
    device: str  # such as "gpu:0"
    device_name: str  # such as "NVIDIA H100 80GB HBM3"
    backend: str


def build(lookback: int, units: Sequence[int], cell: str = "simple_rnn", *, zero_start: bool = False) -> keras.Model:
    """Return the network: stacked recurrent layers and one linear unit.

    Args:
        lookback: sessions in a window; the input is (batch, lookback, 1), the output (batch, 1).
        units: width of each layer. SimpleRNN with (20, 20, 20) has 440 + 820 + 820 + 21 = 2,101 parameters.
        cell: one of `LAYERS`.
        zero_start: whether the output layer starts at zero, so that the fresh network predicts 0 for every window.
    """
    windows = keras.Input((lookback, 1))
    hidden = windows
    for layer, width in enumerate(units, start=1):
        hidden = LAYERS[cell](width, return_sequences=layer < len(units))(hidden)
    dense = keras.layers.Dense(1, kernel_initializer="zeros" if zero_start else "glorot_uniform")
    return keras.Model(windows, dense(hidden), name=f"stacked_{cell}")


def train(
    inputs: Floats,
    targets: Floats,
    preset: Preset,
    *,
    validation: tuple[Floats, Floats] | None = None,
    on_epoch: OnEpoch | None = None,
) -> Trained:
    """Fit the preset's network. Same data, preset and machine: same weights.

    Args:
        inputs: scaled windows of train, shape (n, lookback).
        targets: the scaled value after each window, shape (n,).
        preset: the recipe.
        validation: windows and targets that choose the best epoch; None trains all epochs and keeps the last.
        on_epoch: called after each epoch.

    Raises:
        TrainingDiverged: when the loss is no number or above `DIVERGED_FACTOR` times its first epoch.
    """
    trainer = _trainer(preset.lookback, preset.units, preset.cell, preset.learning_rate, preset.clip_norm)
    trainer.reset(preset.seed, zero_start=preset.zero_start)
    recorder = _Recorder(preset.epochs, math.ceil(len(inputs) / preset.batch_size), on_epoch)
    callbacks: list[keras.callbacks.Callback] = [recorder]
    if preset.patience is not None:
        callbacks.append(
            keras.callbacks.EarlyStopping(patience=preset.patience, restore_best_weights=True, start_from_epoch=0)
        )
    started = time.perf_counter()
    trainer.fused.fit(
        _tensor(inputs),
        targets.astype("float32"),
        batch_size=preset.batch_size,
        epochs=preset.epochs,
        verbose=0,
        callbacks=callbacks,
        validation_data=validation and (_tensor(validation[0]), validation[1].astype("float32")),
        validation_batch_size=_PREDICT_BATCH,
    )
    fit_seconds, place = time.perf_counter() - started, device()
    chosen = recorder.curves["val_loss"] if preset.patience is not None else None
    return Trained(
        network=trainer.network,
        curves={name: values for name, values in recorder.curves.items() if values},
        best_epoch=int(np.argmin(chosen)) + 1 if chosen else len(recorder.curves["loss"]),
        fit_seconds=fit_seconds,
        device=place,
        device_name=name_of(place),
        backend=backend(),
    )


def predict(network: keras.Model, inputs: Floats) -> Floats:
    """Return the scaled value that follows each window, shape (n,), for windows of shape (n, lookback)."""
    if not len(inputs):
        return np.empty(0)
    predicted = network.predict(_tensor(inputs), batch_size=_PREDICT_BATCH, verbose=0)  # (n, 1)
    return np.asarray(predicted, dtype="float64")[:, 0]


def to_bytes(network: keras.Model) -> bytes:
    """Return the network as the content of a `.keras` file."""
    with tempfile.TemporaryDirectory() as folder:  # Keras saves to paths only
        path = Path(folder) / "model.keras"
        network.save(path)
        return path.read_bytes()


def load(path: Path) -> keras.Model:
    """Return the network in a `.keras` file; code hidden in one is refused."""
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def from_bytes(data: bytes) -> keras.Model:
    """Return the network that `to_bytes` wrote."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(data)
        return load(path)


def layer_parameters(network: keras.Model) -> list[int]:
    """Return the parameters of each layer that has any."""
    return [layer.count_params() for layer in network.layers if layer.count_params()]


def device() -> str:
    """Return where Keras computes here, such as "cpu:0" or "gpu:0"."""
    return str(keras.distribution.list_devices()[0])  # those of the best kind; asked for a kind, JAX may raise


def require_gpu() -> None:
    """Look whether Keras computes on a GPU here.

    Raises:
        UsageError: when it does not.
    """
    check_gpu(device())


def _tensor(windows: Floats) -> npt.NDArray[np.float32]:
    return windows.astype("float32")[:, :, np.newaxis]  # (n, lookback, 1)


class _Adam(keras.optimizers.Adam):
    """Adam that adds up the global norm of the raw gradients: recurrent networks vanish or explode.

    Here because an optimizer sees the gradients on every backend, a `train_step` on one only.
    """

    def build(self, variables: list[Any]) -> None:
        if not self.built:
            super().build(variables)
            self.norm_sum = self.add_variable((), initializer="zeros", name="gradient_norm_sum")

    def apply(self, grads: list[Any], trainable_variables: list[Any] | None = None) -> None:
        norm = ops.sqrt(sum(ops.sum(ops.square(gradient)) for gradient in grads))
        super().apply(grads, trainable_variables)
        self.norm_sum.assign(self.norm_sum + norm)


class _Trainer:
    """A network and its compiled twin.

    The twin runs the same cells and weights as one loop over the sessions instead of one loop per layer: half the
    seconds, the same numbers. Compiling takes seconds, so one trainer serves every ticker of a process.
    """

    def __init__(
        self, lookback: int, units: Sequence[int], cell: str, learning_rate: float, clip_norm: float | None
    ) -> None:
        self._shape = lookback, units, cell
        self.network = build(*self._shape)
        *_, dense = self.network.layers
        cells = [layer.cell for layer in self.network.layers if isinstance(layer, LAYERS[cell])]
        windows = keras.Input((lookback, 1))
        self.fused = keras.Model(windows, dense(keras.layers.RNN(cells)(windows)))
        optimizer = _Adam(learning_rate, global_clipnorm=clip_norm, name="adam")
        self.fused.compile(optimizer=optimizer, loss="mse", jit_compile=True)
        optimizer.build(self.fused.trainable_variables)
        # On JAX the first `fit` would draw a shuffle to build the loss, and train in another order than all later ones.
        self.fused.compute_loss(y=ops.zeros((1, 1)), y_pred=ops.zeros((1, 1)))
        self._fresh_state = [ops.convert_to_numpy(variable).copy() for variable in optimizer.variables]

    def reset(self, seed: int, *, zero_start: bool) -> None:
        """Start again as if new: nothing of the ticker before is left, in weights, optimizer or random state."""
        keras.utils.set_random_seed(seed)
        self.network.set_weights(build(*self._shape, zero_start=zero_start).get_weights())
        for variable, value in zip(self.fused.optimizer.variables, self._fresh_state, strict=True):
            variable.assign(value)
        self.fused.stop_training = False
        keras.utils.set_random_seed(seed)


@lru_cache(maxsize=2)
def _trainer(
    lookback: int, units: tuple[int, ...], cell: str, learning_rate: float, clip_norm: float | None
) -> _Trainer:
    return _Trainer(lookback, units, cell, learning_rate, clip_norm)


class _Recorder(keras.callbacks.Callback):
    """Keeps the curves and stops a training that has left the numbers."""

    def __init__(self, epochs: int, steps: int, on_epoch: OnEpoch | None) -> None:
        super().__init__()
        self._epochs, self._steps, self._on_epoch = epochs, steps, on_epoch
        self._norm_sum = 0.0
        self.curves: dict[str, list[float]] = {"loss": [], "val_loss": [], "gradient_norm": []}

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        self.curves["loss"].append(float(logs["loss"]))
        if "val_loss" in logs:
            self.curves["val_loss"].append(float(logs["val_loss"]))
        norm_sum = float(ops.convert_to_numpy(self.model.optimizer.norm_sum))
        self.curves["gradient_norm"].append((norm_sum - self._norm_sum) / self._steps)
        self._norm_sum = norm_sum
        self._stop_if_diverged(epoch + 1)
        if self._on_epoch:
            self._on_epoch(epoch + 1, self._epochs, self.curves["loss"][-1])

    def _stop_if_diverged(self, epoch: int) -> None:
        first, loss = self.curves["loss"][0], self.curves["loss"][-1]
        if np.isfinite(loss) and loss <= DIVERGED_FACTOR * first:
            return
        raise TrainingDiverged(
            f"The training loss must stay a number and below {DIVERGED_FACTOR:.0f} times its first epoch.",
            f"loss {loss:.4g} in epoch {epoch}, {first:.4g} in epoch 1, "
            f"gradient norm {self.curves['gradient_norm'][-1]:.4g}",
            "Lower learning_rate, or set clip_norm (1.0 is a good start), in the preset.",
        )
