"""`closecast champion ...`, after two real nights or two versions without a training."""

import json

import pytest

from pipeline.tracking.registry import Registry
from tests.support.commands import say
from tests.support.released import two_versions_of


@pytest.fixture
def two_versions(tiny):
    """Return settings of two promoted versions of AAA without a training."""
    return two_versions_of(tiny)


def test_show_names_the_champion_all_versions_and_the_way_there(two_nights):
    """Verdicts and reasons in words."""
    code, text = say("champion", "show", "aaa")
    assert code == 0
    assert text.startswith("Champion of AAA: v2")
    for words in ("v1", "v2 *", "2025-11-20", "promoted: all 5 rules hold", "none -> v1", "v1 -> v2"):
        assert words in text
    assert Registry(two_nights).champion("AAA").number == 2


@pytest.mark.usefixtures("two_versions")
def test_show_as_json_has_versions_and_moves():
    """For a program: the number of the champion, the tags of each version, the moves newest first."""
    found = json.loads(say("champion", "show", "AAA", "--json")[1])
    assert found["champion"] == 2
    assert [(one["number"], one["tags"]["decision"]) for one in found["versions"]] == [(1, "because"), (2, "because")]
    assert [(one["before"], one["to"]) for one in found["history"]] == [(1, 2), (None, 1)]


def test_a_person_sets_and_rolls_back_with_a_reason(two_versions):
    """The history says who followed whom and why; what cannot be is refused with what can."""
    assert say("champion", "rollback", "AAA", "--reason", "odd forecasts") == (
        0, "Champion of AAA: v1 again. The next forecast is made by it.\n",
    )  # fmt: skip
    assert "v2 -> v1  odd forecasts" in say("champion", "show", "AAA")[1]
    code, text = say("champion", "rollback", "AAA")
    assert (code, len(text.strip().splitlines())) == (2, 3)
    assert say("champion", "set", "AAA", "2", "--reason", "good again")[0] == 0
    assert Registry(two_versions).champion("AAA").number == 2
    code, text = say("champion", "set", "AAA", "9")
    assert (code, "Use one of: 1, 2." in text) == (2, True)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("champion", "show", "ZZZ"), 2),
        (("champion", "set", "ZZZ", "1"), 2),
        (("champion", "rollback", "ZZZ"), 2),
        (("champion", "show", "../../etc"), 2),
    ],
)
@pytest.mark.usefixtures("tiny")
def test_a_ticker_that_nobody_trained_is_three_lines(words, code):
    """Rule, what was received, what to do."""
    said = say(*words)
    assert (said[0], len(said[1].strip().splitlines())) == (code, 3)
