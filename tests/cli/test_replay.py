"""`closecast replay`: the verdict first, and a table. tests/programs stops the command and repeats it."""

import pytest

from tests.support.commands import say

WORDS = ("replay", "--from", "2025-11-12", "--to", "2025-11-14", "--every", "2", "--tickers", "AAA")


@pytest.mark.usefixtures("tiny")
def test_the_verdict_comes_first_then_a_row_for_each_contender():
    """Two policies and two baselines."""
    code, text = say(*WORDS, "--policy", "unless_worse", "--policy", "if_better")
    lines = text.splitlines()
    assert code == 0, text
    assert lines[0].startswith("unless_worse: interval skill ")
    assert "; if_better: interval skill " in lines[0]
    assert lines[1].startswith("Replay of 3 nights x 1 ticker(s), 2025-11-12 to 2025-11-14, preset daily")
    assert [line.split()[0] for line in lines[4:8]] == ["unless_worse", "if_better", "never", "reference"]
    assert "0 ticker-night(s) from snapshots of the store, 3 from the history cut at the night, 0 skipped" in text
    assert "No leak: 1 ticker-night(s)" in text
    assert lines[-1].endswith("/var/replay/2025-11-12_2025-11-14_every-2/report.html")


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("words", "named"),
    [(("--policy", "always"), "'always'"), (("--from", "soon"), "'soon'"), (("--tickers", "../x"), "'../X'")],
)
def test_wrong_usage_is_three_lines(words, named):
    """With exit code 2."""
    code, text = say(*WORDS, *words)
    assert code == 2
    assert named in text
    assert len(text.strip().splitlines()) == 3
