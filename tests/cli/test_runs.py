"""`closecast runs`."""

import json

import pytest

from tests.support.commands import say
from tests.support.past_runs import leave_plan, leave_results, row


@pytest.fixture
def two_runs(tiny):
    """Leave a done and a failed run."""
    leave_results(tiny, leave_plan(tiny, "manual__1", "2025-11-20", 1), row())
    failed = row(decision="", reason="no close", skill=None)
    leave_results(tiny, leave_plan(tiny, "manual__2", "2025-11-21", 2), failed)


@pytest.mark.usefixtures("two_runs")
def test_the_verdict_comes_first_then_one_line_per_run():
    """JSON has the same rows; filters apply to both."""
    code, text = say("runs")
    first, _, newest, oldest, _ = text.splitlines()
    assert (code, first) == (0, "2 run(s): 1 done, 1 failed.")
    assert newest.split()[:4] == ["failed", "1", "manual__2", "2025-11-21"]
    assert oldest.split()[:3] == ["done", "manual__1", "2025-11-20"]
    assert [one["run"] for one in json.loads(say("runs", "--json", "-n", "1")[1])] == ["manual__2"]
    assert [one["run"] for one in json.loads(say("runs", "--json", "--verdict", "promoted")[1])] == ["manual__1"]
    assert say("runs", "--ticker", "ZZZ") == (0, "No run in the store passes these filters.\n")


@pytest.mark.parametrize("words", [("--since", "soon"), ("--verdict", "good"), ("--ticker", "../x")])
@pytest.mark.usefixtures("tiny")
def test_wrong_filters_are_three_lines(words):
    """Exit code 2."""
    code, text = say("runs", *words)
    assert (code, len(text.strip().splitlines())) == (2, 3)
