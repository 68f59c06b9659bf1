"""Better or worse, by the name of a score."""

import pytest

from pipeline.evaluation.direction import is_amount, verdict
from pipeline.evaluation.scores import Scores


@pytest.mark.parametrize(
    ("name", "before", "after", "expected"),
    [
        ("rmse", 2.0, 1.0, "better"),
        ("rmse", 1.0, 2.0, "worse"),
        ("rmse", 1.0, 1.0, ""),
        ("rmse_over_naive", 1.0, 1.1, "worse"),
        ("skill", 0.1, 0.2, "better"),
        ("interval_skill_95", 0.2, 0.1, "worse"),
        ("walk_forward/skill", 0.1, 0.2, "better"),
        ("walk_forward/naive_rmse", 1.0, 2.0, ""),
        ("coverage_95", 0.99, 0.96, "better"),  # nearer to 95 %
        ("coverage_95", 0.94, 0.90, "worse"),
        ("coverage_80", 0.75, 0.85, ""),  # as far away
        ("pinball_pct", 0.5, 0.4, "better"),
        ("dm_p_value", 0.01, 0.5, "better"),
        ("naive_rmse", 1.0, 2.0, ""),
        ("references/garch/pinball_pct", 1.0, 2.0, ""),
        ("ewma_interval_score_95_pct", 1.0, 2.0, ""),
        ("width_95", 1.0, 2.0, ""),
        ("test_rows", 1.0, 2.0, ""),
    ],
)
def test_each_score_has_its_direction(name, before, after, expected):
    """Scores of rivals and counts have no direction."""
    assert verdict(name, before, after) == expected


def test_amounts_are_scores_in_the_currency():
    """Shares and ratios are not."""
    assert {name for name in Scores.model_fields if is_amount(name)} == {
        "rmse", "naive_rmse", "drift_rmse", "ar1_rmse", "network_rmse", "mae", "naive_mae", "width_80", "width_95",
    }  # fmt: skip
    assert is_amount("walk_forward/rmse")
