"""The one model of a unit in MLflow."""

import ast
import datetime as dt
import subprocess
import sys
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from pipeline.errors import Damaged
from pipeline.evaluation.metrics import rmse
from pipeline.outcome import Manifest, Outcome
from pipeline.store.folder import Folder
from pipeline.tracking.logged_model import _shared_files, log_model
from pipeline.tracking.runs import Runs
from tests.support.nights import folder_of, logged_runs

CHECKOUT = Path(__file__).resolve().parents[2]
MANIFEST = Manifest(
    step="train", key="this training", inputs={}, outputs={"model.keras": "hash", "recipe.json": "hash"},
    outcome=Outcome(model=("model.keras", "recipe.json")), started=dt.datetime(2025, 11, 21, tzinfo=dt.UTC),
    seconds=1.0, peak_memory_mb=1.0, versions={},
)  # fmt: skip


@pytest.fixture
def tracking(tiny):
    """Return an empty MLflow."""
    return Runs(tiny)


@pytest.fixture
def run_id(tracking):
    """Return the id of a unit's run."""
    return tracking.client.create_run(tracking.experiment).info.run_id


def leave_model(tracking, run_id, key, *, whole):
    """Leave a model as a training leaves it, or as a process that was killed meanwhile."""
    client = tracking.client
    model = client.create_logged_model(tracking.experiment, name="m", source_run_id=run_id, tags={"step_key": key})
    if whole:
        client.finalize_logged_model(model.model_id, "READY")
    return model.model_id


def models_of(tracking):
    """Return the ids of all models in MLflow."""
    return {model.model_id for model in tracking.client.search_logged_models([tracking.experiment])}


def test_the_logged_model_forecasts_the_logged_error_again(finished):
    """Loaded by models:/, from raw prices to dollars: the RMSE of its naive forecasts to 1e-6.

    The network that is served has seen the test rows; with weight 0 its forecasts are those of the evaluation.
    """
    settings, batch = finished
    client, experiment, found = logged_runs(settings)
    run = next(run for run in found if run.data.tags["ticker"] == "GOOD")
    (logged,) = client.search_logged_models([experiment.experiment_id])
    mlflow.set_tracking_uri(settings.mlflow_uri)
    served = mlflow.pyfunc.load_model(f"models:/{logged.model_id}")
    prices = pd.read_parquet(f"{folder_of(settings, batch, 'GOOD').url}/validated.parquet")
    closes = prices["close"]
    asked = prices[["open", "high", "low", "close"]].reset_index(drop=True)
    forecasts = served.predict(asked, params={"every_session": True})["forecast"].to_numpy()
    assert len(forecasts) == len(closes) - 5  # the first one needs lookback closes and one
    assert served.predict(asked)["forecast"].tolist() == [forecasts[-1]]
    tested = int(run.data.metrics["test_rows"])
    error = rmse(closes.to_numpy()[-tested:], forecasts[-tested - 1 : -1])
    assert error == pytest.approx(run.data.metrics["rmse"], rel=1e-6)
    recipe = served.unwrap_python_model().recipe
    assert (recipe.preset, recipe.cell) == ("daily", run.data.params["cell"])
    assert logged.source_run_id == run.info.run_id
    assert "rmse" in {metric.key for metric in logged.metrics}


ALONE = """
import sys
sys.meta_path = [one for one in sys.meta_path if "editable" not in repr(one)]
sys.path = [one for one in sys.path if one not in ("", {checkout!r})]
import mlflow, pandas
model = mlflow.pyfunc.load_model({place!r})
asked = pandas.read_json({asked!r}, orient="split")
print(model.predict(asked)["forecast"].tolist())
code = [one.__file__ for name, one in sys.modules.items() if name.split(".")[0] == "pipeline" and one.__file__]
print(len(code), all(one.startswith({place!r}) for one in code))
"""


def test_a_model_serves_alone(finished, tmp_path):
    """In a process that cannot import the checkout, with the code that the model carries."""
    settings, batch = finished
    client, experiment, _ = logged_runs(settings)
    (logged,) = client.search_logged_models([experiment.experiment_id])
    place = logged.artifact_location.removeprefix("file://")
    prices = pd.read_parquet(f"{folder_of(settings, batch, 'GOOD').url}/validated.parquet")
    asked = prices[["open", "high", "low", "close"]].reset_index(drop=True)
    asked.to_json(tmp_path / "asked.json", orient="split", double_precision=15)
    code = ALONE.format(checkout=str(CHECKOUT), place=place, asked=str(tmp_path / "asked.json"))
    run = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True)
    forecast, own = done.stdout.splitlines()[-2:]
    served = mlflow.pyfunc.load_model(place).predict(asked)["forecast"].tolist()
    assert forecast == str(served)
    assert own.endswith("True")
    assert int(own.split()[0]) > 10


def test_a_model_carries_all_that_its_code_imports():
    """No import of a carried file, a late one included, leaves the carried files; types are not imported."""
    carried = {name: data for name, data in _shared_files(5, distribution=True).files.items() if name.endswith(".py")}
    modules = {name.removeprefix("code/").removesuffix(".py").removesuffix("/__init__") for name in carried}
    assert "pipeline/forecasting/model" in modules
    assert len(modules) < 80
    for name, data in carried.items():
        for module in imported(ast.parse(data)):
            assert module.replace(".", "/") in modules, f"{name} imports {module}"


def imported(tree):
    """Return the modules of the package that a file imports when it runs."""
    found = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "pipeline":
            inner = [f"{node.module}.{one.name}" for one in node.names]
            files = [one for one in inner if (CHECKOUT / one.replace(".", "/")).with_suffix(".py").exists()]
            found |= set(files) or {node.module}
        found |= imported(node)
    return found


def test_a_whole_model_is_found_again_and_halves_are_deleted(tracking, run_id, tmp_path):
    """A killed try left half a model, a lost answer a second whole one; a third call changes nothing."""
    leave_model(tracking, run_id, MANIFEST.key, whole=False)
    first = leave_model(tracking, run_id, MANIFEST.key, whole=True)
    leave_model(tracking, run_id, MANIFEST.key, whole=True)
    folder = Folder(str(tmp_path))
    for _ in range(2):
        assert log_model(tracking, run_id, MANIFEST, folder, MANIFEST.outcome.model) == first
        assert models_of(tracking) == {first}
        (linked,) = tracking.client.get_run(run_id).outputs.model_outputs
        assert linked.model_id == first


def test_a_whole_model_of_another_training_is_kept(tracking, run_id, tmp_path):
    """It may be the champion; the half of another training is deleted."""
    mine = leave_model(tracking, run_id, MANIFEST.key, whole=True)
    champion = leave_model(tracking, run_id, "an earlier training", whole=True)
    leave_model(tracking, run_id, "an earlier training", whole=False)
    other_run = tracking.client.create_run(tracking.experiment).info.run_id
    half_elsewhere = leave_model(tracking, other_run, MANIFEST.key, whole=False)
    log_model(tracking, run_id, MANIFEST, Folder(str(tmp_path)), MANIFEST.outcome.model)
    assert models_of(tracking) == {mine, champion, half_elsewhere}


def test_a_damaged_file_is_not_logged(tracking, run_id, tmp_path):
    """The file is named, and MLflow has no half of a model."""
    folder = Folder(str(tmp_path))
    folder.write("recipe.json", b"{}")
    with pytest.raises(Damaged, match=r"recipe\.json"):
        log_model(tracking, run_id, MANIFEST, folder, MANIFEST.outcome.model)
    assert models_of(tracking) == set()
