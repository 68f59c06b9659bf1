"""Versions behind a figure: a hash of the pipeline's code, the git commit, the libraries."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from functools import cache

from pipeline.forecasting.device import backend
from pipeline.settings import CHECKOUT
from pipeline.store.formats import sha256

_NAMED_VERSIONS = (
    "keras",
    "numpy",
    "pandas",
    "scikit-learn",
    "great-expectations",
    "mlflow",
    "apache-airflow",
)


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
