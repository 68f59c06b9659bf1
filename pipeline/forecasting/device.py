"""The device of the network: chosen before Keras is imported, named afterwards.

The only module that uses TensorFlow or JAX by name; all others use Keras 3. It imports nothing heavy, because it runs
before Keras is imported, and no settings, because a machine that only serves has none.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import platform
import sys
from pathlib import Path

from pipeline.errors import UsageError

BACKENDS = ("tensorflow", "jax")
_CARDS = ("nvidia[0-9]*", "dxg", "kfd")  # Linux's names of a card in /dev: NVIDIA's, WSL's, AMD's


def backend() -> str:
    """Return Keras's backend: KERAS_BACKEND, else TensorFlow, else JAX where only JAX is installed.

    Raises:
        UsageError: for another backend, or one that is not installed.
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
    """Hide every card from the backend; this works until the backend is imported."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ["JAX_PLATFORMS"] = "cpu"


def name_of(place: str) -> str:
    """Return the product name of a device of Keras, such as "NVIDIA H100 80GB HBM3" for "gpu:0"."""
    if place.startswith("cpu"):
        return _processor()
    if backend() == "jax":
        import jax

        return str(jax.devices()[0].device_kind)
    import tensorflow as tf

    card = tf.config.get_visible_devices("GPU")[0]
    return str(tf.config.experimental.get_device_details(card).get("device_name", "unknown"))


def check_card() -> None:
    """Check in milliseconds that this machine may have a GPU; `check_gpu` asks the backend.

    Raises:
        UsageError: when Linux shows no card.
    """
    cards = itertools.chain.from_iterable(Path("/dev").glob(pattern) for pattern in _CARDS)
    if sys.platform == "linux" and not any(cards):
        raise _no_gpu(f"no card among the devices of {platform.node()}")


def check_gpu(place: str) -> None:
    """Check that a device of Keras is a GPU.

    Raises:
        UsageError: for another device.
    """
    if not place.startswith("gpu"):
        raise _no_gpu(f"{backend()} computes on {place} of {platform.node()}, {name_of(place)}")


def _no_gpu(received: str) -> UsageError:
    return UsageError(
        "With gpu = require this machine must have a GPU.",
        received,
        "Install its driver and, in the checkout, `.venv/bin/uv pip install --python .venv/bin/python -r pyproject.toml"
        " --extra gpu` (for JAX `... 'jax[cuda12]'`), again when the lock has changed. Or set CLOSECAST_GPU=auto.",
    )


def _processor() -> str:
    """Return the model name of the processor."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
