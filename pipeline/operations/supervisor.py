"""`make up` and `make up-cluster`: Airflow and MLflow on this machine, kept alive by supervisord.

What belongs to the stack carries `CLOSECAST_STACK=<var>` in its environment, which forks and execs pass on: it is found
without trusting pid files, after a reboot, or when supervisord itself was killed. Airflow's workers and tasks hide
their environment from all but root; those are found by the session that supervisord opened for everything it starts.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError
from pipeline.operations import servers
from pipeline.operations.airflow_home import PROCESSES, airflow_environment
from pipeline.operations.processes import STOP_SECONDS
from pipeline.operations.servers import STACK

if TYPE_CHECKING:
    from pipeline.settings import Settings
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
GUARD = {"guard": "pipeline.operations.scheduler_guard"}  # Celery's workers need none
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
    """Return what supervisord starts, by name: a module of Python with its arguments, or a program by its full path.

    Raises:
        PipelineError: when a server of the cluster is not installed.
    """
    if not settings.cluster:
        return {name: command.format(port=settings.mlflow_port) for name, command in (PROGRAMS | GUARD).items()}
    mlflow = CLUSTER_MLFLOW.format(port=settings.mlflow_port, database=servers.database_url(settings, "mlflow"))
    workers = {f"airflow-worker-{queue}": WORKER.format(queue=queue, slots=slots) for queue, slots in WORKERS.items()}
    return {**servers.commands(), **PROGRAMS, "mlflow": mlflow, **workers}


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


def start(settings: Settings) -> int:
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
