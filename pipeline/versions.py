"""Versions behind a figure: a hash of the pipeline's code, the git commit, the libraries."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pipeline.forecasting.device import backend
from pipeline.settings import CHECKOUT
from pipeline.store.formats import sha256
from pipeline.store.night_record import Code

_NAMED_VERSIONS = (
    "keras",
    "numpy",
    "pandas",
    "scikit-learn",
    "great-expectations",
    "mlflow",
    "apache-airflow",
)
# The files that determine a run beside its settings. Others may be large, or private.
_CODE = ("pipeline", "dags", "expectations", "setup", "pyproject.toml", "requirements.lock")


@cache
def code_version() -> str:
    """Return a hash of the package's modules and page templates: a step is repeated when it changes.

    The suite is not included: it is an input of the step `validate`, with its own hash.
    """
    package = CHECKOUT / "pipeline"
    texts = sorted([*package.rglob("*.py"), *package.rglob("*.j2")])
    return sha256(b"".join(path.read_bytes() for path in texts))


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python, this code, the backend and the main libraries."""
    named = {name: importlib.metadata.version(name) for name in (backend(), *_NAMED_VERSIONS)}
    ours = {"code": code_version()[:12], "git": _git_sha(), "backend": backend()}
    return {"python": platform.python_version(), **ours, **named}


def _git_sha() -> str:
    """Return the commit of the checkout, with `-dirty` after local changes; "unknown" without git."""
    try:
        asked = subprocess.run(
            ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607
            capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return asked.stdout.strip()


def checkout() -> Code:
    """Return the code that this process runs, so that it can be made again. The repository stays as it is.

    closecast.toml is left out: it may hold passwords, and the settings of a run are recorded without them.
    """
    lock = CHECKOUT / "requirements.lock"
    found = Code(
        commit="",
        difference=b"",
        package=code_version(),
        lock=sha256(lock.read_bytes()) if lock.exists() else "",
        versions=versions(),
    )
    try:
        commit = _git("rev-parse", "HEAD").decode().strip()
        return found._replace(commit=commit, difference=_difference(commit))
    except (OSError, subprocess.SubprocessError):
        return found


def _difference(commit: str) -> bytes:
    """Return the difference from a commit. New files need an index and objects, which lie in a folder of their own."""
    present = [name for name in _CODE if (CHECKOUT / name).exists()]
    objects = _git("rev-parse", "--path-format=absolute", "--git-path", "objects").decode().strip()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "objects").mkdir()
        places = {
            "GIT_INDEX_FILE": f"{folder}/index",
            "GIT_OBJECT_DIRECTORY": f"{folder}/objects",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects,
        }
        _git("read-tree", commit, places=places)
        _git("add", "--all", "--", *present, places=places)
        return _git(
            "diff", "--cached", "--binary", "--no-ext-diff", "--no-textconv", commit, "--", *present, places=places
        )


def _git(*words: str, places: Mapping[str, str] | None = None) -> bytes:
    """Return the output of git in the checkout.

    Raises:
        OSError: git is not installed.
        SubprocessError: git refuses, or needs more than a minute.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(CHECKOUT), *words]
    return subprocess.run(command, capture_output=True, check=True, timeout=60, env={**kept, **(places or {})}).stdout
