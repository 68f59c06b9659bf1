"""Writes supervisord's configuration for the programs of the stack, and starts supervisord."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError
from pipeline.operations import servers
from pipeline.operations.airflow_home import PARALLEL_TASKS, process_environment
from pipeline.operations.processes import STACK, STOP_SECONDS, VAR, VAR_URL

if TYPE_CHECKING:
    from pipeline.settings import Settings

SOCKET_PATH_BYTES = 90  # the system's limit is 104 or 108; supervisord adds a suffix while it binds
MLFLOW = (
    "mlflow server --app-name closecast-login --host 127.0.0.1 --port {port} --workers 1 --no-serve-artifacts"
    f" --backend-store-uri sqlite:///{VAR}/mlflow/mlflow.db --default-artifact-root {VAR_URL}/mlflow/artifacts"
)
CLUSTER_MLFLOW = (  # serves the artifacts too, because its clients may run on other machines
    "mlflow server --app-name closecast-login --host 127.0.0.1 --port {port} --workers 1"
    " --backend-store-uri {database}"
    f" --artifacts-destination {VAR}/mlflow/artifacts"
)
LOCAL_SCHEDULER = {"airflow-scheduler": "pipeline.operations.warm_scheduler --skip-serve-logs"}
PROGRAMS = {  # Airflow's log servers would listen on every interface; the API server reads the log files itself
    "mlflow": MLFLOW,
    "airflow-scheduler": "airflow scheduler --skip-serve-logs",
    "airflow-api-server": "airflow api-server",
    "airflow-dag-processor": "airflow dag-processor",
    "airflow-triggerer": "airflow triggerer --skip-serve-logs",
}
WATCH = {"code-watch": "pipeline.operations.code_watch"}
GUARD = {"guard": "pipeline.operations.scheduler_guard"}
# Two workers of one machine need different names. A GPU trains one network at a time.
WORKER = "airflow celery worker --skip-serve-logs --celery-hostname {queue}@%%h --queues {queue} --concurrency {slots}"
WORKERS = {"default": PARALLEL_TASKS, "gpu": 1}
# supervisord starts in var/run with relative paths: it would interpolate, split or cut (at " #") an absolute one.
SUPERVISORD = """\
[supervisord]
logfile=../log/supervisord.log
logfile_maxbytes=5MB
logfile_backups=2
pidfile=supervisord.pid
"""
# supervisord ends the groups one by one from the highest priority down, so databases outlive their clients.
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
command={python} -m pipeline.operations.supervised {command}
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
    """Return the commands that supervisord starts, by name: a Python module or an absolute path, with arguments.

    Raises:
        PipelineError: a server of the cluster is not installed.
    """
    if not settings.cluster:
        local = PROGRAMS | LOCAL_SCHEDULER | WATCH | GUARD
        return {name: command.format(port=settings.mlflow_port) for name, command in local.items()}
    mlflow = CLUSTER_MLFLOW.format(port=settings.mlflow_port, database=servers.database_url(settings, "mlflow"))
    workers = {f"airflow-worker-{queue}": WORKER.format(queue=queue, slots=slots) for queue, slots in WORKERS.items()}
    return {**servers.commands(), **PROGRAMS, **WATCH, **GUARD, "mlflow": mlflow, **workers}


def configuration(settings: Settings) -> str:
    """Return supervisord's configuration of all programs.

    Raises:
        PipelineError: a server of the cluster is not installed.
    """
    commands = programs(settings)
    groups = {
        "servers": [name for name in commands if name in servers.NAMES],
        "closecast": [name for name in commands if name not in servers.NAMES],
    }
    parts = [SUPERVISORD]
    for priority, (group, names) in enumerate(groups.items(), start=1):
        if names:
            parts.append(GROUP.format(name=group, programs=",".join(names), priority=priority))
    for name, command in commands.items():
        section = SUPERVISED.format(
            name=name,
            python=Path(sys.executable).name,
            command=command,
            stop_signal="INT" if name == "postgres" else "TERM",  # on TERM, PostgreSQL waits for its last client
            stop_seconds=STOP_SECONDS,
        )
        parts.append(section)
    return "".join(parts)


def start(settings: Settings) -> int:
    """Start supervisord, which detaches itself, and return the size in bytes that its log had before.

    Raises:
        PipelineError: supervisord did not start, or a server of the cluster is not installed.
    """
    run = settings.var_dir / "run"
    log_bytes = log_size(settings)
    config = configuration(settings)
    if len(os.fsencode(run / "supervisor.sock")) <= SOCKET_PATH_BYTES:
        config += CONTROL  # for `supervisorctl`; the stack works without it
    (run / "supervisord.conf").write_text(config)
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", "supervisord.conf"]
    environment = process_environment(settings) | _environment(settings)
    done = subprocess.run(command, env=environment, cwd=run, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PipelineError("supervisord must start.", done.stderr or done.stdout, f"Read the end of {_log(settings)}.")
    return log_bytes


def log_size(settings: Settings) -> int:
    """Return the size in bytes of supervisord's log."""
    log = _log(settings)
    return log.stat().st_size if log.exists() else 0


def _log(settings: Settings) -> Path:
    return settings.var_dir / "log" / "supervisord.log"


def _environment(settings: Settings) -> dict[str, str]:
    """Return the variables, beside those of Airflow, that supervisord passes on to all programs."""
    path = os.environ.get("PATH", os.defpath)
    no_proxy = os.environ.get("no_proxy", os.environ.get("NO_PROXY", ""))
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{path}",
        "no_proxy": f"{no_proxy},127.0.0.1,localhost",
        "CLOSECAST_TRACKING_URI": settings.own_mlflow_server,
        "CLOSECAST_MLFLOW_PORT": str(settings.mlflow_port),  # tasks send the password to this port only
        "CLOSECAST_MLFLOW_PASSWORD_FILE": str(settings.mlflow_password_file),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # Closecast uses none of MLflow's job runners
        "SPT_NOENV": "1",  # else setproctitle overwrites the environment that `processes.members` reads
        STACK: str(settings.var_dir),
    }
