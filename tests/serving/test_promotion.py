"""The gate, rule by rule: each rule alone can refuse, and says with which figure and limit."""

import datetime as dt

import pytest

from pipeline.errors import NotComparable
from pipeline.serving.promotion import Challenger, Champion, check_cutoffs, decide, refuse
from pipeline.settings.gate import Gate

DAY = dt.date(2020, 1, 2)
GOOD = Challenger(
    cutoff=DAY, rmse=1.0, naive_rmse=1.0, p_worse_than_naive=0.5, coverage_95=0.95, critical=0, warnings=1,
    fault=None, synthetic=False,
)  # fmt: skip
SERVED = Champion(version=3, cutoff=DAY, rmse=1.0, challenger_p_worse=0.5, synthetic=False)


def test_the_first_model_has_no_champion_to_beat():
    """Four rules, all of them told."""
    decision = decide(GOOD, None, Gate())
    assert decision.promoted
    assert [rule.name for rule in decision.rules] == ["data", "rmse", "naive", "coverage"]
    assert decision.reason == "promoted: all 4 rules hold"


@pytest.mark.parametrize(
    ("change", "rule", "words"),
    [
        ({"critical": 1}, "data", "1 critical"),
        ({"fault": "stale"}, "data", "with the fault stale"),
        ({"rmse": 1.0101}, "rmse", "1.0101 x naive"),
        ({"p_worse_than_naive": 0.049}, "naive", "p 0.0490"),
        ({"coverage_95": 0.899}, "coverage", "89.9%"),
        ({"coverage_95": 0.991}, "coverage", "99.1%"),
    ],
)
def test_each_rule_alone_refuses(change, rule, words):
    """Naming value and limit in the one line that people read."""
    decision = decide(GOOD._replace(**change), SERVED, Gate())
    assert not decision.promoted
    assert [one.name for one in decision.failed] == [rule]
    assert decision.reason.startswith(f"refused: {rule} ")
    assert words in decision.reason
    assert "(limit: " in decision.reason
    assert decision.champion == 3


@pytest.mark.parametrize(
    "change",
    [{"rmse": 1.01}, {"p_worse_than_naive": 0.05}, {"coverage_95": 0.90}, {"coverage_95": 0.99}, {"warnings": 9}],
)
def test_a_figure_on_its_limit_passes(change):
    """And warnings speak against nothing."""
    assert decide(GOOD._replace(**change), None, Gate()).promoted


def test_the_tutorials_figures_name_three_rules():
    """RMSE 3.5 x naive: two rules about naive fail, and wide intervals of a wrong centre do not save it."""
    decision = decide(GOOD._replace(rmse=48.6, naive_rmse=13.97, p_worse_than_naive=0.0, coverage_95=0.3), None, Gate())
    assert [one.name for one in decision.failed] == ["rmse", "naive", "coverage"]


@pytest.mark.parametrize(
    ("policy", "rmse", "p", "promoted"),
    [
        ("unless_worse", 1.005, 0.06, True),  # larger, but by chance
        ("unless_worse", 1.005, 0.04, False),
        ("if_better", 1.0, 0.5, False),  # equal is not better
        ("if_better", 0.999, 0.5, True),
        ("if_better", 1.001, 0.5, False),
    ],
)
def test_the_two_policies(policy, rmse, p, promoted):
    """Against a champion with RMSE 1 on the same rows."""
    decision = decide(GOOD._replace(rmse=rmse), SERVED._replace(challenger_p_worse=p), Gate(policy=policy))
    assert decision.promoted is promoted
    assert "of v3 on the same rows" in decision.rules[-1].value


def test_a_champion_that_knows_the_test_rows_is_never_compared():
    """Both dates are named; the same cutoff is fine."""
    later = dt.date(2020, 1, 3)
    with pytest.raises(NotComparable, match="v3 with cutoff 2020-01-03, challenger with cutoff 2020-01-02"):
        decide(GOOD, SERVED._replace(cutoff=later), Gate())
    check_cutoffs(DAY, DAY, 3)
    check_cutoffs(later, DAY, 3)


def test_what_cannot_be_compared_is_refused_by_one_rule():
    """With the champion that stays."""
    decision = refuse(Gate(), 3, "market", "Synthetic prices replace no champion of real ones", "synthetic", "real")
    assert (decision.promoted, decision.champion) == (False, 3)
    assert decision.reason == "refused: market synthetic (limit: real)"


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "2.0000 JPY"), ("", "2.0000")])
def test_errors_name_their_currency(currency, amount):
    """Those of naive, of the champion and the limit; an unknown one is left out."""
    served = SERVED._replace(rmse=2.0)
    challenger = GOOD._replace(naive_rmse=2.0, currency=currency)
    rules = {rule.name: rule for rule in decide(challenger, served, Gate(policy="if_better")).rules}
    assert rules["rmse"].value == f"0.5000 x naive (1.0000 against {amount})"
    assert rules["champion"].value == f"1.0000 against {amount} of v3 on the same rows"
    assert rules["champion"].limit == f"below {amount}"
