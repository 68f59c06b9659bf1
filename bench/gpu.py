"""Seconds per epoch on the processor and on a GPU, at batch 32 and 1,024, of the real networks.

    python bench/gpu.py                    every installed backend, on every device: the published network, one ticker
    python bench/gpu.py --tickers 1 415    and the network that 415 tickers share

Needs Keras, NumPy and TensorFlow or JAX, and this checkout. Installs nothing and imports neither Airflow nor MLflow.
Compare figures of one machine and one call only.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
WINDOWS = 2329  # of the tutorial's ticker
SHARED_WINDOWS = 1350  # of each ticker that shares a network: eight years
LOOKBACK = 100
UNITS = (20, 20, 20)
BATCHES = (32, 1024)


def measure(times: int, tickers: int) -> dict[str, object]:
    """Return the device of this process, and the median seconds of an epoch by batch, the first one left out."""
    sys.path.insert(0, str(CHECKOUT))
    import numpy as np

    from pipeline.forecasting import device, model, training

    count, inputs, output = (WINDOWS, 1, "point") if tickers == 1 else (SHARED_WINDOWS * tickers, 2, "distribution")
    trainer = training._trainer(LOOKBACK, UNITS, "simple_rnn", 1e-3, None, output)  # noqa: SLF001
    windows = np.random.default_rng(0).standard_normal((count, LOOKBACK, inputs), "float32")
    place = model.device()
    seconds = {}
    compiling = {}
    for batch in BATCHES:
        taken = []
        for _ in range(times + 1):
            started = time.perf_counter()
            trainer.fused.fit(windows, windows[:, -1, :1], batch_size=batch, epochs=1, verbose=0)
            taken.append(time.perf_counter() - started)
        seconds[str(batch)] = float(np.median(taken[1:]))
        compiling[str(batch)] = taken[0]
    return {
        "backend": device.backend(), "device": place, "name": device.name_of(place),
        "seconds": seconds, "first": compiling,
    }  # fmt: skip


def measured(backend: str, times: int, tickers: int, *, hidden: bool) -> dict[str, object]:
    """Measure in a process of its own: a backend chooses its device once."""
    environment = os.environ | {"KERAS_BACKEND": backend}
    if hidden:
        environment |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, __file__, "--here", "--times", str(times), "--tickers", str(tickers)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="epochs to take the median of")
    parser.add_argument("--tickers", type=int, nargs="*", default=[1], help="1: the published network; more share one")
    parser.add_argument("--here", action="store_true", help="measure in this process and print JSON")
    given = parser.parse_args()
    if given.here:
        print(json.dumps(measure(given.times, *given.tickers)))
        return
    print("| tickers | backend | device | batch | seconds per epoch | first epoch | GPU / CPU |")
    print("|---|---|---|---|---|---|---|")
    backends = [name for name in ("tensorflow", "jax") if importlib.util.find_spec(name)]
    for tickers, backend in itertools.product(given.tickers, backends):
        cpu = measured(backend, given.times, tickers, hidden=True)
        best = measured(backend, given.times, tickers, hidden=False)
        for one in (cpu, best) if best["device"] != cpu["device"] else (cpu,):
            for batch, seconds in one["seconds"].items():
                ratio = f"{seconds / cpu['seconds'][batch]:.2f}" if one is best else ""
                where = f"{one['device']} {one['name']}"
                first = one["first"][batch]
                print(
                    f"| {tickers} | {backend} | {where} | {batch} | {seconds:.3f} | {first:.1f} | {ratio} |", flush=True
                )


if __name__ == "__main__":
    main()
