"""`closecast leaks`: the verdict first, one line per stage, exit code 1 for a leak."""

import pytest

from pipeline.audit.leaks import STAGES
from pipeline.steps import champion
from tests.support.commands import say


@pytest.mark.usefixtures("two_nights")
def test_a_night_without_a_leak_and_one_with_a_leak(monkeypatch):
    """On the newest snapshot of the store."""
    code, text = say("leaks", "AAA")
    lines = text.splitlines()
    assert (code, lines[0]) == (0, "No leak: 1 ticker(s), preset daily, as of 2025-11-21.")
    assert [line.split() for line in lines[1:]] == [[name, "passed"] for name in ("snapshot", *STAGES)]
    monkeypatch.setattr(champion, "is_comparable", lambda _unit, _served: True)
    code, text = say("leaks", "AAA")
    assert code == 1
    assert text.startswith("LEAK in champion: ")


@pytest.mark.usefixtures("tiny")
def test_a_ticker_without_a_snapshot_is_wrong_usage():
    """In three lines."""
    code, text = say("leaks", "NFLX")
    assert code == 2
    assert "closecast run --tickers NFLX" in text
