"""`closecast replay` with processes of its own: their number changes no figure, and Ctrl-C ends all of them."""

import os
import re
import signal
import subprocess
import sys
import time

from tests.support.replays import NIGHTS, files_of, replay_of

WORDS = ("replay", "--from", "2025-11-12", "--to", "2025-11-14", "--every", "2", "--tickers", "AAA,BBB")


def test_processes_of_their_own_give_the_same(tiny):
    """Two tickers, two processes."""
    alone = replay_of(tiny, NIGHTS[0], NIGHTS[1], tickers=("AAA", "BBB"))
    spread = replay_of(tiny.model_copy(update={"var": tiny.var_dir / "spread"}), NIGHTS[0], NIGHTS[1],
                       tickers=("AAA", "BBB"), workers=2)  # fmt: skip
    assert files_of(alone.home) == files_of(spread.home)


def _ended(group):
    """Return whether all processes of a group end within 20 s."""
    for _ in range(200):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_ctrl_c_ends_all_processes_and_the_same_command_continues(tiny):
    """Two tickers train in two processes; the training that was done is not repeated."""
    command = [sys.executable, "-m", "pipeline", *WORDS]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - a job of `&` has it off
    ) as running:
        for line in running.stdout:
            if "training 1 of 4" in line:
                break
        os.killpg(running.pid, signal.SIGINT)
        rest = running.stdout.read()
    assert "The same command continues this replay." in rest
    assert running.returncode == 130
    assert _ended(running.pid)
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.search(r"Continues: [1-3] of 4 training\(s\) are done", again.stdout)
    assert (tiny.var_dir / "replay" / "2025-11-12_2025-11-14_every-2" / "report.html").exists()
