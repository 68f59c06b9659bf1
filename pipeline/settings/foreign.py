"""Variables and files of other programs that would change a run: they are ignored, and a command names them once.

A shell may hold the address of another MLflow server, the executor of another Airflow or a limit for Keras. A run
depends on Closecast's settings only. Time-outs, logins and certificates pass: they belong to the machine or the user.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping
from pathlib import Path

MLFLOW = "MLFLOW_"
_FOREIGN = ("AIRFLOW__", "KERAS_", MLFLOW, "_MLFLOW_")
# Time-outs and retries depend on the machine, and tests need short ones: the user's values win over Closecast's.
TIME_OUTS = (
    "AIRFLOW__SCHEDULER__",
    "AIRFLOW__WORKERS__",
    "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__",
    "MLFLOW_HTTP",
)
_KEPT = (
    *TIME_OUTS,
    "KERAS_BACKEND",  # docs/gpu.md
    "KERAS_HOME",  # a writable folder; `model.py` overrules the keras.json in it
    # Login and certificates of the server that CLOSECAST_TRACKING_URI names:
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_AUTH",
    "MLFLOW_TRACKING_AWS_SIGV4",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH",
    "MLFLOW_TRACKING_INSECURE_TLS",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
    # Addresses and limits of the stores in which such a server keeps artifacts:
    "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT",
    "MLFLOW_AZURE_",
    "MLFLOW_BOTO_",
    "MLFLOW_GCS_",
    "MLFLOW_S3_",
)
_KERAS_JSON = {"floatx": "float32", "epsilon": 1e-07}
_NAMED = 5


def foreign_variables(environment: Mapping[str, str], prefixes: tuple[str, ...] = _FOREIGN) -> list[str]:
    """Return the names of the variables that would change a run, sorted."""
    return sorted(name for name in environment if name.startswith(prefixes) and not name.startswith(_KEPT))


def drop_foreign(environment: MutableMapping[str, str], *prefixes: str) -> list[str]:
    """Remove the variables that would change a run, and return their names.

    Args:
        environment: of this process.
        prefixes: of the variables of one program; empty: all.
    """
    names = foreign_variables(environment, prefixes or _FOREIGN)
    for name in names:
        del environment[name]
    return names


def foreign_keras_settings(environment: Mapping[str, str]) -> str:
    """Return the path of a keras.json with the names of its values that a run ignores; empty without one."""
    file = Path(environment.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json"
    try:
        settings = json.loads(file.read_text())
        names = [name for name, value in _KERAS_JSON.items() if settings.get(name, value) != value]
    except (OSError, ValueError, AttributeError):  # no such file, or no JSON object: Keras ignores it too
        return ""
    return f"{', '.join(names)} in {file}" if names else ""


def line_about(ignored: list[str]) -> str:
    """Return the line that names what is ignored; empty if nothing is."""
    if not ignored:
        return ""
    rest = len(ignored) - _NAMED
    more = f" and {rest} more" if rest > 0 else ""
    return (
        f"Ignored: {', '.join(ignored[:_NAMED])}{more}. A run depends on Closecast's settings only: README, Settings."
    )
