"""Throw-away checkouts for the tests of `make setup`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
OF_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")  # `make test` sets them


def make_checkout(home: Path) -> Path:
    """Make a checkout whose lock holds the tools of the set-up and `iniconfig`, and whose package has no code."""
    (home / "pipeline").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "README.md"):
        shutil.copy(CHECKOUT / name, home)
    shutil.copytree(CHECKOUT / "setup", home / "setup", ignore=shutil.ignore_patterns("__pycache__"))
    (home / "pipeline" / "__init__.py").touch()
    select = [sys.executable, str(CHECKOUT / "docker" / "select_lock.py"), str(CHECKOUT / "requirements.lock")]
    with (home / "requirements.lock").open("w") as lock:
        subprocess.run([*select, "uv", "hatchling", "editables", "iniconfig"], stdout=lock, check=True)
    return home


def make(home: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run make in a checkout, with the variables of this process except those of another make."""
    environment = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
    command = ["make", "--no-print-directory", *words]
    return subprocess.run(
        command, cwd=home, env=environment | variables, capture_output=True, text=True, check=False, timeout=1700
    )
