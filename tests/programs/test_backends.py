"""One network on both backends of Keras: TensorFlow in this process, JAX in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from pipeline import runner
from pipeline.forecasting import model, training
from pipeline.forecasting.windows import inputs
from pipeline.settings import load_settings
from pipeline.store.runs import read_plan
from tests.support.nights import night

# The network of `daily` on shorter windows.
SMALL = (
    load_settings()
    .presets["point"]
    .model_copy(update={"lookback": 20, "epochs": 30, "patience": None, "learning_rate": 1e-3, "zero_start": False})
)


def wave(start: int, stop: int):
    """Return windows and targets of a noisy sine."""
    values = np.sin(np.arange(520.0) / 4) + np.random.default_rng(0).normal(0, 0.1, 520)
    return inputs(values, range(start, stop), 20), values[start:stop]


def try_out(place: Path, name: str) -> dict[str, list[float]]:
    """Train in several ways on this process's backend; leave `name`.keras and return what came out."""
    seen, tested = wave(20, 420), wave(420, 520)
    trainer = training._trainer(SMALL.lookback, SMALL.units, SMALL.cell, SMALL.learning_rate, SMALL.clip_norm, "point")
    trainer.reset(0, zero_start=False)
    weights = np.random.default_rng(1)
    trainer.network.set_weights([weights.normal(0, 0.2, one.shape) for one in trainer.network.get_weights()])
    same = trainer.fused.fit(model.tensor(seen[0]), seen[1][:, None], batch_size=32, epochs=3, shuffle=False, verbose=0)
    fixed = model.predict(trainer.network, tested[0])[:, 0]
    errors = []
    for seed in range(5):
        other = training.train(*seen, SMALL.model_copy(update={"seed": seed})).network
        errors.append(float(np.sqrt(np.mean((model.predict(other, tested[0])[:, 0] - tested[1]) ** 2))))
    runs = [training.train(*seen, SMALL, validation=tested) for _ in range(2)]
    forecasts = model.predict(runs[0].network, tested[0])[:, 0]
    (place / f"{name}.keras").write_bytes(model.to_bytes(runs[0].network))
    return {
        "backend": runs[0].backend,
        "same weights, same order: loss": same.history["loss"],
        "same weights, same order: forecasts": fixed.tolist(),
        "trained": runs[0].curves["loss"],
        "trained again": runs[1].curves["loss"],
        "forecasts": forecasts.tolist(),
        "rmse of five seeds": errors,
        "read": {
            path.stem: model.predict(model.load(path), tested[0])[:, 0].tolist()
            for path in sorted(place.glob("*.keras"))
        },
    }


def on_jax(code: str, *words: str, **environment: str) -> str:
    """Run code of this module on JAX and return the last line that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; from tests.programs.test_backends import *; {code}", *words],
        env=os.environ | {"KERAS_BACKEND": "jax", **environment},
        cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Return what came out on TensorFlow and on JAX, and the folder of the networks."""
    place = tmp_path_factory.mktemp("networks")
    tensorflow = try_out(place, "tensorflow")
    return tensorflow, json.loads(on_jax("print(json.dumps(try_out(Path(sys.argv[1]), 'jax')))", str(place))), place


def test_a_network_forecasts_the_same_on_both(both):
    """Trained on either one, read from its file on either one: to 1e-5."""
    tensorflow, jax, place = both
    assert (tensorflow["backend"], jax["backend"]) == ("tensorflow", "jax")
    assert jax["read"]["tensorflow"] == pytest.approx(tensorflow["forecasts"], abs=1e-5)
    read_here = model.predict(model.load(place / "jax.keras"), wave(420, 520)[0])[:, 0]
    assert read_here == pytest.approx(jax["forecasts"], abs=1e-5)


def test_training_is_the_same_where_weights_and_order_are(both):
    """Given both, every epoch has the same loss: the arithmetic is one, clipped Adam included."""
    tensorflow, jax, _ = both
    for what in ("same weights, same order: loss", "same weights, same order: forecasts"):
        assert jax[what] == pytest.approx(tensorflow[what], rel=1e-3, abs=1e-4)


def test_a_training_of_its_own_ends_as_well(both):
    """A seed is another start and order on each, so only outcomes are alike: the mean RMSE of five seeds, to 5 %."""
    tensorflow, jax, _ = both
    assert jax["trained"] != pytest.approx(tensorflow["trained"], rel=1e-3)
    assert np.mean(jax["rmse of five seeds"]) == pytest.approx(np.mean(tensorflow["rmse of five seeds"]), rel=0.05)


def test_the_same_seed_gives_the_same_numbers_on_each(both):
    """Also the first time in a process, when JAX still has the loss to build."""
    for one in both[:2]:
        assert one["trained"] == one["trained again"]


def served(uri: str, run: str) -> list[float]:
    """Return what the model of a run forecasts on this backend."""
    mlflow.set_tracking_uri(uri)
    model_id = mlflow.MlflowClient().get_run(run).data.tags["model_id"]
    closes = 100 + np.sin(np.arange(30.0))
    prices = pd.DataFrame({"open": closes, "high": closes + 1, "low": closes - 1, "close": closes})
    return mlflow.pyfunc.load_model(f"models:/{model_id}").predict(prices)["forecast"].tolist()


def run_of(settings, name: str):
    """Return the MLflow run of a night."""
    (run,) = mlflow.MlflowClient(settings.mlflow_uri).search_runs(
        ["1"], f"tags.dag_run_id = 'manual__{name}' and tags.ticker = 'AAA'"
    )
    return run


def test_a_run_on_jax_says_so_and_is_served_by_both(tiny, monkeypatch):
    """Tags, versions and requirements name the backend; either one serves what the other has trained."""
    night("tensorflow", "2025-11-20")
    here = run_of(tiny, "tensorflow")
    code = "night('jax', '2025-11-21'); print(json.dumps([os.environ['JAX_PLATFORMS'], served(*sys.argv[1:])]))"
    hidden, read_there = json.loads(on_jax(code, tiny.mlflow_uri, here.info.run_id, CLOSECAST_GPU="off"))
    assert hidden == "cpu"
    assert read_there == pytest.approx(served(tiny.mlflow_uri, here.info.run_id), rel=1e-5)
    there = run_of(tiny, "jax")
    assert np.isfinite(served(tiny.mlflow_uri, there.info.run_id)).all()
    assert (here.data.tags["backend"], there.data.tags["backend"]) == ("tensorflow", "jax")
    assert there.data.tags["version.backend"] == "jax"
    assert "version.tensorflow" not in there.data.tags
    needs = mlflow.pyfunc.get_model_dependencies(f"models:/{there.data.tags['model_id']}")
    assert not any(name in Path(needs).read_text() for name in ("jax", "tensorflow", "keras"))  # NumPy serves it
    (batch,) = read_plan(tiny.store_url, "manual__jax").batches()
    monkeypatch.setattr(training, "train", None)  # another backend is another key: what JAX has trained is not reused
    with pytest.raises(TypeError):
        runner.run("train", batch)
