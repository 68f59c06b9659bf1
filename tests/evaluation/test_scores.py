"""Scores and their JSON."""

import json

from pipeline.evaluation.scores import FoldScores, ReferenceScores, Scores
from tests.support.old_names import old_json

SCORES = Scores(
    test_rows=608,
    rmse=13.5,
    naive_rmse=13.6,
    mae=8.7,
    naive_mae=8.8,
    mape_pct=1.9,
    naive_mape_pct=2.0,
    dm_p_value=0.1 + 0.2,
    coverage_80=0.8,
    coverage_95=0.95,
    width_80=20.0,
    width_95=40.0,
    rmse_over_naive=0.99,
    skill=0.01,
)
REFERENCES = {
    name: ReferenceScores(interval_score_80_pct=2.5, interval_score_95_pct=score, pinball_pct=0.3, coverage_95=0.94)
    for name, score in (("range", 3.5), ("garch", 3.6))
}
FOLDS = FoldScores(rmse=1.0, naive_rmse=2.0, skill=0.5, coverage_95=0.9)


def test_scores_are_read_back_to_the_last_digit():
    """With and without a walk-forward and references; a score that is undefined stays undefined."""
    for scores in (SCORES, SCORES.model_copy(update={"walk_forward": FOLDS, "references": REFERENCES})):
        assert Scores.from_json(scores.to_json()) == scores
    assert Scores.from_json(SCORES.to_json()).mase is None


def test_undefined_and_infinite_scores_are_no_metrics():
    """MLflow and JSON get finite numbers only; scores of a walk-forward have its prefix."""
    scores = SCORES.model_copy(update={"mase": float("nan"), "dm_statistic": float("inf"), "walk_forward": FOLDS})
    metrics = scores.metrics()
    assert "mase" not in metrics
    assert "dm_statistic" not in metrics
    assert metrics["walk_forward/skill"] == 0.5
    assert json.loads(scores.to_json()) == metrics


def test_the_scores_of_earlier_versions_are_read_to_the_last_digit():
    """Their amounts are called `..._usd`, those of a walk-forward too."""
    scores = SCORES.model_copy(update={"walk_forward": FOLDS})
    old = old_json(scores.to_json())
    assert json.loads(old)["rmse_usd"] == 13.5
    assert json.loads(old)["walk_forward/naive_rmse_usd"] == 2.0
    assert Scores.from_json(old) == scores


def test_no_score_names_a_currency():
    """The tag of the run does."""
    assert not [name for name in json.loads(SCORES.to_json()) if "usd" in name]
