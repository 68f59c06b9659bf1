"""`closecast prune`: it looks, deletes with --yes, and prints the same numbers."""

import json

import pytest

from pipeline import runs
from tests.support.commands import say
from tests.support.old_nights import leave_nights


@pytest.fixture
def three(tiny, monkeypatch):
    """Return the plans of three nights, of which the first is needed by nothing."""
    monkeypatch.setenv("CLOSECAST_KEEP_NIGHTS", "1")
    return leave_nights(tiny, ("AAA",), 3, promoted=(2, 3))


def test_it_deletes_only_with_yes(three, monkeypatch):
    """Nothing is left to delete afterwards; each kept night has its reason."""
    monkeypatch.setenv("CLOSECAST_KEEP_ROWS", "1")
    code, seen = say("prune")
    assert code == 0
    assert seen.startswith("Would delete 1 nights of tickers: ")
    assert f"  delete {three[0].as_of} {three[0].run}: all tickers\n" in seen
    (older,) = [line for line in seen.splitlines() if line.startswith("  keep")]
    assert older.startswith(f"  keep   AAA {three[1].run}: ")
    assert "v2, which a rollback would serve" in older
    assert seen.rstrip().endswith("To delete: closecast prune --yes")
    _, done = say("prune", "--yes")
    assert done.splitlines()[0] == seen.splitlines()[0].replace("Would delete", "Deleted")
    _, again = say("prune")
    assert again.startswith("Nothing to delete: 2 nights of tickers are kept.")


def test_json_has_every_night(three):
    """With the reasons of those that are kept."""
    found = json.loads(say("prune", "--json")[1])
    assert (found["deleted"], found["units"]) == (False, len(found["delete"]))
    assert {one["run"] for one in found["keep"] + found["delete"]} == {plan.run for plan in three}
    assert all(one["reasons"] for one in found["keep"])


def test_nothing_is_deleted_beside_a_night(tiny):
    """Three lines and exit code 1."""
    runs.plan(tiny, "manual__now")
    code, text = say("prune", "--yes")
    assert (code, len(text.strip().splitlines())) == (1, 3)
    assert "no results yet of manual__now" in text
