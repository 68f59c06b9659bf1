"""CLOSECAST_ variables: a misspelt name must not be ignored, and a list is separated by commas or in JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping

from pipeline.errors import UsageError

PREFIX = "CLOSECAST_"
NESTED = ("GATE", "PRESETS")  # CLOSECAST_GATE__TOLERANCE, CLOSECAST_PRESETS__DAILY__EPOCHS; pydantic checks the rest
# Variables that are not settings: of the local stack, of docker/compose.yaml and of the tests.
OTHER_VARIABLES = frozenset(
    {
        "STACK",
        "PROGRAM",
        "MLFLOW_PASSWORD_FILE",
        "IMAGE",
        "WORKER_CONCURRENCY",
        "FUZZ",
        "TEST_DATA",
        "TEST_CONTAINERS",
        "TEST_CONTAINERS_CACHE",
        "TEST_IMAGES",
    }
)
# Kubernetes adds these to each pod for every service, such as a service named closecast-mlflow.
_SERVICE = re.compile(r"([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?)?)")


def check_variables(environment: Mapping[str, str], fields: Collection[str]) -> None:
    """Check that each CLOSECAST_ variable is a setting or another known variable.

    Args:
        environment: the variables.
        fields: the names of all settings.

    Raises:
        UsageError: names the first unknown variable and its nearest match, never its value: that may be a password.
    """
    for variable in environment:
        upper = variable.upper()  # pydantic-settings ignores upper and lower case
        if not upper.startswith(PREFIX):
            continue
        name = upper.removeprefix(PREFIX)
        if name.lower() in fields or name in OTHER_VARIABLES:
            continue
        if name.partition("__")[0] in NESTED:
            continue
        if _is_of_a_service(name, environment[variable]):
            continue
        raise _unknown_variable(variable, fields)


def parsed_list(text: str) -> object:
    """Return the parts of a list: `NFLX,AAPL` or `["NFLX", "AAPL"]`. Broken JSON is returned as it is."""
    if not text.lstrip().startswith("["):
        parts = [part.strip().strip("\"'") for part in text.split(",")]
        return [part for part in parts if part]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _is_of_a_service(name: str, value: str) -> bool:
    if name.endswith("PORT") and "://" not in value and not name.endswith("SERVICE_PORT"):
        return False  # a misspelt CLOSECAST_AIRFLOW_PORT=8080; Kubernetes writes tcp://10.0.0.1:8080
    return bool(_SERVICE.fullmatch(name))


def _unknown_variable(variable: str, fields: Collection[str]) -> UsageError:
    import difflib

    name = variable.upper().removeprefix(PREFIX)  # without the prefix, which would make every name similar
    known = [*(field.upper() for field in fields), *OTHER_VARIABLES]
    if "__" in name:  # CLOSECAST_PRESET__DAILY__EPOCHS: the part before the first __ is misspelt
        known += [f"{first}__{name.partition('__')[2]}" for first in NESTED]
    nearest = difflib.get_close_matches(name, known, n=1)
    todo = f"Use {PREFIX}{nearest[0]}, or unset {variable}." if nearest else f"Unset {variable}."
    return UsageError("Each CLOSECAST_ variable must be a setting.", variable, todo)
