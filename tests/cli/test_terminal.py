"""The terminal during a run, in a process of its own: pytest replaces the output of this one."""

import subprocess
import sys

import pytest

CODE = """
import os, subprocess, sys
from pathlib import Path
from pipeline.cli.terminal import output_to
print("before")
try:
    with output_to(Path(sys.argv[1])) as terminal:
        print("library")
        os.write(2, b"from C++\\n")
        subprocess.run(["echo", "child"], check=True)
        print("table", file=terminal)
        if sys.argv[2] == "fails":
            raise ValueError
except ValueError:
    pass
print("after")
print("error after", file=sys.stderr)
"""


@pytest.mark.parametrize("end", ["ends", "fails"])
def test_the_log_gets_what_anything_prints_and_the_terminal_what_is_for_a_person(tmp_path, end):
    """Libraries, C++ and child processes write to the log; after the block both outputs are as before."""
    log = tmp_path / "log" / "run.log"
    done = subprocess.run([sys.executable, "-c", CODE, str(log), end], capture_output=True, text=True, check=True)
    assert done.stdout == "before\ntable\nafter\n"
    assert done.stderr == "error after\n"
    assert sorted(log.read_text().splitlines()) == ["child", "from C++", "library"]


def test_an_earlier_log_is_continued(tmp_path):
    """A command that is repeated within a second has the same log."""
    log = tmp_path / "run.log"
    log.write_text("earlier\n")
    subprocess.run([sys.executable, "-c", CODE, str(log), "ends"], capture_output=True, check=True)
    assert log.read_text().startswith("earlier\n")
    assert "library" in log.read_text()
