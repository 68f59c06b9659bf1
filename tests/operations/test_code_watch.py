"""The stack notices changed code."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pipeline.operations import code_watch, processes, supervisor
from pipeline.operations.processes import PROGRAM, STACK
from tests.support.stacks import eventually, settings_for

if TYPE_CHECKING:
    from pathlib import Path

TITLED = "import setproctitle, sys; setproctitle.setproctitle(sys.argv[1]); print('ready', flush=True); input()"


def checks_until_restart(hashes: str, busy: str) -> int:
    """Return after how many checks the code counts as changed; `hashes` and `busy` are the answers of each check."""
    found = iter(hashes)
    tasks = iter(busy)
    code_watch.wait_for_change("a", lambda: next(found), lambda: next(tasks) == "1", seconds=0.001)
    return len(hashes) - len(list(found))


@pytest.mark.parametrize(
    ("hashes", "busy", "checks"),
    [
        ("aaabbb", "0", 5),  # stable at the second look
        ("abcddd", "0", 5),  # a pull is in progress until d
        ("abaabb", "0", 6),  # taken back, then changed again
        ("bbbbbb", "110", 4),  # a task ends before the fourth check
    ],
)
def test_code_counts_as_changed_when_it_stays_so_and_no_task_runs(hashes: str, busy: str, checks: int) -> None:
    """Each letter is the hash of one check."""
    assert checks_until_restart(hashes, busy) == checks


def test_a_long_task_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks that start meanwhile fail, and their retries end."""
    monkeypatch.setattr(code_watch, "_LONGEST_WAIT", 0.003)
    assert checks_until_restart("b" * 9, "1" * 9) == 4


def test_the_hash_changes_with_modules_templates_and_dags_only(tmp_path: Path) -> None:
    """Bytecode and logs change all the time."""
    package, dags = tmp_path / "pipeline", tmp_path / "dags"
    for folder in (package, dags):
        folder.mkdir()
    hashes = [code_watch.hash_now(package, dags)]
    for file in (package / "a.py", package / "b.j2", dags / "c.py"):
        file.write_text("1")
        hashes.append(code_watch.hash_now(package, dags))
    assert len(set(hashes)) == 4
    (package / "a.pyc").write_text("1")
    assert code_watch.hash_now(package, dags) == hashes[-1]


def test_a_file_that_goes_while_it_is_read_gives_no_hash(tmp_path: Path) -> None:
    """As during a pull. A link to nowhere cannot be read."""
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere")
    assert code_watch.hash_now(tmp_path) == ""


def test_changed_code_is_known_once_the_programs_have_started(tmp_path: Path) -> None:
    """`up` then says that the stack restarts by itself."""
    settings = settings_for(tmp_path)
    run = settings.var_dir / "run"
    run.mkdir(parents=True)
    assert not code_watch.has_changed(settings)
    (run / "code").write_text(code_watch.hash_now(*code_watch._folders(settings)))
    assert not code_watch.has_changed(settings)
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "new.py").write_text("")
    assert code_watch.has_changed(settings)


@pytest.mark.parametrize(
    ("title", "runs"),
    [
        ("airflow worker -- 01973b1e-7c0c-7000-8000-000000000000", True),
        ("airflow worker -- LocalExecutor: <idle>", False),
        ("airflow scheduler", False),
    ],
)
def test_a_running_task_is_found_by_the_title_of_its_process(tmp_path: Path, title: str, runs: bool) -> None:
    """A worker that waits is none."""
    marks = {STACK: str(tmp_path), PROGRAM: "airflow-scheduler", "SPT_NOENV": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", TITLED, title], env=os.environ | marks, **pipes) as process:
        assert process.stdout.readline() == b"ready\n"
        assert code_watch.is_task_running(str(tmp_path)) == runs
        process.communicate(b"\n")
    assert not code_watch.is_task_running(str(tmp_path))


def test_a_restart_replaces_every_program_and_keeps_supervisord(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a real supervisord, in a folder whose name configuration files would misread."""
    settings = settings_for(tmp_path / "100% #1 ;home")
    for folder in ("run", "log"):
        (settings.var_dir / folder).mkdir(parents=True)
    monkeypatch.setattr(supervisor, "programs", lambda _: {"sleeper": "timeit -n 1 -r 1 'import time; time.sleep(60)'"})
    var = str(settings.var_dir)

    def pids() -> set[int]:
        return {process.pid for process in processes.members(var, "sleeper")}

    try:
        supervisor.start(settings)
        assert eventually(lambda: len(pids()) == 1, 60)
        before = pids()
        boss = processes.find_supervisord(settings)
        code_watch.restart(var)
        assert eventually(lambda: len(pids()) == 1 and pids() != before, 60)
        assert processes.find_supervisord(settings) == boss
    finally:
        processes.stop(settings)
