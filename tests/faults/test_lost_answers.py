"""Answers that are lost after MLflow's server has done what it was asked: nothing is there twice."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import urllib.request

import mlflow
import pytest

from pipeline import runner, runs
from pipeline.errors import PipelineError, Unavailable
from pipeline.settings import load_settings
from pipeline.steps import FLOW
from tests.faults.proxy import Proxy
from tests.support.running import check, set_tiny
from tests.support.stacks import eventually, free_port


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    """Start MLflow's server on SQLite, and the proxy that stands before it; settings go through the proxy."""
    home, port = tmp_path_factory.mktemp("lost"), free_port()
    with pytest.MonkeyPatch.context() as patch:
        set_tiny(patch, home)
        patch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
        patch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        arguments = (
            f"mlflow server --host 127.0.0.1 --port {port} --workers 1 --no-serve-artifacts "
            f"--backend-store-uri sqlite:///{home}/mlflow.db --default-artifact-root {home}/artifacts"
        )
        with (home / "server.log").open("w") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", *arguments.split()], stdout=log, stderr=log, start_new_session=True
            )
        between = Proxy(port)
        try:
            assert eventually(lambda: answers(f"http://127.0.0.1:{port}"), 300), (home / "server.log").read_text()
            patch.setenv("CLOSECAST_TRACKING_URI", between.url)
            yield between
        finally:
            between.close()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, 9)
            server.wait()


def answers(url):
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5):
            return True
    except OSError:
        return False


def in_one_piece(do, proxy, attempts=1):
    """Do it until it gets through; the n-th attempt loses its answers from the n-th on. Return what was lost."""
    lost = []
    for number in range(1, attempts + 1):
        proxy.start_over(lambda asked, number=number: asked >= number)
        try:
            done = do()
        except Unavailable:
            lost += proxy.lost
            continue
        lost += proxy.lost
        if not proxy.lost:
            return done, lost
    raise AssertionError(f"no end after {attempts} attempts, at last with {proxy.asked}")


def lost_everywhere(name, ticker, proxy):
    """Do a whole run, each step of it as often as it has answers to lose."""
    settings = load_settings(tickers=(ticker,), experiment=name)
    (batch,), lost = in_one_piece(lambda: runs.plan(settings, name), proxy, 200)
    told = {"plan": lost}
    for step in FLOW:
        _, told[step.name] = in_one_piece(lambda: runner.run(step.name, batch, settings=settings), proxy, 200)  # noqa: B023
    _, told["report"] = in_one_piece(lambda: runs.report(name, settings=settings), proxy, 200)
    return settings, told


def nothing_twice(settings, run, ticker):
    """Beside what holds after every run: no ghost of anything anywhere, not even one that is marked as deleted."""
    check(settings, run, [ticker])
    client = mlflow.MlflowClient(settings.mlflow_uri)
    assert [one.name for one in client.search_experiments()].count(settings.experiment) == 1
    (experiment,) = (one for one in client.search_experiments() if one.name == settings.experiment)
    assert len(client.search_logged_models([experiment.experiment_id])) == 1
    assert len(client.search_runs([experiment.experiment_id])) == 3 - 1  # no forecast is old enough to be scored
    assert len(client.search_registered_models(f"name = 'closecast-{ticker}'")) == 1


def test_every_answer_is_lost_once_and_the_client_asks_again(proxy, monkeypatch):
    """MLflow's client repeats what it was not answered, also what makes something new."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
    settings = load_settings(tickers=("AGAIN",), experiment="again")
    proxy.start_over(lambda asked: asked % 2 == 1)
    (batch,) = runs.plan(settings, "again")
    for step in FLOW:
        runner.run(step.name, batch, settings=settings)
    runs.report("again", settings=settings)
    print(f"lost {len(proxy.lost)} answers: {sorted(set(proxy.lost))}")  # noqa: T201 - for the record
    assert len(proxy.lost) > 50
    proxy.start_over(lambda _: False)
    nothing_twice(settings, "again", "AGAIN")


def test_every_answer_is_lost_and_the_step_is_tried_again(proxy, monkeypatch):
    """As if MLflow had gone then: the n-th attempt of a step loses its answers from the n-th on, for every n."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    settings, lost = lost_everywhere("anew", "ANEW", proxy)
    print({step: len(names) for step, names in lost.items()})  # noqa: T201 - for the record
    assert sum(map(len, lost.values())) > 50
    proxy.start_over(lambda _: False)
    nothing_twice(settings, "anew", "ANEW")


def test_a_server_that_dies_on_every_request_is_told(proxy, monkeypatch):
    """No answer at all: one line that names the server, worth another try, and no traceback of a library."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    proxy.start_over(lambda _: True)
    with pytest.raises(PipelineError, match="The MLflow server must answer") as error:
        runs.plan(load_settings(tickers=("NEVER",), experiment="never"), "never")
    assert isinstance(error.value, Unavailable)
    proxy.start_over(lambda _: False)
