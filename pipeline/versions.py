"""What a figure was made with: the text of our code, and the libraries."""

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
    """Return a hash of the package's text, its pages included: other code, other results.

    The suite is none of it: `validate` reads the one of the settings, which is among that step's inputs.
    """
    package = CHECKOUT / "pipeline"
    texts = sorted([*package.rglob("*.py"), *package.rglob("*.j2")])
    return sha256(b"".join(path.read_bytes() for path in texts))


@cache
def versions() -> dict[str, str]:
    """Return what the figures were made with."""
    named = {name: importlib.metadata.version(name) for name in (backend(), *_NAMED_VERSIONS)}
    ours = {"code": code_version()[:12], "git": _git_sha(), "backend": backend()}
    return {"python": platform.python_version(), **ours, **named}


def _git_sha() -> str:
    try:
        asked = subprocess.run(
            ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607
            capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return asked.stdout.strip()
