"""Runs the DAG on a real cluster of PostgreSQL, Redis and two Celery workers, and kills each of them during a run."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import stat
import time
from typing import TYPE_CHECKING

import psutil
import psycopg2
import pytest

from pipeline.operations import servers
from pipeline.operations.processes import is_alive
from tests.cluster.cluster import GPU_WORKER, LONG
from tests.cluster.conftest import TICKERS
from tests.support.ledger_rows import check_that_an_old_table_is_migrated_once, check_that_one_writer_wins
from tests.support.other_user import as_nobody, ask, read, say
from tests.support.signals import kill
from tests.support.stacks import eventually

if TYPE_CHECKING:
    from tests.cluster.cluster import Cluster

pytestmark = pytest.mark.timeout(1500)
PATIENCE = 600  # seconds for a run in which something died: two idle cores need a fifth of it


@pytest.fixture(scope="module")
def night(cluster: Cluster) -> str:
    """Wait for the end of the run that the schedule started, and return its id."""
    run = cluster.scheduled_run()
    assert cluster.end_of(run, 600) == "success"
    return run


def test_the_scheduled_run_is_whole(cluster: Cluster, night: str) -> None:
    """Four tickers, on whichever worker their tasks landed: one run, one version, one champion and one set of files."""
    cluster.check(night, TICKERS)
    assert {task["try_number"] for task in cluster.tasks(night)} == {1}


def test_train_and_only_train_runs_on_the_gpu_worker(cluster: Cluster, night: str) -> None:
    """What each worker says it executed, and the queue that Airflow shows."""
    queues = {(task["task_id"] == "train", task["queue"]) for task in cluster.tasks(night)}
    assert queues == {(True, "gpu"), (False, "default")}
    assert set(cluster.executed("gpu")) == {"train"}
    assert len(cluster.executed("gpu")) == len(TICKERS) / cluster.settings.batch_size
    assert not {"train"} & set(cluster.executed("default"))
    assert {"plan", "prepare.ingest", "serve.forecast", "report"} <= set(cluster.executed("default"))


@pytest.mark.usefixtures("night")
def test_nothing_listens_beyond_loopback(cluster: Cluster) -> None:
    """Neither servers nor workers open a port to the network."""
    mine = {process.pid for process in psutil.process_iter() if _is_ours(process, cluster)}
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for connection in psutil.net_connections("inet")
        if connection.pid in mine and connection.status == psutil.CONN_LISTEN
    }
    settings = cluster.settings
    ports = {settings.airflow_port, settings.mlflow_port, settings.postgres_port, settings.redis_port}
    assert ports <= {port for _, port in listening}
    assert all(ipaddress.ip_address(address).is_loopback for address, _ in listening), listening


@pytest.mark.usefixtures("night")
def test_no_password_is_seen_from_outside(cluster: Cluster) -> None:
    """They are in files that only their owner reads: in no argument, variable, log or configuration of supervisord."""
    var = cluster.settings.var_dir
    secrets = {
        "mlflow/password": (var / "mlflow" / "password").read_text(),
        "postgres.pass": (var / "postgres.pass").read_text().strip().rpartition(":")[2],
        "redis/password": (var / "redis" / "password").read_text(),
        "airflow/simple_auth_manager_passwords.json.generated": "",
    }
    secrets["airflow/simple_auth_manager_passwords.json.generated"] = json.loads(
        (var / "airflow" / "simple_auth_manager_passwords.json.generated").read_text()
    )["admin"]
    assert all(len(secret) >= 16 for secret in secrets.values())
    for name in (*secrets, "redis/url", "redis/redis.conf", "airflow/airflow.cfg"):
        assert stat.S_IMODE((var / name).stat().st_mode) == 0o600, name
    seen = {str(path): path.read_bytes() for path in (var / "log").rglob("*") if path.is_file()}
    seen["supervisord.conf"] = (var / "run" / "supervisord.conf").read_bytes()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if _is_ours(process, cluster):
                seen[f"process {process.pid}"] = f"{process.cmdline()} {process.environ()}".encode()
    assert len(seen) > 40
    assert not [place for place, text in seen.items() for secret in secrets.values() if secret.encode() in text]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process of another user")
def test_another_user_needs_the_passwords(cluster: Cluster) -> None:
    """Redis, PostgreSQL, MLflow and Airflow refuse a user without a password, and the files cannot be read."""
    settings = cluster.settings
    mlflow = f"http://127.0.0.1:{settings.mlflow_port}"
    assert as_nobody(say, settings.redis_port, "KEYS *\r\n").startswith("-NOAUTH")
    assert "password authentication failed" in as_nobody(_log_in_to_postgres, settings.postgres_port)
    assert as_nobody(ask, "POST", f"{mlflow}/ajax-api/3.0/mlflow/assistant/message", {}) == "401"
    assert as_nobody(ask, "POST", f"{mlflow}/api/2.0/mlflow/registered-models/alias", {}) == "401"
    assert as_nobody(ask, "PUT", f"{mlflow}/api/2.0/mlflow-artifacts/artifacts/x", {}) == "401"
    assert as_nobody(ask, "GET", f"http://127.0.0.1:{settings.airflow_port}/api/v2/dags") == "401"
    password = settings.mlflow_password_file.read_text()
    assert as_nobody(ask, "POST", f"{mlflow}/ajax-api/3.0/mlflow/assistant/message", {}, password) == "404"
    places = (
        "airflow", "airflow/airflow.cfg", "log", "mlflow", "mlflow/password", "mlflow/artifacts", "postgres",
        "postgres/data", "postgres.pass", "redis", "redis/password", "redis/redis.conf", "redis/url", "run", "store",
    )  # fmt: skip
    assert {place: read(settings.var_dir / place) for place in places} == dict.fromkeys(places, "read")
    refused = {place: as_nobody(read, settings.var_dir / place) for place in places}
    assert refused == dict.fromkeys(places, "PermissionError")


def _log_in_to_postgres(port: int) -> str:
    """Return why PostgreSQL refuses a guessed password."""
    guess = {"user": "closecast", "password": "guess", "dbname": "airflow"}
    try:
        psycopg2.connect(host="127.0.0.1", port=port, **guess).close()
    except psycopg2.OperationalError as error:
        return str(error)
    return "connected"


@pytest.mark.usefixtures("night")
def test_no_worker_forks_with_tensorflow_loaded(cluster: Cluster) -> None:
    """Its threads would not survive the fork: each task loads it for itself."""
    for queue in ("default", "gpu"):
        mapped = []
        for process in cluster.processes(f"airflow-worker-{queue}"):
            with contextlib.suppress(psutil.NoSuchProcess):  # one may end meanwhile; one that hides itself is an error
                mapped.append(" ".join(one.path for one in process.memory_maps()))
        assert len([paths for paths in mapped if "python" in paths]) > 1, mapped  # Celery's main process and its pool
        assert not [paths for paths in mapped if "tensorflow" in paths]


@pytest.mark.usefixtures("night")
def test_the_ledger_as_a_table_of_postgresql(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty writers at once make the table and leave one row of each session, as it was written."""
    monkeypatch.setenv("PGPASSFILE", str(cluster.settings.var_dir / "postgres.pass"))
    place = servers.database_url(cluster.settings, "mlflow")
    check_that_one_writer_wins(place)


@pytest.mark.usefixtures("night")
def test_a_ledger_of_an_earlier_version_in_postgresql(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight processes start at once: its table is migrated once, and its row is read."""
    monkeypatch.setenv("PGPASSFILE", str(cluster.settings.var_dir / "postgres.pass"))
    check_that_an_old_table_is_migrated_once(servers.database_url(cluster.settings, "airflow"))


@pytest.mark.usefixtures("night")
@pytest.mark.parametrize(("part", "ticker"), [("pool", "ALGN"), ("main", "AMG"), ("group", "ATO")])
def test_kill_9_of_a_worker_that_holds_train(cluster: Cluster, part: str, ticker: str) -> None:
    """Its training ends with it, the next try completes, and there are no duplicates."""
    run = cluster.trigger(f"kill-{part}", [ticker], LONG)
    training = cluster.training()
    time.sleep(2)
    victims = cluster.processes(GPU_WORKER) if part == "group" else [getattr(training, part)]
    kill(victims)
    assert eventually(lambda: not is_alive(training.task), 20), "the orphan continues to train"
    assert cluster.end_of(run, PATIENCE) == "success"
    cluster.check(run, [ticker])
    assert [task["try_number"] for task in cluster.tasks(run) if task["task_id"] == "train"] == [2]


@pytest.mark.usefixtures("night")
def test_redis_killed_and_restarted(cluster: Cluster) -> None:
    """Killed while one task trains and later tasks wait to be sent, Redis restarts and the run completes."""
    run = cluster.trigger("kill-redis", ["AZO"], LONG)
    cluster.training()
    (redis,) = cluster.processes("redis")
    kill([redis])
    assert eventually(lambda: bool(cluster.processes("redis"))), "Redis was not restarted"
    assert cluster.end_of(run, PATIENCE) == "success"
    cluster.check(run, ["AZO"])


@pytest.mark.usefixtures("night")
@pytest.mark.parametrize(("seconds", "ticker"), [(5, "BIIB"), (60, "BSX")])
def test_postgresql_away(cluster: Cluster, seconds: int, ticker: str) -> None:
    """Airflow and MLflow lose their databases while a task trains, for some time: the run completes."""
    run = cluster.trigger(f"postgres-{seconds}", [ticker], LONG)
    cluster.training()
    cluster.away("postgres", seconds)
    assert cluster.end_of(run, PATIENCE + seconds) == "success"
    cluster.check(run, [ticker])


def _is_ours(process: psutil.Process, cluster: Cluster) -> bool:
    try:
        return process.environ().get("CLOSECAST_STACK") == str(cluster.settings.var_dir)
    except psutil.Error:
        return False
