"""The verdict on a run, in two sentences."""

import pytest

from pipeline.reporting.verdict import interval_verdict, verdict
from tests.reporting.test_results import DONE, FAILED

SCORED = DONE._replace(interval_skill_95=0.0764, reference_skill_95=0.008, coverage_95=0.951, candidate="network")


def test_a_run_in_one_sentence():
    """Who is done, what was decided and why, how it stands against naive and how surely, who failed."""
    better = DONE._replace(skill=0.01, dm_p_value=0.995, decision="promoted", weight=0.3)
    equal = DONE._replace(skill=0.0, dm_p_value=1.0, decision="promoted", weight=0.0)
    worse = DONE._replace(dm_p_value=0.001, decision="refused", refused_by=("naive", "rmse"))
    again = worse._replace(dm_p_value=0.03, refused_by=("naive",))
    assert verdict([better, equal, worse, again, FAILED]) == (
        "4 of 5 ticker(s) done; promoted: 2, refused: 2 (by rule: naive 2, rmse 1); better than naive: 1 "
        "(significantly at 1 %: 1), equal: 1, worse: 2 (significantly at 1 %: 1); "
        "the network moves the forecast of 1 of 2, the others forecast as naive. Failed: BAD."
    )
    assert verdict([FAILED]) == "0 of 1 ticker(s) done. Failed: BAD."
    waiting = FAILED._replace(reason="", waiting="2 closes differ")
    assert verdict([waiting]) == "0 of 1 ticker(s) done. Waiting for a decision: BAD."


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {},
            "7.6 % better than; the network adds 0.8 % to the best reference.",
        ),
        (
            {"interval_skill_95": -0.02, "reference_skill_95": -0.01},
            "2.0 % worse than; they score 1.0 % worse than the best reference.",
        ),
        (
            {"interval_skill_95": -10.3, "reference_skill_95": -10.86},
            "11.3 times as much as; they score 11.9 times as much as the best reference.",
        ),
        (
            {"interval_skill_95": 0.0, "reference_skill_95": 0.0004},
            "like; the network adds nothing to the best reference.",
        ),
        (
            {"candidate": "GJR-GARCH alone", "reference_skill_95": 0.0},
            "7.6 % better than; the network broke a rule, and the candidate is GJR-GARCH alone.",
        ),
    ],
)
def test_the_worth_of_intervals_and_network_in_one_sentence(changes, sentence):
    """For one ticker; a ticker that failed, or an earlier version, has none."""
    score, network = sentence.split("; ")
    assert interval_verdict([SCORED._replace(**changes), FAILED]) == (
        f"95 % intervals score {score} the EWMA of closes at 95.1% coverage; {network}"
    )
    assert interval_verdict([DONE, FAILED]) == ""


def test_many_tickers_have_their_medians():
    """And the number of those whose network gave way."""
    alone = SCORED._replace(
        interval_skill_95=0.06, reference_skill_95=0.0, coverage_95=0.949, candidate="constant alone"
    )
    assert interval_verdict([SCORED, alone]) == (
        "95 % intervals score 6.8 % better than the EWMA of closes at 95.0% coverage (medians of 2 tickers); the "
        "network adds 0.4 % to the best reference, which took its place for 1 of 2."
    )
