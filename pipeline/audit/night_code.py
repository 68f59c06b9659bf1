"""The code and the libraries of a night: this checkout, or a git worktree of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import Damaged, PipelineError
from pipeline.settings import CHECKOUT
from pipeline.store import night_record
from pipeline.versions import checkout, code_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.store.night_record import NightRecord


class NightCode(NamedTuple):
    """A folder with the package of a night, and the Python that has its libraries."""

    folder: Path
    python: str
    words: str  # for the reader


@contextlib.contextmanager
def night_code(record: NightRecord, files: Mapping[str, bytes], say: Callable[[str], None]) -> Iterator[NightCode]:
    """Yield the code of a night: this checkout if it has the same code and lock, else a worktree that is removed again.

    Args:
        record: of the night.
        files: that the record names.
        say: takes a line about work that needs minutes.

    Raises:
        Damaged: when the repository no longer has the commit, or the recorded difference does not fit it.
        PipelineError: when the libraries of the night cannot be installed.
    """
    difference = "" if record.clean else " with the recorded difference"
    words = f"commit {record.commit[:12] or 'unknown'}{difference}, code {record.code[:12]}"
    same_lock = record.lock == checkout().lock
    if record.code == code_version() and same_lock:
        yield NightCode(CHECKOUT, sys.executable, f"{words}, as in this checkout")
        return
    if not record.commit:
        raise PipelineError(
            "The code of a night is made again from its commit.",
            f"code {record.code[:12]} of a checkout without git; this checkout has {code_version()[:12]}",
            "Install the version of Closecast that ran that night, and repeat the command there.",
        )
    with tempfile.TemporaryDirectory(prefix="closecast-code-") as home, _worktree(Path(home), record) as folder:
        _apply(folder, files.get(night_record.DIFFERENCE, b""), record)
        python = sys.executable if same_lock else _environment(folder, say)
        yield NightCode(folder, python, words)


@contextlib.contextmanager
def _worktree(home: Path, record: NightRecord) -> Iterator[Path]:
    folder = home / "code"
    _git(
        "The repository must have the commit of the night.",
        f"commit {record.commit[:12]}",
        "Fetch it: `git fetch origin <commit>`; `git fetch --unshallow` in a shallow clone.",
        ["worktree", "add", "--quiet", "--detach", str(folder), record.commit],
    )
    try:
        yield folder
    finally:
        subprocess.run(
            ["git", "-C", str(CHECKOUT), "worktree", "remove", "--force", str(folder)],  # noqa: S607
            capture_output=True,
            check=False,
        )


def _apply(folder: Path, difference: bytes, record: NightRecord) -> None:
    if difference:
        _git(
            "The recorded difference must fit the commit of the night.",
            f"{night_record.DIFFERENCE} on {record.commit[:12]}",
            "Restore the file from a backup, or from MLflow: the run of the night has it.",
            ["apply", "--whitespace=nowarn", "-"],
            folder,
            difference,
        )


def _git(rule: str, received: str, todo: str, words: list[str], folder: Path | None = None, data: bytes = b"") -> None:
    """Run git without the hooks of the repository.

    Raises:
        Damaged: with these words, when git refuses.
    """
    command = ["git", "-C", str(folder or CHECKOUT), "-c", "core.hooksPath=/dev/null", *words]
    try:
        subprocess.run(command, input=data, capture_output=True, check=True)
    except FileNotFoundError as error:
        raise Damaged(rule, f"{received}; git is not installed", "Install git.") from error
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise Damaged(rule, f"{received}; git: {' '.join(last)[:200]}", todo) from error


def _environment(folder: Path, say: Callable[[str], None]) -> str:
    """Return a Python with the libraries of the worktree's lock."""
    say("The night had another requirements.lock: its libraries are installed, which takes minutes.")
    done = subprocess.run(
        [sys.executable, "-I", str(folder / "setup" / "environment.py")], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = " ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise PipelineError(
            "A night with another requirements.lock needs its own libraries.",
            f"they could not be installed: {last[-300:]}",
            "Connect this machine to the package index (PIP_INDEX_URL, UV_DEFAULT_INDEX), and repeat the command.",
        )
    return str(folder / ".venv" / "bin" / "python")
