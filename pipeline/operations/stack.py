"""`make up`, `make down` and their cluster twins: start, check and stop Airflow and MLflow on this machine."""

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
from pipeline.operations import code_watch, started
from pipeline.operations.airflow_home import password_file, prepare
from pipeline.operations.processes import find_supervisord, stop
from pipeline.operations.supervisor import log_size, programs, start
from pipeline.settings.private_folders import make_private_folders
from pipeline.tracking.opening import opening_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.settings import Settings

UP_SECONDS = 600  # two busy cores need minutes to import Airflow; a program that exits is noticed sooner
MAX_EXITS = 3


def up(settings: Settings, report: Callable[[str], None]) -> None:
    """Start the stack if it is down, wait until every part answers, and report the addresses and the login.

    A stack that is up keeps the settings of its start; the report names those that differ.

    Args:
        settings: which stack, on which ports.
        report: receives each line for the user.

    Raises:
        PipelineError: a port is taken, or a program did not start; then all that was started is stopped again.
    """
    with _stack_lock(settings):
        if find_supervisord(settings):
            settings = _running_settings(settings, report)
            _wait_until_healthy(settings, report, log_bytes=log_size(settings))
        else:
            _start_all(settings, report)
    passwords = password_file(settings)
    report(f"Airflow: http://127.0.0.1:{settings.airflow_port}")
    report(f"         user admin, password {json.loads(passwords.read_text())['admin']} (kept in {passwords})")
    secret = settings.mlflow_password_file
    report(f"MLflow:  {opening_page(settings.own_mlflow_server, settings.experiment, secret.read_text().strip())}")
    report(f"         user admin, password {secret.read_text().strip()} (kept in {secret})")


def _running_settings(settings: Settings, report: Callable[[str], None]) -> Settings:
    """Return the settings with the ports of the running stack, and report what is not in force since its start."""
    down = "make down-cluster" if settings.cluster else "make down"
    up = down.replace("down", "up")
    record = started.read(settings)
    if record is None:
        report(f"Already up, started by an earlier version of Closecast. Run `{down}`, then `{up}`.")
        return settings
    names = started.differences(record, started.present(settings))
    report(f"Already up. Not in force since its start: {', '.join(names)}." if names else "Already up.")
    if code_watch.has_changed(settings):
        report("The code has changed. The stack restarts its programs as soon as no task runs.")
    if names:
        report(f"To apply: `{down}`, then `{up}`. A task that runs is tried again and reuses its finished steps.")
    return settings.model_copy(update=record.ports)


def _start_all(settings: Settings, report: Callable[[str], None]) -> None:
    stop(settings)  # processes that a killed supervisord left
    require_free_ports(settings)
    programs(settings)  # raises if a server is not installed
    _lock_database(settings, "`make up` needs Airflow's database for itself.").close()
    report("Starting Airflow and MLflow. The first start takes about a minute ...")
    prepare(settings)
    started.write(settings)
    try:
        _wait_until_healthy(settings, report, log_bytes=start(settings))
    except BaseException:
        stop(settings)
        raise


def down(settings: Settings, report: Callable[[str], None]) -> None:
    """Stop everything that `up` started, running tasks included, and keep all state.

    Raises:
        PipelineError: a process survived.
    """
    with _stack_lock(settings):
        report("Stopped." if stop(settings) else "Nothing was running.")


@contextlib.contextmanager
def embedded_run(settings: Settings) -> Iterator[None]:
    """Prepare Airflow for one run without servers, and keep `up` and other such runs out until the block ends.

    A scheduler on the same database would run the tasks a second time.

    Raises:
        PipelineError: the stack is up, another run is in progress, or a database could not be migrated.
    """
    with _stack_lock(settings):
        if find_supervisord(settings):
            raise PipelineError(
                "`make run` needs Airflow's database for itself.",
                "the stack of `make up` is running",
                f"Trigger `retrain` at http://127.0.0.1:{settings.airflow_port}, or run `make down` first.",
            )
        lock = _lock_database(settings, "Only one `make run` may use Airflow's database at a time.")
        prepare(settings)
    with lock:
        yield


@contextlib.contextmanager
def _stack_lock(settings: Settings) -> Iterator[None]:
    """Wait until no other `up` or `down` of this `var` is in progress, and keep others waiting."""
    make_private_folders(settings.var_dir)
    with (settings.var_dir / "run" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _lock_database(settings: Settings, rule: str) -> TextIO:
    """Return the open lock file of Airflow's database; the lock ends when the file is closed."""
    lock = (settings.var_dir / "run" / "embedded").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise PipelineError(rule, "a `make run` is in progress", "Wait until it ends, then try again.") from None
    return lock


def require_free_ports(settings: Settings) -> None:
    """Check that the ports of the stack are free.

    Raises:
        PipelineError: one is taken, or two programs have the same.
    """
    variables = ["airflow_port", "mlflow_port"]
    if settings.cluster:
        variables += ["postgres_port", "redis_port"]
    with contextlib.ExitStack() as sockets:  # all stay open, so that one port for two servers is found as well
        for variable in variables:
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
                    f"Stop the program that uses it, or choose another port with CLOSECAST_{variable.upper()}=<port>.",
                ) from None


def _wait_until_healthy(settings: Settings, report: Callable[[str], None], *, log_bytes: int) -> None:
    """Wait until every part answers.

    Args:
        settings: which stack.
        report: receives the name of each part that the start waits for.
        log_bytes: size of supervisord's log before this start; only exits that were logged later count.

    Raises:
        PipelineError: a program exits again and again, or a part does not answer in time.
    """
    log = settings.var_dir / "log"
    deadline = time.monotonic() + UP_SECONDS
    reported = ""
    while silent := first_silent_part(settings):
        if silent != reported:
            report(f"Waiting for {silent} ...")
            reported = silent
        for name, exits in _count_exits(settings, log_bytes).items():
            if exits >= MAX_EXITS:
                todo = f"Read the end of {log / name}.log."
                raise PipelineError(f"{name} must keep running.", f"it exited {exits} times", todo)
        if silent == "supervisord" or time.monotonic() > deadline:
            todo = f"Read the logs in {log}, then `make down` and `make up`."
            raise PipelineError("Airflow and MLflow must answer.", f"no answer from {silent}", todo)
        time.sleep(0.5)


def _count_exits(settings: Settings, log_bytes: int) -> Counter[str]:
    """Return how often each program exited unexpectedly, by supervisord's log from byte `log_bytes` on."""
    with (settings.var_dir / "log" / "supervisord.log").open() as lines:
        lines.seek(log_bytes)
        return Counter(re.findall(r"exited: (\S+) .*not expected", lines.read()))


def first_silent_part(settings: Settings) -> str:
    """Return the name of the first part that does not answer, or an empty string."""
    supervisord = find_supervisord(settings)
    if not supervisord:
        return "supervisord"
    try:
        _read_url(f"http://127.0.0.1:{settings.mlflow_port}/health")
    except OSError:
        return "mlflow"
    try:
        health = json.loads(_read_url(f"http://127.0.0.1:{settings.airflow_port}/api/v2/monitor/health"))
    except (OSError, ValueError):
        return "airflow-api-server"
    since = dt.datetime.fromtimestamp(supervisord.create_time(), dt.UTC).isoformat()
    for name in ("scheduler", "dag_processor", "triggerer"):
        part = health[name]
        # Airflow reports a part that was killed 20 s ago as healthy: the heartbeat must be newer than this start.
        if part["status"] != "healthy" or part[f"latest_{name}_heartbeat"] < since:
            return f"airflow-{name.replace('_', '-')}"
    return ""


def _read_url(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback, never through a proxy
    with opener.open(url, timeout=5) as answer:
        return bytes(answer.read())
