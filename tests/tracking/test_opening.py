"""The address that `make up` prints, on a real MLflow server behind its login, and the page that it opens."""

import datetime as dt
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from playwright.sync_api import expect, sync_playwright

from pipeline.plan import make_plan
from pipeline.tracking.opening import opening_page
from pipeline.tracking.views import view_tags
from tests.support.stacks import eventually, free_port, page

PASSWORD = "secret"  # noqa: S105 - of a server of this test
SIZE = {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Start MLflow as `make up` does, and return its address."""
    home = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    command = (
        f"server --app-name closecast-login --host 127.0.0.1 --port {port} --workers 1 --no-serve-artifacts "
        f"--backend-store-uri sqlite:///{home}/mlflow.db --default-artifact-root {home}/artifacts"
    )
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    programs = Path(sys.executable).parent  # mlflow starts uvicorn by its name
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [str(programs / "mlflow"), *command.split()],
            env=variables | {"MLFLOW_TRACKING_PASSWORD": PASSWORD, "PATH": f"{programs}:{os.environ['PATH']}"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        assert eventually(lambda: _answers(port), 300), (home / "log").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def _answers(port):
    try:
        return page(port, "/health") == b"OK"
    except OSError:
        return False


@pytest.fixture
def client(server, monkeypatch):
    """Return MLflow's client with the login."""
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    return mlflow.MlflowClient(server, server)


def test_the_experiment_is_made_once_with_its_views(server, client):
    """A second call opens the same one."""
    opened = opening_page(server, "closecast", PASSWORD)
    made = client.get_experiment_by_name("closecast")
    assert opened == opening_page(server, "closecast", PASSWORD)
    assert f"/#/experiments/{made.experiment_id}/runs?workflowType=machine_learning" in opened
    assert "mlflow.sharedViewState.last-night" in made.tags


def test_the_servers_own_address_is_printed_where_there_is_no_view(server, client):
    """A wrong password; a deleted experiment, which is not made again; no server."""
    assert opening_page(server, "closecast", "wrong") == server
    number = client.create_experiment("of last year")
    client.delete_experiment(number)
    assert opening_page(server, "of last year", PASSWORD) == server
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert opening_page(nowhere, "closecast", PASSWORD) == nowhere


def test_the_page_shows_one_row_per_ticker_with_verdict_and_figures(server, client, tiny):
    """At 1280 pixels, in Chromium; MLflow documents the format of a view nowhere, so a new MLflow may change it."""
    path = shutil.which("chromium")
    if not path:
        pytest.skip("no chromium on this machine: apt install chromium")
    opened = opening_page(server, "seen", PASSWORD)
    number = client.get_experiment_by_name("seen").experiment_id
    for ticker, verdict in (("AAA", "promoted"), ("BBB", "refused")):
        tags = {"dag_run_id": "manual__1", "ticker": ticker, "verdict": verdict, "preset": "daily"}
        run = client.create_run(number, run_name=f"{ticker} of the night", tags=tags).info.run_id
        for name, value in {"rmse": 2.0, "skill": 0.0125, "interval_skill_95": 0.0625, "coverage_95": 0.95}.items():
            client.log_metric(run, name, value)
    now = dt.datetime(2025, 11, 24, 23, tzinfo=dt.UTC)
    for name, value in view_tags(make_plan(tiny, "manual__1", now=now, moment=now, overrides={})).items():
        client.set_experiment_tag(number, name, value)
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=path, args=["--no-sandbox"])
        context = browser.new_context(viewport=SIZE, http_credentials={"username": "admin", "password": PASSWORD})
        seen = context.new_page()
        seen.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        seen.goto(opened)
        expect(seen.get_by_text("Last night, one row per ticker")).to_be_visible()
        expect(seen.get_by_text("AAA of the night")).to_be_visible()
        for name in ("verdict", "skill", "interval_skill_95", "coverage_95", "preset"):
            expect(seen.locator("[role=columnheader]", has_text=name).first).to_be_in_viewport()
        for cell in ("promoted", "refused", "0.0125"):
            expect(seen.locator("[role=gridcell]", has_text=cell).first).to_be_in_viewport()
        browser.close()
