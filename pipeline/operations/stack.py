"""`make up` and `make up-cluster`: Airflow and MLflow on this machine, kept alive by supervisord.

What belongs to the stack carries `CLOSECAST_STACK=<var>` in its environment, which forks and execs pass on: it is found
without trusting pid files, after a reboot, or when supervisord itself was killed. Airflow's workers and tasks hide
their environment from all but root; those are found by the session that supervisord opened for everything it starts.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import re
import socket
import time
import urllib.request
from collections import Counter
from typing import TYPE_CHECKING, TextIO

from pipeline.errors import PipelineError
from pipeline.operations.airflow_home import password_file, prepare
from pipeline.operations.processes import stop, supervisord
from pipeline.operations.supervisor import programs, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.settings import Settings

UP_SECONDS = 600  # two busy cores import Airflow in minutes; a program that dies is noticed sooner
DEATHS = 3


def up(settings: Settings, report: Callable[[str], None]) -> None:
    """Start what does not run yet, wait until it answers, and tell `report` where it is and how to log in.

    Raises:
        PipelineError: a port is taken, or a program did not come up; then nothing is left running.
    """
    with _alone(settings):
        if supervisord(settings):
            report("Already up.")
            _wait_until_healthy(settings, 0)
        else:
            stop(settings)  # what a killed supervisord left behind
            _require_free_ports(settings)
            programs(settings)  # is all of it installed?
            _lock_database(settings, "`make up` needs Airflow's database without another run on it.").close()
            report("Starting Airflow and MLflow; the first time takes about a minute ...")
            prepare(settings)
            try:
                _wait_until_healthy(settings, start(settings))
            except BaseException:
                stop(settings)
                raise
    passwords = password_file(settings)
    report(f"Airflow: http://127.0.0.1:{settings.airflow_port}")
    report(f"         user admin, password {json.loads(passwords.read_text())['admin']} (kept in {passwords})")
    report(f"MLflow:  http://127.0.0.1:{settings.mlflow_port}")


def down(settings: Settings, report: Callable[[str], None]) -> None:
    """Stop everything that `up` started, running tasks too; all state stays.

    Raises:
        PipelineError: a process survived.
    """
    with _alone(settings):
        report("Stopped." if stop(settings) else "Nothing was running.")


@contextlib.contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Let one `up` or `down` of a checkout happen at a time."""
    run = settings.var_dir / "run"
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def embedded_run(settings: Settings) -> Iterator[None]:
    """Prepare Airflow for one run without its servers; a scheduler on its database would run the tasks a second time.

    Raises:
        PipelineError: the stack is up, another run is under way, or the database could not be migrated.
    """
    with _alone(settings):
        if supervisord(settings):
            raise PipelineError(
                "`make run` needs Airflow's database without a scheduler on it.",
                "the stack of `make up` is running",
                f"Trigger `retrain` at http://127.0.0.1:{settings.airflow_port}, or `make down` first.",
            )
        lock = _lock_database(settings, "`make run` does one run of the DAG at a time.")
        prepare(settings)
    with lock:
        yield


def _lock_database(settings: Settings, rule: str) -> TextIO:
    lock = (settings.var_dir / "run" / "embedded").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise PipelineError(rule, "a `make run` is under way", "Wait until it has ended.") from None
    return lock


def _require_free_ports(settings: Settings) -> None:
    with contextlib.ExitStack() as sockets:  # all stay open, so that one port for both is noticed too
        more = ("postgres_port", "redis_port") if settings.cluster else ()
        for variable in ("airflow_port", "mlflow_port", *more):
            probe = sockets.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            port = getattr(settings, variable)
            try:
                probe.bind(("127.0.0.1", port))
                probe.listen()
            except OSError as error:
                raise PipelineError(
                    f"Port {port} of 127.0.0.1 must be free.",
                    str(error),
                    f"Stop what uses it, or choose another with CLOSECAST_{variable.upper()}=<port>.",
                ) from None


def _wait_until_healthy(settings: Settings, seen: int) -> None:
    log, deadline = settings.var_dir / "log", time.monotonic() + UP_SECONDS
    while silent := _silent(settings):
        with (log / "supervisord.log").open() as lines:
            lines.seek(seen)
            deaths = Counter(re.findall(r"exited: (\S+) .*not expected", lines.read()))
        for name, times in deaths.items():
            if times >= DEATHS:
                todo = f"Read the end of {log / name}.log."
                raise PipelineError(f"{name} must keep running.", f"it ended {times} times", todo)
        if silent == "supervisord" or time.monotonic() > deadline:
            todo = f"Read the logs in {log}; then `make down` and `make up`."
            raise PipelineError("Airflow and MLflow must answer.", f"no sign of life from {silent}", todo)
        time.sleep(0.5)


def _silent(settings: Settings) -> str:
    """Return the first part that does not answer, or nothing."""
    if not (boss := supervisord(settings)):
        return "supervisord"
    try:
        _get(f"http://127.0.0.1:{settings.mlflow_port}/health")
    except OSError:
        return "mlflow"
    try:
        health = json.loads(_get(f"http://127.0.0.1:{settings.airflow_port}/api/v2/monitor/health"))
    except (OSError, ValueError):
        return "airflow-api-server"
    since = dt.datetime.fromtimestamp(boss.create_time(), dt.UTC).isoformat()
    for name in ("scheduler", "dag_processor", "triggerer"):  # Airflow calls healthy what was killed 20 s ago
        if health[name]["status"] != "healthy" or health[name][f"latest_{name}_heartbeat"] < since:
            return f"airflow-{name.replace('_', '-')}"
    return ""


def _get(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=5) as answer:
        return bytes(answer.read())
