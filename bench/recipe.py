"""The published recipe as a plain Keras script, and our fit of the same network, on a price file.

Both start from the same weights and see the same batches in the same order. They run alternately in processes of their
own. The losses of the first epochs must agree to 1e-5; only then are the seconds compared.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PLAIN = """
import json, sys, time
started = time.perf_counter()
import numpy as np
import keras
data = np.load(sys.argv[1])
fit = time.perf_counter()
network = keras.Sequential([
    keras.Input((100, 1)),
    keras.layers.SimpleRNN(20, return_sequences=True),
    keras.layers.SimpleRNN(20, return_sequences=True),
    keras.layers.SimpleRNN(20),
    keras.layers.Dense(1),
])
network.compile(optimizer="adam", loss="mean_squared_error")
network.set_weights([data[f"w{at}"] for at in range(11)])
# On JAX the first `fit` would draw a shuffle to build the loss, and train in another order than ours.
network.compute_loss(y=keras.ops.zeros((1, 1)), y_pred=keras.ops.zeros((1, 1)))
keras.utils.set_random_seed(0)
curve = network.fit(data["x"], data["y"], epochs=int(sys.argv[2]), batch_size=32, verbose=0).history["loss"]
print(json.dumps([curve[:3], time.perf_counter() - fit, time.perf_counter() - started]))
"""
OURS = """
import json, sys, time
started = time.perf_counter()
import numpy as np
from pipeline.forecasting import training
from pipeline.settings import load_settings
data = np.load(sys.argv[1])
preset = load_settings().presets["tutorial"].model_copy(update={"epochs": int(sys.argv[2])})
reset = training._Trainer.reset
def same_start(self, seed, **given):
    reset(self, seed, **given)
    self.network.set_weights([data[f"w{at}"] for at in range(11)])
    training.keras.utils.set_random_seed(0)
training._Trainer.reset = same_start
fit = time.perf_counter()
trained = training.train(data["x"], data["y"][:, 0], preset)
print(json.dumps([trained.curves["loss"][:3], time.perf_counter() - fit, time.perf_counter() - started]))
"""
AGREE = 1e-5
CHECKOUT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Print seconds and ratios of both, median with least and most."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prices", type=Path)
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--backends", nargs="*", default=["tensorflow", "jax"])
    parser.add_argument("--json", type=Path, help="write the figures there too")
    asked = parser.parse_args()
    found = {}
    folder = tempfile.TemporaryDirectory(prefix="closecast-recipe-")
    data = Path(folder.name) / "windows.npz"
    write_data(asked.prices, data)
    for backend in asked.backends:
        pairs = [[run(code, data, asked.epochs, backend) for code in (PLAIN, OURS)] for _ in range(asked.pairs)]
        for plain, ours in pairs:
            apart = max(abs(one - other) for one, other in zip(plain[0], ours[0], strict=True))
            if apart > AGREE:
                sys.exit(f"{backend}: the losses differ by {apart:.1e}: {plain[0]} and {ours[0]}")
        ratios = [plain[1] / ours[1] for plain, ours in pairs]
        found[backend] = {
            "plain_seconds": statistics.median(plain[1] for plain, _ in pairs),
            "our_seconds": statistics.median(ours[1] for _, ours in pairs),
            "ratio": [min(ratios), statistics.median(ratios), max(ratios)],
            "plain_start_to_end": statistics.median(plain[2] for plain, _ in pairs),
        }
        one = found[backend]
        least, median, most = one["ratio"]
        print(
            f"{backend:10} {asked.epochs} epochs: plain {one['plain_seconds']:.1f} s, ours {one['our_seconds']:.1f} s, "
            f"ratio {median:.1f} ({least:.1f} to {most:.1f}), load {os.getloadavg()[0]:.1f}"
        )
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1))


def write_data(prices: Path, file: Path) -> None:
    """Write the scaled windows of the tutorial, their targets, and first weights."""
    import numpy as np
    import pandas as pd

    from pipeline.forecasting import model

    closes = pd.read_csv(prices)["Close"].to_numpy()
    known = closes[: int(0.8 * len(closes))]
    scaled = (known - known.min()) / (known.max() - known.min())
    windows = np.lib.stride_tricks.sliding_window_view(scaled, 100)[:-1, :, np.newaxis].astype("float32")
    targets = scaled[100:, np.newaxis].astype("float32")
    model.keras.utils.set_random_seed(0)
    weights = {f"w{at}": one for at, one in enumerate(model.build(100, (20, 20, 20)).get_weights())}
    np.savez(file, x=windows, y=targets, **weights)


def run(code: str, data: Path, epochs: int, backend: str) -> list[object]:
    """Return first losses, seconds of the fit, and seconds from the start of the process."""
    environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    words = [sys.executable, "-W", "ignore", "-c", code, str(data), str(epochs)]
    done = subprocess.run(words, env=environment, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
