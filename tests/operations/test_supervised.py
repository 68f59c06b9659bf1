"""A supervised program starts after the rest of an earlier start was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipeline.operations.processes import PROGRAM, STACK, is_alive
from tests.support.stacks import eventually

ROOT = Path(__file__).resolve().parents[2]
SUPERVISED = [sys.executable, "-m", "pipeline.operations.supervised"]


def test_an_orphan_of_the_same_program_is_killed_first(tmp_path: Path) -> None:
    """The orphan of another program of the same stack lives."""
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    stack = os.environ | {STACK: str(tmp_path)}
    with (
        subprocess.Popen(sleep, env=stack | {PROGRAM: "mlflow"}) as orphan,
        subprocess.Popen(sleep, env=stack | {PROGRAM: "redis"}) as other,
    ):
        command = [*SUPERVISED, sys.executable, "-c", "print('started')"]
        done = subprocess.run(
            command, env=stack | {PROGRAM: "mlflow"}, cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout == "started\n"
        assert orphan.wait(timeout=10) == -9
        assert psutil.Process(other.pid).is_running()
        other.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals the death of a parent")
def test_the_program_ends_with_supervisord(tmp_path: Path) -> None:
    """Also when something kills it: nothing would restart what fails."""
    command = [*SUPERVISED, sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"]
    marks = os.environ | {STACK: str(tmp_path), PROGRAM: ""}
    supervisord = f"import os, subprocess; subprocess.run({command}, env=os.environ | {{{PROGRAM!r}: 'x'}})"
    with subprocess.Popen(
        [sys.executable, "-c", supervisord], env=marks, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "1\n"
        (program,) = psutil.Process(parent.pid).children()
        parent.kill()
        assert eventually(lambda: not is_alive(program), 10)


def test_a_module_runs_in_this_python_and_in_the_same_process(tmp_path: Path) -> None:
    """Supervisord signals the process that it started, so no process may be in between."""
    (tmp_path / "program.py").write_text("import os, sys; print(os.getpid(), sys.argv[1])")
    marks = {STACK: str(tmp_path), PROGRAM: "x", "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    command = [*SUPERVISED, "program", "argument"]
    with subprocess.Popen(command, env=os.environ | marks, stdout=subprocess.PIPE, text=True) as process:
        said, _ = process.communicate(timeout=60)
    assert said.split() == [str(process.pid), "argument"]


def test_the_folder_of_the_stack_reaches_a_program_as_it_is(tmp_path: Path) -> None:
    """Signs that a shell or a configuration file would read stay in one argument."""
    var = tmp_path / "100% {a} 'b' \"c\" #1 ;d"
    command = [*SUPERVISED, sys.executable, "-c", "import sys; print(*sys.argv[1:], sep='|')", "sqlite:///@VAR@/x", "y"]
    command.append("@VAR_URL@/z")
    marks = {STACK: str(var), PROGRAM: "x"}
    done = subprocess.run(command, env=os.environ | marks, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"sqlite:///{var}/x|y|{var.as_uri()}/z\n"
