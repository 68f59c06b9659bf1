"""What makes a finished step worth nothing: other code, other pages, other rules."""

import json
import shutil
import subprocess

import pytest

from pipeline import runner, runs, versions
from pipeline.errors import DataError
from pipeline.settings import CHECKOUT, load_settings
from pipeline.store.formats import sha256
from pipeline.store.runs import read_plan, unit_folder


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("pipeline/steps/train.py", True),
        ("pipeline/pages/validation.html.j2", True),
        ("expectations/prices.json", False),
        ("README.md", False),
    ],
)
def test_the_version_of_the_code_is_that_of_modules_and_pages(tmp_path, monkeypatch, file, counts):
    """And of nothing else in the checkout."""
    monkeypatch.setattr(versions, "CHECKOUT", tmp_path)
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("before")
    before = versions.code_version.__wrapped__()
    (tmp_path / file).write_text("after")
    assert (versions.code_version.__wrapped__() != before) is counts


def test_other_rules_check_the_prices_again(tiny, tmp_path, monkeypatch):
    """The suite that is read is that of CLOSECAST_HOME: what passed it is not taken over by stricter rules."""
    shutil.copy(CHECKOUT / "closecast.toml", tmp_path)
    shutil.copytree(CHECKOUT / "expectations", tmp_path / "expectations")
    monkeypatch.setenv("CLOSECAST_HOME", str(tmp_path))
    settings = load_settings(tickers=("AAA",))
    (batch,) = runs.plan(settings, "manual__rules")
    for step in ("ingest", "validate", "validate"):
        runner.run(step, batch, settings=settings)
    folder = unit_folder(tiny.store_url, "AAA", read_plan(tiny.store_url, batch["run"]))
    passed = folder.manifest("validate")
    assert passed.inputs["prices.json"] == sha256(settings.suite_path.read_bytes())
    suite = json.loads(settings.suite_path.read_bytes())
    (rule,) = (one for one in suite["expectations"] if one["meta"]["name"] == "close_above_zero")
    rule["kwargs"]["min_value"] = 1_000_000
    settings.suite_path.write_text(json.dumps(suite))
    with pytest.raises(DataError, match="close"):
        runner.run("validate", batch, settings=settings)
    settings.suite_path.unlink()
    with pytest.raises(DataError, match="CLOSECAST_HOME"):
        runner.run("validate", batch, settings=settings)


def _git(folder, *words):
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    command = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_difference_of_a_checkout_makes_its_code_again(tmp_path, monkeypatch):
    """Changed, new and removed files; the index and the objects of the repository stay as they are."""
    checkout = tmp_path / "checkout"
    (checkout / "pipeline").mkdir(parents=True)
    for name in ("pipeline/a.py", "pipeline/gone.py", "requirements.lock", "closecast.toml"):
        (checkout / name).write_text("before\n")
    _git(tmp_path, "init", "--quiet", str(checkout))
    _git(checkout, "add", ".")
    _git(checkout, "commit", "--quiet", "--message", "one")
    monkeypatch.setattr(versions, "CHECKOUT", checkout)
    commit = _git(checkout, "rev-parse", "HEAD")
    clean = versions.checkout()
    assert (clean.commit, clean.difference, clean.lock) == (commit, b"", sha256(b"before\n"))

    (checkout / "pipeline/a.py").write_text("after\n")
    (checkout / "pipeline/new.py").write_text("new\n")
    (checkout / "pipeline/gone.py").unlink()
    (checkout / "closecast.toml").write_text('alert_urls = "json://user:secret@host"\n')
    (checkout / "notes.txt").write_text("private\n")
    before = _git(checkout, "status", "--porcelain"), _git(checkout, "count-objects")
    found = versions.checkout()
    assert (_git(checkout, "status", "--porcelain"), _git(checkout, "count-objects")) == before
    assert found.commit == commit
    assert b"secret" not in found.difference
    assert b"private" not in found.difference

    again = tmp_path / "again"
    _git(tmp_path, "clone", "--quiet", str(checkout), str(again))
    (tmp_path / "difference").write_bytes(found.difference)
    _git(again, "apply", str(tmp_path / "difference"))
    assert {path.name: path.read_text() for path in (again / "pipeline").iterdir()} == {
        "a.py": "after\n",
        "new.py": "new\n",
    }


def test_a_checkout_without_git_has_its_lock(tmp_path, monkeypatch):
    """As in the image."""
    (tmp_path / "requirements.lock").write_text("numpy\n")
    monkeypatch.setattr(versions, "CHECKOUT", tmp_path)
    found = versions.checkout()
    assert (found.commit, found.difference, found.lock) == ("", b"", sha256(b"numpy\n"))
