"""Training of the network: compiled trainers that tickers share, curves per epoch, and a stop on divergence."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.forecasting.model import LAYERS, PREDICT_BATCH, build, device, tensor  # first: it prepares Keras

# isort: split
import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from pipeline.arrays import Floats
from pipeline.errors import TrainingDiverged
from pipeline.forecasting.device import backend, name_of
from pipeline.forecasting.student_t import DEGREES

if TYPE_CHECKING:
    from pipeline.settings.preset import Preset
OnEpoch = Callable[[int, int, float], None]  # (epoch from 1, epochs, loss)

STEPS_TOGETHER = 32
DIVERGED_FACTOR = 10.0  # a loss above this many times its first epoch stops the training


class Trained(NamedTuple):
    """A trained network, its curves, and the device that trained it."""

    network: keras.Model
    curves: dict[str, list[float]]  # loss, val_loss, gradient_norm: one value per epoch
    best_epoch: int  # from 1; the network has its weights
    fit_seconds: float
    device: str  # such as "gpu:0"
    device_name: str  # such as "NVIDIA H100 80GB HBM3"
    backend: str


def train(
    inputs: Floats,
    targets: Floats,
    preset: Preset,
    *,
    validation: tuple[Floats, Floats] | None = None,
    on_epoch: OnEpoch | None = None,
) -> Trained:
    """Fit the preset's network. The same data, preset and machine give the same weights.

    Args:
        inputs: scaled windows of train, shape (n, lookback) or (n, lookback, inputs).
        targets: the scaled value after each window, shape (n,). With output `distribution` it is the log return over
            the scale of the reference, and the loss is the likelihood of Student's t.
        preset: what defines the network and its training.
        validation: windows and targets that choose the best epoch; None trains all epochs and keeps the last.
        on_epoch: called after each epoch.

    Raises:
        TrainingDiverged: when the loss is not finite or above `DIVERGED_FACTOR` times its first epoch.
    """
    trainer = _trainer(
        preset.lookback, preset.units, preset.cell, preset.learning_rate, preset.clip_norm, preset.output
    )
    trainer.reset(preset.seed, zero_start=preset.zero_start)
    recorder = _Recorder(preset.epochs, math.ceil(len(inputs) / preset.batch_size), on_epoch)
    callbacks: list[keras.callbacks.Callback] = [recorder]
    if preset.patience is not None:
        callbacks.append(
            keras.callbacks.EarlyStopping(patience=preset.patience, restore_best_weights=True, start_from_epoch=0)
        )
    started = time.perf_counter()
    trainer.fused.fit(
        tensor(inputs),
        _column(targets),
        batch_size=preset.batch_size,
        epochs=preset.epochs,
        verbose=0,
        callbacks=callbacks,
        validation_data=validation and (tensor(validation[0]), _column(validation[1])),
        validation_batch_size=PREDICT_BATCH,
    )
    fit_seconds = time.perf_counter() - started
    place = device()
    chosen = recorder.curves["val_loss"] if preset.patience is not None else None
    return Trained(
        network=trainer.own_network(),
        curves={name: values for name, values in recorder.curves.items() if values},
        best_epoch=int(np.argmin(chosen)) + 1 if chosen else len(recorder.curves["loss"]),
        fit_seconds=fit_seconds,
        device=place,
        device_name=name_of(place),
        backend=backend(),
    )


def _column(targets: Floats) -> npt.NDArray[np.float32]:
    return targets.astype("float32")[:, np.newaxis]


def student_t_likelihood(actual: Any, predicted: Any) -> Any:  # noqa: ANN401 - tensors of the backend
    """Return the negative log likelihood of Student's t for each row, shape (n,).

    Args:
        actual: shape (n, 1).
        predicted: location and log scale, shape (n, 2).
    """
    log_scale = predicted[:, 1]
    standardised = (actual[:, 0] - predicted[:, 0]) * ops.exp(-log_scale)
    return log_scale + (DEGREES + 1) / 2 * ops.log1p(ops.square(standardised) / DEGREES)


class _Kind(NamedTuple):
    """The shape and the loss of one value of `preset.output`."""

    inputs: int
    outputs: int
    loss: Any


_KINDS = {"point": _Kind(1, 1, "mse"), "distribution": _Kind(2, 2, student_t_likelihood)}


class _Adam(keras.optimizers.Adam):
    """Adam that sums the global norm of the raw gradients: those of recurrent networks vanish or explode.

    An optimizer sees the gradients on every backend, a `train_step` on one only.
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

    The twin runs the same cells and weights in one loop over the sessions instead of one loop per layer: half the
    seconds, the same numbers. Compiling takes seconds, so all tickers of a process share one trainer.
    """

    def __init__(
        self,
        lookback: int,
        units: Sequence[int],
        cell: str,
        learning_rate: float,
        clip_norm: float | None,
        output: str = "point",
    ) -> None:
        kind = _KINDS[output]
        self._build = partial(build, lookback, units, cell, inputs=kind.inputs, outputs=kind.outputs)
        self.network = self._build()
        *_, dense = self.network.layers
        cells = [layer.cell for layer in self.network.layers if isinstance(layer, LAYERS[cell])]
        windows = keras.Input((lookback, kind.inputs))
        self.fused = keras.Model(windows, dense(keras.layers.RNN(cells)(windows)))
        optimizer = _Adam(learning_rate, global_clipnorm=clip_norm, name="adam")
        # TensorFlow then returns to Python once in so many steps, with the same numbers. JAX gains nothing by it.
        together = STEPS_TOGETHER if backend() == "tensorflow" else 1
        self.fused.compile(optimizer=optimizer, loss=kind.loss, jit_compile=True, steps_per_execution=together)
        optimizer.build(self.fused.trainable_variables)
        # On JAX the first `fit` would draw a shuffle to build the loss, and train in another order than later calls.
        self.fused.compute_loss(y=ops.zeros((1, 1)), y_pred=ops.zeros((1, kind.outputs)))
        self._fresh_state = [ops.convert_to_numpy(variable).copy() for variable in optimizer.variables]

    def own_network(self) -> keras.Model:
        """Return the network as it is now: the next training of this process must not change it."""
        copy = keras.models.clone_model(self.network)
        copy.set_weights(self.network.get_weights())
        return copy

    def reset(self, seed: int, *, zero_start: bool) -> None:
        """Restore initial weights, optimizer and random state, so that no value of the last ticker remains."""
        keras.utils.set_random_seed(seed)
        self.network.set_weights(self._build(zero_start=zero_start).get_weights())
        for variable, value in zip(self.fused.optimizer.variables, self._fresh_state, strict=True):
            variable.assign(value)
        self.fused.stop_training = False
        keras.utils.set_random_seed(seed)


@lru_cache(maxsize=2)
def _trainer(
    lookback: int, units: tuple[int, ...], cell: str, learning_rate: float, clip_norm: float | None, output: str
) -> _Trainer:
    return _Trainer(lookback, units, cell, learning_rate, clip_norm, output)


class _Recorder(keras.callbacks.Callback):
    """Keeps the curves and stops a training that diverges."""

    def __init__(self, epochs: int, steps: int, on_epoch: OnEpoch | None) -> None:
        super().__init__()
        self._epochs = epochs
        self._steps = steps
        self._on_epoch = on_epoch
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
        first = self.curves["loss"][0]
        loss = self.curves["loss"][-1]
        if np.isfinite(loss) and loss <= first + (DIVERGED_FACTOR - 1) * abs(first):  # a log likelihood may be negative
            return
        raise TrainingDiverged(
            f"The training loss must stay finite and below {DIVERGED_FACTOR:.0f} times its first epoch.",
            f"loss {loss:.4g} in epoch {epoch}, {first:.4g} in epoch 1, "
            f"gradient norm {self.curves['gradient_norm'][-1]:.4g}",
            "Lower learning_rate in the preset, or set its clip_norm (1.0 is a good start).",
        )
