"""Fifty tickers against one MLflow, none lost, none doubled: at once on a server, by eights on bare SQLite.

Fifty threads on bare SQLite fail: they share the 15 connections of MLflow's pool, and one write at a time takes longer
than the 30 seconds that it waits for one. Nothing of ours gets near: the stack puts a server before SQLite and has at
most four tasks at once, `make run` has one.
"""

import os
import shutil
import subprocess
import sys
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import mlflow
import pytest

from pipeline import runner, runs
from pipeline.errors import Unavailable
from pipeline.steps import FLOW
from pipeline.store.runs import read_plan, unit_folder
from pipeline.tracking.registry import Registry
from pipeline.tracking.runs import Runs
from pipeline.tracking.step_log import log_step
from tests.support.stacks import eventually, free_port
from tests.support.tiny import WIDE_GATE, tiny_settings

TICKERS = tuple(f"T{number:02}" for number in range(50))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return settings, plan and folders of 50 units; one was trained, the others have copies of its files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLOSECAST_GATE", WIDE_GATE)
        settings = tiny_settings(patch, tmp_path_factory.mktemp("many")).model_copy(update={"tickers": TICKERS})
        runs.plan(settings, "manual__many")
        plan = read_plan(settings.store_url, "manual__many")
        first = {"run": plan.run, "as_of": str(plan.as_of), "tickers": [TICKERS[0]]}
        for step in FLOW:
            runner.run(step.name, first, settings=settings)
        folders = {ticker: unit_folder(settings.store_url, ticker, plan) for ticker in TICKERS}
        for ticker in TICKERS[1:]:
            shutil.copytree(folders[TICKERS[0]].url, folders[ticker].url)
    return settings, plan, folders


@pytest.fixture
def server(tmp_path):
    """Start MLflow's server on a database of its own, and yield its address."""
    port = free_port()
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--artifacts-destination", str(tmp_path / "files"),
    ]  # fmt: skip
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "DO_NOT_TRACK": "true"}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            assert eventually(lambda: answers(f"http://127.0.0.1:{port}/health"), 180), (tmp_path / "log").read_text()
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, 9)
            process.wait()


def answers(url):
    """Return whether somebody answers."""
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def log_all(settings, plan, folders, ticker):
    """Release and log every step of a unit as its tasks would, each tried again while MLflow is too busy to answer."""
    for step in FLOW:
        for attempt in range(5, -1, -1):
            try:
                tracker = Runs(settings)
                manifest = folders[ticker].manifest(step.name)
                effects = manifest.outcome.effects
                if effects and effects.release:
                    run = tracker.unit_run(plan, ticker)
                    model = run.data.tags["model_id"]
                    Registry(settings).release(ticker, model, run.info.run_id, effects.release, manifest.started)
                log_step(tracker, plan, ticker, manifest, folders[ticker], last=step.name == plan.until)
                break
            except Unavailable:
                if not attempt:
                    raise


@pytest.mark.parametrize(("kind", "at_once"), [("server", 50), ("sqlite", 8)])
def test_fifty_tickers(trained, tmp_path, request, kind, at_once):
    """One parent, one finished child each with its curves once, one model, one version, one champion."""
    settings, plan, folders = trained
    uri = request.getfixturevalue("server") if kind == "server" else f"sqlite:///{tmp_path}/mlflow.db"
    settings = settings.model_copy(update={"tracking_uri": uri, "experiment": f"many-{kind}"})
    Runs(settings).open_parent(plan)
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda ticker: log_all(settings, plan, folders, ticker), TICKERS))
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name(settings.experiment).experiment_id
    runs = client.search_runs([experiment], "tags.dag_run_id = 'manual__many'", max_results=500)
    assert Counter(run.data.tags["ticker"] for run in runs) == Counter(("", *TICKERS))
    children = [run for run in runs if run.data.tags["ticker"]]
    assert {run.info.status for run in children} == {"FINISHED"}
    known = folders[TICKERS[0]].manifest("train").outcome.curves["loss"]
    for run in children:
        points = client.get_metric_history(run.info.run_id, "loss")
        assert [point.value for point in points] == known
        (version,) = client.search_model_versions(f"name = 'closecast-{run.data.tags['ticker']}'")
        assert version.run_id == run.info.run_id
        champion = client.get_model_version_by_alias(f"closecast-{run.data.tags['ticker']}", "champion")
        assert champion.version == version.version
    models = client.search_logged_models([experiment], max_results=500)
    assert Counter(model.source_run_id for model in models) == Counter(run.info.run_id for run in children)
