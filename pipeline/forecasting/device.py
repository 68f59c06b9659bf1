"""Where the network is computed: chosen before Keras is imported, named afterwards.

The only place that speaks to TensorFlow or JAX by its name; all else is Keras 3. Imports nothing heavy, for it is asked
before that, and where a model is served there are no settings.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import sys
from pathlib import Path

from pipeline.errors import UsageError

BACKENDS = ("tensorflow", "jax")
_CARDS = ("nvidia[0-9]*", "dxg", "kfd")  # what Linux shows of a card in /dev: NVIDIA's, WSL's, AMD's


def backend() -> str:
    """Return Keras's backend: KERAS_BACKEND; unset TensorFlow, or JAX where only that is installed.

    Raises:
        UsageError: for another one, or one that is not installed.
    """
    name = os.environ.get("KERAS_BACKEND") or next(filter(importlib.util.find_spec, BACKENDS), "tensorflow")
    if name not in BACKENDS:
        raise UsageError("KERAS_BACKEND must be tensorflow or jax.", repr(name), "Set it to one of them, or unset it.")
    if importlib.util.find_spec(name) is None:
        raise UsageError(
            "Keras's backend must be installed.", f"no {name}", f"Install {name} beside Keras, or unset KERAS_BACKEND."
        )
    return name


def hide() -> None:
    """Keep the backend from any card; it listens until it is imported."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ["JAX_PLATFORMS"] = "cpu"


def name_of(place: str) -> str:
    """Return what a person calls a device of Keras, such as "NVIDIA H100 80GB HBM3" for "gpu:0"."""
    if place.startswith("cpu"):
        return _processor()
    if backend() == "jax":
        import jax

        return str(jax.devices()[0].device_kind)
    import tensorflow as tf

    card = tf.config.get_visible_devices("GPU")[0]
    return str(tf.config.experimental.get_device_details(card).get("device_name", "unknown"))


def check_card() -> None:
    """Look, in no time, whether this machine can have a GPU at all; `check_gpu` asks the backend.

    Raises:
        UsageError: when there is none for sure.
    """
    if sys.platform == "linux" and not any(card for pattern in _CARDS for card in Path("/dev").glob(pattern)):
        raise _no_gpu(f"no card among the devices of {platform.node()}")


def check_gpu(place: str) -> None:
    """Look whether a device of Keras is a GPU.

    Raises:
        UsageError: when it is none.
    """
    if not place.startswith("gpu"):
        raise _no_gpu(f"{backend()} computes on {place} of {platform.node()}, {name_of(place)}")


def _no_gpu(received: str) -> UsageError:
    return UsageError(
        "With gpu = require there must be a GPU.",
        received,
        "Install its driver and, in the checkout, `.venv/bin/uv pip install --editable '.[gpu]'` (for JAX "
        "`... 'jax[cuda12]'`), again when the lock has changed. Or set CLOSECAST_GPU=auto.",
    )


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
