"""Scores and their JSON."""

import json

from pipeline.evaluation.scores import FoldScores, Scores

SCORES = Scores(
    test_rows=608,
    rmse_usd=13.5,
    naive_rmse_usd=13.6,
    mae_usd=8.7,
    naive_mae_usd=8.8,
    mape_pct=1.9,
    naive_mape_pct=2.0,
    dm_p_value=0.1 + 0.2,
    coverage_80=0.8,
    coverage_95=0.95,
    width_80_usd=20.0,
    width_95_usd=40.0,
    rmse_over_naive=0.99,
    skill=0.01,
)
FOLDS = FoldScores(rmse_usd=1.0, naive_rmse_usd=2.0, skill=0.5, coverage_95=0.9)


def test_scores_are_read_back_to_the_last_digit():
    """With and without a walk-forward; a score that is undefined stays undefined."""
    for scores in (SCORES, SCORES.model_copy(update={"walk_forward": FOLDS})):
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
