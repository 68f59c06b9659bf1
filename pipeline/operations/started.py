"""The record of the code, the libraries and the settings with which the stack was started: `var/run/started.json`.

Running programs keep what they were started with. `up` compares, and names what is not in force.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.settings.foreign import TIME_OUTS

if TYPE_CHECKING:
    from pipeline.settings import Settings

_PORTS = ("airflow_port", "mlflow_port", "postgres_port", "redis_port")
_PREFIXES = ("CLOSECAST_", "KERAS_BACKEND", "AWS_", *TIME_OUTS)
# The folders name the stack itself, and the ports are compared by their values.
_NOT_COMPARED = ("CLOSECAST_HOME", "CLOSECAST_VAR", *(f"CLOSECAST_{name.upper()}" for name in _PORTS))


class Started(BaseModel):
    """What a stack was started with. Values of variables are hashed: they may be passwords."""

    model_config = ConfigDict(frozen=True)

    libraries: str
    ports: dict[str, int]
    variables: dict[str, str]


def present(settings: Settings, environment: Mapping[str, str] = os.environ) -> Started:
    """Return the record of a stack that would be started now."""
    ready = Path(sys.prefix) / "ready"  # `make` touches it after each installation
    return Started(
        libraries=str(ready.stat().st_mtime_ns) if ready.exists() else "",
        ports={name: getattr(settings, name) for name in _PORTS},
        variables={
            name: hashlib.sha256(value.encode()).hexdigest()
            for name, value in environment.items()
            if name.startswith(_PREFIXES) and name not in _NOT_COMPARED and value.strip()
        },
    )


def write(settings: Settings) -> None:
    """Record what the stack is started with."""
    _file(settings).write_text(present(settings).model_dump_json(indent=1))


def read(settings: Settings) -> Started | None:
    """Return the record of the running stack; None if an older version started it."""
    try:
        return Started.model_validate_json(_file(settings).read_text())
    except (OSError, ValidationError):
        return None


def differences(before: Started, now: Started) -> list[str]:
    """Return the names of what differs: variables, and "the installed libraries"."""
    names = {name for name in {*before.variables, *now.variables} if _changed(before.variables, now.variables, name)}
    names |= {f"CLOSECAST_{name.upper()}" for name in _PORTS if _changed(before.ports, now.ports, name)}
    libraries = ["the installed libraries"] if before.libraries != now.libraries else []
    return [*sorted(names), *libraries]


def _changed(before: Mapping[str, object], now: Mapping[str, object], name: str) -> bool:
    return before.get(name) != now.get(name)


def _file(settings: Settings) -> Path:
    return settings.var_dir / "run" / "started.json"
