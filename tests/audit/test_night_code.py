"""The code of a night: this checkout if it is the same, else a worktree of its commit with the recorded difference."""

import subprocess

import pytest

from pipeline import versions
from pipeline.audit import night_code
from pipeline.errors import Damaged, PipelineError
from pipeline.settings import CHECKOUT
from pipeline.store.night_record import DIFFERENCE, Machine, NightRecord


def _git(folder, *words):
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    command = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _record(commit, code="another", lock=None, files=()):
    return NightRecord(
        commit=commit,
        code=code,
        lock=lock or versions.checkout().lock,
        versions={},
        machine=Machine(processor="", cores=1, architecture=""),
        gpu="off",
        files=dict.fromkeys(files, ""),
    )


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Return a checkout with one commit and an uncommitted change. Its set-up fails as without a connection."""
    folder = tmp_path / "checkout"
    (folder / "pipeline").mkdir(parents=True)
    (folder / "setup").mkdir()
    (folder / "pipeline" / "a.py").write_text("before\n")
    (folder / "requirements.lock").write_text("lock\n")
    (folder / "setup" / "environment.py").write_text("import sys\nsys.exit('no connection')\n")
    _git(tmp_path, "init", "--quiet", str(folder))
    _git(folder, "add", ".")
    _git(folder, "commit", "--quiet", "--message", "one")
    (folder / "pipeline" / "a.py").write_text("after\n")
    monkeypatch.setattr(versions, "CHECKOUT", folder)
    monkeypatch.setattr(night_code, "CHECKOUT", folder)
    return folder


def test_the_same_code_is_that_of_this_checkout():
    """No worktree is made, and none is needed without git."""
    with night_code.night_code(_record("", versions.code_version()), {}, print) as code:
        assert code.folder == CHECKOUT


def test_a_worktree_has_the_commit_and_the_difference(repository):
    """It is gone afterwards, and the checkout is as it was."""
    found = versions.checkout()
    _git(repository, "commit", "--all", "--quiet", "--message", "two")
    (repository / "pipeline" / "a.py").write_text("later\n")
    record = _record(found.commit, files=[DIFFERENCE])
    with night_code.night_code(record, {DIFFERENCE: found.difference}, print) as code:
        assert (code.folder / "pipeline" / "a.py").read_text() == "after\n"
        assert "with the recorded difference" in code.words
        folder = code.folder
    with night_code.night_code(_record(found.commit), {}, print) as code:
        assert (code.folder / "pipeline" / "a.py").read_text() == "before\n"
    assert not folder.exists()
    assert len(_git(repository, "worktree", "list").splitlines()) == 1
    assert (repository / "pipeline" / "a.py").read_text() == "later\n"


def test_code_that_cannot_be_made_again_is_named(repository):
    """An unknown commit, no git in the night, a difference that does not fit."""
    commit = versions.checkout().commit
    broken = {DIFFERENCE: b"diff --git a/pipeline/b.py b/pipeline/b.py\n--- a/pipeline/b.py\n+++ b/pipeline/b.py\n"}
    cases = [
        (_record("0" * 40), {}, Damaged, "000000000000"),
        (_record(""), {}, PipelineError, "without git"),
        (_record(commit, files=[DIFFERENCE]), broken, Damaged, DIFFERENCE),
    ]
    for record, files, kind, words in cases:
        with pytest.raises(kind, match=words), night_code.night_code(record, files, print):
            pass
    assert len(_git(repository, "worktree", "list").splitlines()) == 1


@pytest.mark.usefixtures("repository")
def test_another_lock_needs_a_connection():
    """The set-up of the worktree installs it, and its failure is a message of three parts."""
    said = []
    record = _record(versions.checkout().commit, lock="another")
    with pytest.raises(PipelineError, match="no connection") as error, night_code.night_code(record, {}, said.append):
        pass
    assert "package index" in error.value.todo
    assert "another requirements.lock" in said[0]
