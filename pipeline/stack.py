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
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import psutil

from pipeline import servers
from pipeline.airflow_home import PROCESSES, airflow_environment, password_file, prepare
from pipeline.errors import PipelineError
from pipeline.servers import PROGRAM, STACK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pipeline.settings import Settings

UP_SECONDS = 600  # two busy cores import Airflow in minutes; a program that dies is noticed sooner
STOP_SECONDS = 10
DEATHS = 3
SOCKET_PATH_BYTES = 90  # the system's limit is 104 or 108; supervisord adds a suffix while it binds
MLFLOW = (
    "mlflow server --host 127.0.0.1 --port {port} --workers 1 --no-serve-artifacts"
    " --backend-store-uri 'sqlite:///%(ENV_CLOSECAST_STACK)s/mlflow/mlflow.db'"
    " --default-artifact-root '%(ENV_CLOSECAST_STACK)s/mlflow/artifacts'"
)
CLUSTER_MLFLOW = (  # hands out the files too: its clients may be on other machines
    "mlflow server --host 127.0.0.1 --port {port} --workers 1 --backend-store-uri {database}"
    " --artifacts-destination '%(ENV_CLOSECAST_STACK)s/mlflow/artifacts'"
)
PROGRAMS = {  # Airflow's log servers would listen on every interface; the API server reads the files itself
    "mlflow": MLFLOW,
    "airflow-scheduler": "airflow scheduler --skip-serve-logs",
    "airflow-api-server": "airflow api-server",
    "airflow-dag-processor": "airflow dag-processor",
    "airflow-triggerer": "airflow triggerer --skip-serve-logs",
}
GUARD = {"guard": "pipeline.guard"}  # Celery's workers need none
# A name of its own for each worker, of which a machine has two. One network at a time on a GPU.
WORKER = "airflow celery worker --skip-serve-logs --celery-hostname {queue}@%%h --queues {queue} --concurrency {slots}"
WORKERS = {"default": PROCESSES, "gpu": 1}
# supervisord starts in var/run and reads no path from here that it could interpolate, split, or cut at " #".
SUPERVISORD = """\
[supervisord]
logfile=../log/supervisord.log
logfile_maxbytes=5MB
logfile_backups=2
pidfile=supervisord.pid
"""
# One group ends after the other, from the highest priority down: databases outlive those who write to them.
GROUP = """\
[group:{name}]
programs={programs}
priority={priority}
"""
CONTROL = """\
[unix_http_server]
file=%(here)s/supervisor.sock
chmod=0700
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://%(here)s/supervisor.sock
"""
SUPERVISED = """\
[program:{name}]
command={python} -m pipeline.stack {command}
environment=CLOSECAST_PROGRAM="{name}"
autorestart=true
startsecs=5
startretries=1000
stopasgroup=true
killasgroup=true
stopsignal={stop_signal}
stopwaitsecs={stop_seconds}
redirect_stderr=true
stdout_logfile=../log/{name}.log
stdout_logfile_maxbytes=5MB
stdout_logfile_backups=2
"""


def programs(settings: Settings) -> dict[str, str]:
    """Return what supervisord starts, by name: a module of Python with its arguments, or a program by its full path.

    Raises:
        PipelineError: when a server of the cluster is not installed.
    """
    if not settings.cluster:
        return {name: command.format(port=settings.mlflow_port) for name, command in (PROGRAMS | GUARD).items()}
    mlflow = CLUSTER_MLFLOW.format(port=settings.mlflow_port, database=servers.database_url(settings, "mlflow"))
    workers = {f"airflow-worker-{queue}": WORKER.format(queue=queue, slots=slots) for queue, slots in WORKERS.items()}
    return {**servers.commands(), **PROGRAMS, "mlflow": mlflow, **workers}


def up(settings: Settings, report: Callable[[str], None]) -> None:
    """Start what does not run yet, wait until it answers, and tell `report` where it is and how to log in.

    Raises:
        PipelineError: a port is taken, or a program did not come up; then nothing is left running.
    """
    with _alone(settings):
        if _supervisord(settings):
            report("Already up.")
            _wait_until_healthy(settings, 0)
        else:
            _stop(settings)  # what a killed supervisord left behind
            _require_free_ports(settings)
            programs(settings)  # is all of it installed?
            _lock_database(settings, "`make up` needs Airflow's database without another run on it.").close()
            report("Starting Airflow and MLflow; the first time takes about a minute ...")
            prepare(settings)
            try:
                _wait_until_healthy(settings, _start(settings))
            except BaseException:
                _stop(settings)
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
        report("Stopped." if _stop(settings) else "Nothing was running.")


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
        if _supervisord(settings):
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


def _configuration(settings: Settings) -> str:
    """Return the programs of the stack as supervisord reads them."""
    wanted, python = programs(settings), Path(sys.executable).name
    groups = {
        "servers": [name for name in wanted if name in servers.NAMES],
        "closecast": [name for name in wanted if name not in servers.NAMES],
    }
    parts = [
        GROUP.format(name=name, programs=",".join(several), priority=priority)
        for priority, (name, several) in enumerate(groups.items(), start=1)
        if several
    ]
    for name, command in wanted.items():
        end = "INT" if name == "postgres" else "TERM"  # which PostgreSQL takes for "when the last client has gone"
        values = {"python": python, "command": command, "stop_signal": end, "stop_seconds": STOP_SECONDS}
        parts.append(SUPERVISED.format(name=name, **values))
    return SUPERVISORD + "".join(parts)


def _start(settings: Settings) -> int:
    """Start supervisord, which detaches itself; return how long its log was before."""
    run, log, python = settings.var_dir / "run", settings.var_dir / "log" / "supervisord.log", Path(sys.executable)
    seen = log.stat().st_size if log.exists() else 0
    config = _configuration(settings)
    short = len(os.fsencode(run / "supervisor.sock")) <= SOCKET_PATH_BYTES
    (run / "supervisord.conf").write_text(config + CONTROL if short else config)  # CONTROL is for people only
    environment = {
        **os.environ,
        **airflow_environment(settings),
        "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "no_proxy": ",".join((os.environ.get("no_proxy", os.environ.get("NO_PROXY", "")), "127.0.0.1,localhost")),
        "CLOSECAST_TRACKING_URI": f"http://127.0.0.1:{settings.mlflow_port}",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # its job runners; nothing here uses them
        "SPT_NOENV": "1",  # else setproctitle writes titles over the environment that `members` reads
        STACK: str(settings.var_dir),
    }
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", "supervisord.conf"]
    done = subprocess.run(command, env=environment, cwd=run, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PipelineError("supervisord must start.", done.stderr or done.stdout, f"Read the end of {log}.")
    return seen


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
    if not (boss := _supervisord(settings)):
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


def members(var: str, program: str | None = None, sessions: Iterable[int] = ()) -> list[psutil.Process]:
    """Return the living processes of the stack, or those of one program.

    A process that hides its environment, as Airflow's workers do from their first task on, is known by its session:
    that of a process with the mark, or one of `sessions`. It belongs to the program of its nearest ancestor with the
    mark; when those were killed it belongs to every program, for nobody else would end it.
    """
    marked: dict[psutil.Process, str] = {}
    hidden = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess):
            try:
                environment = process.environ()
            except psutil.AccessDenied:
                hidden.append(process)
                continue
            if environment.get(STACK) == var:
                marked[process] = environment.get(PROGRAM, "")
    found = [process for process, its in marked.items() if process.pid != os.getpid() and program in {None, its}]
    ours = _sessions(marked) | set(sessions)
    for process in hidden:
        with contextlib.suppress(psutil.NoSuchProcess):
            if program != "" and _sessions([process]) & ours and process.status() != psutil.STATUS_ZOMBIE:
                its = next((marked[one] for one in process.parents() if marked.get(one)), program)
                if program in {None, its}:
                    found.append(process)
    return found


def _sessions(processes: Iterable[psutil.Process]) -> set[int]:
    found = set()
    for process in processes:
        with contextlib.suppress(OSError):  # it is gone
            found.add(os.getsid(process.pid))
    return found


def _supervisord(settings: Settings) -> psutil.Process | None:
    return next(iter(members(str(settings.var_dir), "")), None)


def _stop(settings: Settings) -> bool:
    """End the stack, its orphans too; return whether there was any."""
    var = str(settings.var_dir)
    known = members(var)
    sessions = _sessions(known)  # of those who hide, when nobody with the mark lives any more
    if boss := _supervisord(settings):
        boss.terminate()
        psutil.wait_procs([boss], timeout=STOP_SECONDS + 10)
    for end in ("terminate", "kill", "kill", "kill"):
        rest = members(var, sessions=sessions)
        for process in rest:
            with contextlib.suppress(psutil.Error):
                getattr(process, end)()
        psutil.wait_procs(rest, timeout=5)
    if rest := members(var, sessions=sessions):
        pids = ", ".join(str(process.pid) for process in rest)
        raise PipelineError("All processes must end.", f"still there: {pids}", "End them by hand with kill -9.")
    return bool(known)


def _become(arguments: list[str]) -> None:
    """Turn into a supervised program, after ending what its killed predecessor left.

    LocalExecutor's workers outlive their scheduler and go on training; MLflow's server keeps the port of its parent.
    """
    for process in members(os.environ[STACK], os.environ[PROGRAM]):
        with contextlib.suppress(psutil.Error):
            process.kill()
    if os.environ[PROGRAM] == "postgres":
        servers.drop_root()
    command = arguments if Path(arguments[0]).is_absolute() else [sys.executable, "-m", *arguments]
    os.execv(command[0], command)


if __name__ == "__main__":
    _become(sys.argv[1:])
