"""A fresh checkout on another Python than the one that runs the tests: set-up, a run of the DAG, a few tests."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkouts import CHECKOUT, make
from tests.support.tiny import WIDE_GATE, network_variables

OTHER = "3.11" if sys.version_info[:2] == (3, 13) else "3.13"


def found(version):
    """Return a Python of this version, from PATH or from pyenv, or None."""
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
    for program in [shutil.which(f"python{version}"), *map(str, pyenv)]:
        if program and not subprocess.run([program, "-c", ""], check=False, capture_output=True).returncode:
            return program
    return None


def test_a_fresh_checkout_runs_on_another_python(tmp_path):
    """The newest that is supported, or the oldest: `make run` from nothing, then the tests of the numeric core."""
    python = found(OTHER)
    if not python:
        pytest.skip(f"no Python {OTHER} on PATH or in ~/.pyenv")
    listed = ["/usr/bin/git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, tmp_path / name)
    variables = network_variables() | {"CLOSECAST_GATE": WIDE_GATE, "CLOSECAST_VAR": str(tmp_path / "var")}
    done = make(tmp_path, "run", f"PYTHON={python}", "TICKERS=AAA", "START=2022-01-03", "AS_OF=2025-11-21", **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "AAA" in done.stdout
    assert f"version_info = {OTHER}" in (tmp_path / ".venv" / "pyvenv.cfg").read_text()
    done = make(tmp_path, "test", "ARGS=tests/evaluation")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
