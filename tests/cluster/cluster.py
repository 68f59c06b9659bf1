"""What the tests ask a running cluster, and do to it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil

from pipeline import stack
from pipeline.steps import FLOW
from pipeline.store import Folder, sha256
from tests.test_stack import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.settings import Settings

GPU_WORKER = "airflow-worker-gpu"
LONG = {"epochs": 1500, "patience": 1500}  # some ten seconds of training: time to break something
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Training(NamedTuple):
    """The processes that a running `train` hangs on, each the parent of the next."""

    main: psutil.Process  # Celery's worker
    pool: psutil.Process  # its pool child: Airflow's supervisor of the task
    task: psutil.Process


class Cluster:
    """A cluster that is up."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def trigger(self, name: str, tickers: Sequence[str], overrides: dict[str, int]) -> str:
        """Start a run of the DAG as its form does, and return its id."""
        conf = {"tickers": list(tickers), "overrides": overrides}
        self._ask("dags/retrain/dagRuns", {"dag_run_id": name, "logical_date": None, "conf": conf})
        return name

    def scheduled_run(self) -> str:
        """Return the id of the run that the schedule started, which it does once the DAG has been read."""

        def runs() -> list[dict[str, Any]]:
            return list(self._ask("dags/retrain/dagRuns?run_type=scheduled")["dag_runs"])

        assert eventually(lambda: bool(runs()), 180)
        return str(runs()[0]["dag_run_id"])

    def tasks(self, run: str) -> list[dict[str, Any]]:
        """Return Airflow's task instances of a run."""
        return list(self._ask(f"dags/retrain/dagRuns/{run}/taskInstances?limit=100")["task_instances"])

    def end_of(self, run: str, seconds: float) -> str:
        """Wait until a run ends by itself, and return its state."""
        state = ""

        def ended() -> bool:
            nonlocal state
            state = str(self._ask(f"dags/retrain/dagRuns/{run}")["state"])
            return state in {"success", "failed"}

        eventually(ended, seconds)
        return state

    def training(self) -> Training:
        """Wait until a task of the worker `gpu` has loaded TensorFlow, and return its processes."""
        found: list[Training] = []

        def started() -> bool:
            for process in self.processes(GPU_WORKER):
                try:
                    pool = process.parent()
                    main = pool.parent() if pool else None
                    loaded = "tensorflow" in Path(f"/proc/{process.pid}/maps").read_text()
                except (psutil.Error, OSError):
                    continue
                if pool and main and loaded and "supervisord" not in " ".join(main.cmdline()):
                    found.append(Training(main, pool, process))
            return bool(found)

        assert eventually(started, 180)
        return found[0]

    def processes(self, program: str) -> list[psutil.Process]:
        """Return the processes of a program of the stack."""
        return stack.members(str(self.settings.var_dir), program)

    def away(self, program: str, seconds: float) -> None:
        """Stop a server, as somebody who restarts it does, for some time."""
        control = [sys.executable, "-m", "supervisor.supervisorctl", "-c", "supervisord.conf"]
        for verb in ("stop", "start"):
            command = [*control, verb, f"servers:{program}"]
            subprocess.run(command, cwd=self.settings.var_dir / "run", check=True, stdout=subprocess.DEVNULL)
            time.sleep(seconds if verb == "stop" else 0)

    def executed(self, worker: str) -> list[str]:
        """Return the tasks that a worker's log says it executed."""
        log = (self.settings.var_dir / "log" / f"airflow-worker-{worker}.log").read_text()
        lines = [line for line in log.splitlines() if "Executing workload in Celery" in line]
        return [re.findall(r"task_id=([\w.]+)/", line)[0] for line in lines]

    def check(self, run: str, tickers: Sequence[str]) -> None:
        """Check what must hold after every run, whatever died in between."""
        import mlflow

        client = mlflow.MlflowClient(self.settings.mlflow_uri)
        experiment = client.get_experiment_by_name(self.settings.experiment).experiment_id
        logged = client.search_runs([experiment], f"tags.dag_run_id = '{run}'")
        ended = sorted((one.data.tags["ticker"], one.info.status) for one in logged)
        assert ended == [(ticker, "FINISHED") for ticker in ("", *sorted(tickers))]
        for ticker in tickers:
            child = next(one for one in logged if one.data.tags["ticker"] == ticker)
            steps = [point.step for point in client.get_metric_history(child.info.run_id, "loss")]
            assert steps == sorted(set(steps)), "an epoch was logged twice"
            versions = client.search_model_versions(f"name = 'closecast-{ticker}'")
            assert [one.run_id for one in versions] == [child.info.run_id]
            champion = client.get_model_version_by_alias(f"closecast-{ticker}", "champion")
            assert champion.version == versions[0].version
            self._check_files(ticker)

    def _check_files(self, ticker: str) -> None:
        (unit,) = (Path(self.settings.store_url) / ticker / str(self.settings.as_of)).iterdir()
        folder, expected = Folder(str(unit)), {f"{step.name}.manifest.json" for step in FLOW}
        for step in FLOW:
            manifest = folder.manifest(step.name)
            assert manifest is not None
            assert {name: sha256(folder.read(name)) for name in manifest.outputs} == manifest.outputs
            expected |= set(manifest.outputs)
        assert {name for name in folder.names() if not name.startswith(".")} == expected

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call Airflow's REST API; it may be away for a while, that is what is tested."""
        address = f"http://127.0.0.1:{self.settings.airflow_port}"
        passwords = self.settings.var_dir / "airflow" / "simple_auth_manager_passwords.json.generated"
        login = {"username": "admin", "password": json.loads(passwords.read_text())["admin"]}
        for seconds in (1, 2, 4, 8, 16, 32, 0):
            try:
                token = _post(f"{address}/auth/token", login, {})["access_token"]
                return _post(f"{address}/api/v2/{path}", body, {"Authorization": f"Bearer {token}"})
            except (urllib.error.URLError, OSError) as error:
                if not seconds or (isinstance(error, urllib.error.HTTPError) and error.code < 500):
                    raise
                time.sleep(seconds)
        raise AssertionError


def _post(url: str, body: dict[str, Any] | None, headers: dict[str, str]) -> dict[str, Any]:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers})
    with DIRECT.open(request, timeout=30) as answer:
        return dict(json.load(answer))
