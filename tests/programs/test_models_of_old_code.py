"""What earlier versions left behind goes on with the code of today: models, ledger, store and MLflow's runs.

They called each amount `..._usd`, in every file. Their models carry code that imports modules under their old names.
"""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from pipeline import runs
from pipeline.forecasting import forecaster
from pipeline.reporting import results
from pipeline.serving import ledger
from pipeline.settings import load_settings
from pipeline.store.folder import Folder
from pipeline.store.formats import frame_of
from pipeline.store.runs import read_plan, run_folder
from pipeline.tracking.registry import Registry
from tests.support.nights import json_in, night
from tests.support.tiny import WIDE_GATE, network_variables, tiny_settings

BEFORE_THE_MOVE = "bdf5f7d"  # of the modules into folders
BEFORE_CURRENCIES = "7770092"
CHECKOUT = Path(__file__).parents[2]
FIGURES = ["forecast", "low_80", "high_80", "low_95", "high_95"]


def run_old_code(commit, home):
    """Train AAA with the code of a commit in a process of its own, its state in `home`."""
    code = home / "code"
    paths = ["pipeline", "expectations", "closecast.toml"]
    command = ["git", "-C", str(CHECKOUT), "archive", commit, *paths]
    archived = subprocess.run(command, capture_output=True, check=False)
    if archived.returncode:
        pytest.skip(f"no history of git: {archived.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as archive:
        archive.extractall(code, filter="data")
    ours = (
        "CLOSECAST_",
        "MLFLOW_",
        "_MLFLOW_",
    )  # MLflow keeps in the environment where the tests before this one wrote
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    variables = {
        # The network alone: with a blend the weight of so small a network is 0, and every forecast is the last close.
        **network_variables(blend="false"),
        "CLOSECAST_GATE": WIDE_GATE,
        "CLOSECAST_VAR": str(home / "var"),
        "CLOSECAST_START": "2022-01-03",
        "CLOSECAST_AS_OF": "2025-11-21",
        "PYTHONPATH": str(code),
    }
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "run", "--tickers", "AAA"],
        cwd=code, env=inherited | variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module", params=[BEFORE_THE_MOVE, BEFORE_CURRENCIES])
def old_home(request, tmp_path_factory):
    """Return the folder of the state that an earlier version left."""
    home = tmp_path_factory.mktemp(request.param)
    run_old_code(request.param, home)
    return home


@pytest.fixture
def settings(old_home, monkeypatch):
    """Return the settings of today on the state that the old code left."""
    return tiny_settings(monkeypatch, old_home)


@pytest.fixture
def closes(settings):
    """Return the closes that the old run validated."""
    (run,) = Folder(f"{settings.store_url}/AAA/2025-11-21").names()
    return frame_of(Folder(f"{settings.store_url}/AAA/2025-11-21/{run}").read("validated.parquet"))["close"]


@pytest.fixture
def row(settings):
    """Return the forecast that the old code wrote into the ledger."""
    return ledger.read(settings.ledger_place, "AAA").iloc[0]


def test_the_old_champion_was_logged_with_the_old_code_and_follows_its_network(settings, row, old_home):
    """Otherwise the tests below would show nothing."""
    champion = Registry(settings).champion("AAA")
    mlflow.set_tracking_uri(settings.mlflow_uri)
    files = Path(mlflow.artifacts.download_artifacts(f"models:/{champion.model_id}"))
    moved = not old_home.name.startswith(BEFORE_THE_MOVE)
    assert (files / "code" / "pipeline" / "forecaster.py").is_file() != moved
    assert (files / "code" / "pipeline" / "forecasting").exists() == moved
    assert b"cutoff_close_usd" in (files / "artifacts" / "recipe.json").read_bytes()
    assert abs(row["forecast"] - row["last_close"]) > 1e-3


def test_mlflow_serves_it_in_a_process_that_has_loaded_the_code_of_today(settings, closes, row):
    """`pipeline` is loaded already, so the model's imports of old names lead to the new modules.

    It answers with the columns of its signature.
    """
    mlflow.set_tracking_uri(settings.mlflow_uri)
    served = mlflow.pyfunc.load_model("models:/closecast-AAA@champion")
    asked = pd.DataFrame({"session": closes.index.strftime("%Y-%m-%d"), "close": closes.to_numpy()})
    (answer,) = served.predict(asked.tail(10)).to_dict("records")
    assert (answer["ticker"], answer["session"]) == ("AAA", "2025-11-24")
    assert set(answer) == {"ticker", "session", *served.metadata.signature.outputs.input_names()}
    assert [answer[f"{name}_usd"] for name in FIGURES] == pytest.approx([row[name] for name in FIGURES], rel=1e-6)


def test_the_registry_loads_its_network_and_its_recipe(settings, closes, row):
    """As the gate does, which compares it with a new version on the same rows."""
    registry = Registry(settings)
    network, recipe = registry.load("AAA", registry.champion("AAA"))
    values = closes.to_numpy(np.float64)
    made = forecaster.forecast(network, values, range(len(values), len(values) + 1), recipe)._asdict()
    assert [made[name][0] for name in FIGURES] == pytest.approx([row[name] for name in FIGURES], rel=1e-6)


def test_the_next_night_runs_on_what_the_old_code_left(settings, row):
    """The old champion is compared with the new version, and its forecast is scored."""
    folder = night("2", "2025-11-24")
    decision = json_in(folder, "decision")
    assert decision["champion"] == row["version"]
    assert decision["champion_rmse"] == pytest.approx(json_in(folder, "metrics")["rmse"], rel=0.25)
    scored = json_in(folder, "forecast")["scored"]
    assert (scored["session"], scored["forecast"], scored["version"]) == ("2025-11-24", row["forecast"], row["version"])
    assert len(ledger.read(settings.ledger_place, "AAA")) == 2
    (old,) = Folder(f"{settings.store_url}/AAA/2025-11-21").names()
    assert b"rmse_usd" in Folder(f"{settings.store_url}/AAA/2025-11-21/{old}").read("metrics.json")
    assert not [name for name in folder.names() if name.endswith(".json") and b"_usd" in folder.read(name)]
    runs.report("manual__2", settings=load_settings(tickers=("AAA",)))
    (picture,) = Path(settings.store_url, "_runs", "manual__2").glob("report.html")
    assert "skill of the last runs" in picture.read_text()  # the old run beside the new one


def test_the_old_run_is_reported_again(settings, row, old_home):
    """Its manifests, scores, decision and forecast are read."""
    if old_home.name.startswith(BEFORE_THE_MOVE):
        pytest.skip("its manifests have no results of effects yet")
    (run,) = Folder(f"{settings.store_url}/AAA/2025-11-21").names()
    plan = read_plan(settings.store_url, run)
    runs.report(plan.dag_run_id, settings=settings)
    (result,) = results.results_of(run_folder(settings.store_url, run).read("results.json"))
    assert (result.forecast, result.forecast_version) == (row["forecast"], row["version"])
    assert result.rmse_over_naive == pytest.approx(result.rmse / result.naive_rmse)
