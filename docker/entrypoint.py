#!/opt/venv/bin/python -I
"""The entrypoint of the image: starts the program of a role, and runs any other command unchanged.

compose.yaml and users name roles; Airflow's official chart passes commands.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

AIRFLOW = ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__CORE__EXECUTION_API_SERVER_URL")
SERVER = (*AIRFLOW, "AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__CORE__FERNET_KEY")
# role: its command, and the variables that it requires
ROLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "api-server": ("airflow api-server", (*SERVER, "AIRFLOW__API__SECRET_KEY", "AIRFLOW_ADMIN_PASSWORD")),
    "scheduler": ("airflow scheduler", SERVER),
    "dag-processor": ("airflow dag-processor", SERVER),
    "triggerer": ("airflow triggerer --skip-serve-logs", SERVER),
    "worker": (
        "airflow celery worker --skip-serve-logs",  # the api-server reads the logs from a shared volume
        ("AIRFLOW__CELERY__BROKER_URL", "AIRFLOW__CELERY__RESULT_BACKEND", "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"),
    ),
    "mlflow": (
        "mlflow server --app-name closecast-login --host 0.0.0.0 --port 5000 --workers 2",
        ("MLFLOW_BACKEND_STORE_URI", "MLFLOW_SERVER_ALLOWED_HOSTS", "MLFLOW_TRACKING_PASSWORD"),
    ),
    "init": (
        "python /opt/airflow/docker/init.py",
        ("POSTGRES_PASSWORD", "AIRFLOW_DB_PASSWORD", "MLFLOW_DB_PASSWORD", "AIRFLOW__CORE__FERNET_KEY"),
    ),
}
ROLE_FILE = Path("/tmp/closecast-role")  # noqa: S108 - of this container; healthy.py reads it


def resolve(arguments: list[str], environment: dict[str, str]) -> list[str]:
    """Return the command for `arguments`; the arguments after a role are passed on to its program.

    Raises:
        SystemExit: there is no argument, or a variable that the role requires is missing or empty.
    """
    if not arguments:
        raise SystemExit(f"Name a role or a command. Roles: {', '.join(ROLES)}.")
    if arguments[0] not in ROLES:
        return arguments
    command, needed = ROLES[arguments[0]]
    if missing := [name for name in needed if not environment.get(name)]:
        raise SystemExit(
            f"{arguments[0]} needs values in: {', '.join(missing)}. With compose, `make docker-env` generates them."
        )
    return [*command.split(), *arguments[1:]]


def write_login(environment: dict[str, str]) -> None:
    """Write the password of Airflow's user for SimpleAuthManager, which would otherwise generate and log one."""
    target = environment.get("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE")
    if target and (password := environment.get("AIRFLOW_ADMIN_PASSWORD")):
        path = Path(target)
        path.touch(0o600)
        path.write_text(json.dumps({"admin": password}) + "\n")


def main() -> None:
    """Replace this process by the program, so that signals reach the program."""
    command = resolve(sys.argv[1:], dict(os.environ))
    write_login(dict(os.environ))
    if sys.argv[1] in ROLES:
        ROLE_FILE.write_text(sys.argv[1])
    try:
        os.execvp(command[0], command)
    except OSError as error:
        raise SystemExit(f"{command[0]}: {error.strerror}. Roles: {', '.join(ROLES)}.") from None


if __name__ == "__main__":
    main()
