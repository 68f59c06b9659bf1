"""What the tests ask of a running stack, what they do to it, and what must hold after every run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from pipeline.operations import processes
from pipeline.plan import folder_name
from pipeline.settings import load_settings
from pipeline.settings.foreign import foreign_variables
from pipeline.steps import FLOW
from pipeline.store.folder import Folder
from pipeline.store.formats import sha256
from tests.support.stacks import eventually
from tests.support.tiny import NETWORK, WIDE_GATE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import psutil
    import pytest

    from pipeline.settings import Settings

# A network that trains in a second, and retries that come soon. The tests need a promotion, so the gate is wide.
TINY = {
    "RETRY_SECONDS": "2",
    "GATE": WIDE_GATE,
    **{f"PRESETS__DAILY__{name}": value for name, value in NETWORK.items()},
}
NIGHT = TINY | {
    "SOURCE": "sample",
    "TICKERS": '["NIGHT"]',
    "START": "2022-01-03",
    "AS_OF": "2025-11-21",
    "RETRIES": "3",
}
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def set_tiny(patch: pytest.MonkeyPatch, home: Path, **more: str) -> Settings:
    """Set the environment to a small network with all of its state in `home`."""
    for name in foreign_variables(os.environ):  # MLflow's client leaves some in this process
        patch.delenv(name)
    for name, value in (NIGHT | {"VAR": str(home)} | more).items():
        patch.setenv(f"CLOSECAST_{name}", value)
    patch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")
    return load_settings()


class Running:
    """A stack that is up."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def trigger(self, name: str, tickers: Sequence[str], overrides: dict[str, int] | None = None) -> str:
        """Start a run of the DAG as its form does, and return its id."""
        conf = {"tickers": list(tickers), "overrides": overrides or {}}
        self.ask("dags/retrain/dagRuns", {"dag_run_id": name, "logical_date": None, "conf": conf})
        return name

    def scheduled_run(self) -> str:
        """Return the id of the run that the schedule started, which it does once the DAG has been read."""

        def runs() -> list[dict[str, Any]]:
            return list(self.ask("dags/retrain/dagRuns?run_type=scheduled")["dag_runs"])

        assert eventually(lambda: bool(runs()), 180)
        return str(runs()[0]["dag_run_id"])

    def tasks(self, run: str) -> list[dict[str, Any]]:
        """Return Airflow's task instances of a run."""
        return list(self.ask(f"dags/retrain/dagRuns/{run}/taskInstances?limit=100")["task_instances"])

    def run(self, name: str) -> dict[str, Any]:
        """Return what Airflow knows of a run."""
        return self.ask(f"dags/retrain/dagRuns/{name}")

    def end_of(self, run: str, seconds: float) -> str:
        """Wait until a run ends by itself, and return its state."""
        state = ""

        def ended() -> bool:
            nonlocal state
            state = str(self.run(run)["state"])
            return state in {"success", "failed"}

        eventually(ended, seconds)
        return state

    def processes(self, program: str) -> list[psutil.Process]:
        """Return the processes of a program of the stack."""
        return processes.members(str(self.settings.var_dir), program)

    def control(self, verb: str, program: str) -> None:
        """Stop or start a program, as somebody does who restarts it."""
        command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", "supervisord.conf", verb, program]
        subprocess.run(command, cwd=self.settings.var_dir / "run", check=True, stdout=subprocess.DEVNULL)

    def ask(self, path: str, body: dict[str, Any] | None = None, method: str | None = None) -> dict[str, Any]:
        """Call Airflow's REST API; it may be away for a while, that is what is tested."""
        address = f"http://127.0.0.1:{self.settings.airflow_port}"
        passwords = self.settings.var_dir / "airflow" / "simple_auth_manager_passwords.json.generated"
        login = {"username": "admin", "password": json.loads(passwords.read_text())["admin"]}
        for seconds in (1, 2, 4, 8, 16, 32, 0):
            try:
                token = _post(f"{address}/auth/token", login, {})["access_token"]
                return _post(f"{address}/api/v2/{path}", body, {"Authorization": f"Bearer {token}"}, method)
            except (urllib.error.URLError, OSError) as error:
                if not seconds or (isinstance(error, urllib.error.HTTPError) and error.code < 500):
                    raise
                time.sleep(seconds)
        raise AssertionError


def check(settings: Settings, run: str, tickers: Sequence[str]) -> None:
    """Check what must hold after every run that was promoted last, whatever died in between."""
    from pipeline.tracking.client import connect

    client = connect(settings)
    experiment = client.get_experiment_by_name(settings.experiment).experiment_id
    logged = client.search_runs([experiment], f"tags.dag_run_id = '{run}'")
    ended = sorted((one.data.tags["ticker"], one.info.status) for one in logged)
    assert ended == [(ticker, "FINISHED") for ticker in ("", *sorted(tickers))]
    for ticker in tickers:
        child = next(one for one in logged if one.data.tags["ticker"] == ticker).info.run_id
        for metric in ("loss", "rmse", "step/train_seconds"):
            steps = [point.step for point in client.get_metric_history(child, metric)]
            assert steps, f"{metric} is not there"
            assert steps == sorted(set(steps)), f"{metric} was logged twice"
        models = client.search_logged_models([experiment], f"source_run_id = '{child}'")
        assert [str(one.status) for one in models] == ["READY"]
        versions = client.search_model_versions(f"name = 'closecast-{ticker}'")
        assert [one.run_id for one in versions].count(child) == 1
        champion = client.get_model_version_by_alias(f"closecast-{ticker}", "champion")
        assert champion.run_id == child
        check_files(settings, run, ticker)


def check_files(settings: Settings, run: str, ticker: str) -> None:
    """Check that a run published one set of files of a ticker, all of them as its manifests say."""
    folder = Folder(f"{settings.store_url}/{ticker}/{settings.as_of}/{folder_name(run)}")
    expected = {f"{step.name}.manifest.json" for step in FLOW}
    for step in FLOW:
        manifest = folder.manifest(step.name)
        assert manifest is not None
        assert {name: sha256(folder.read(name)) for name in manifest.outputs} == manifest.outputs
        expected |= set(manifest.outputs)
    assert {name for name in folder.names() if not name.startswith(".")} == expected


def _post(url: str, body: dict[str, Any] | None, headers: dict[str, str], method: str | None = None) -> dict[str, Any]:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers}, method=method)
    with DIRECT.open(request, timeout=30) as answer:
        return dict(json.load(answer))
