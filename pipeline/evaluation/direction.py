"""Better or worse: the direction of each score, by its name."""

from __future__ import annotations

from typing import Literal

Verdict = Literal["better", "worse", ""]

# Scores of rivals describe the rows, and have no direction.
_OF_RIVALS = (
    "ar1_rmse",
    "drift_",
    "ewma_",
    "naive_",
    "reference_coverage",
    "reference_interval",
    "reference_pinball",
    "references/",
)
_HIGHER = ("skill", "direction_acc", "p_value", "good_windows_95")
_LOWER = ("rmse", "mae", "mape_pct", "mase", "rmse_over_naive", "interval_score", "pinball")
_LEVELS = {"coverage_50": 0.50, "coverage_80": 0.80, "coverage_95": 0.95}


def verdict(name: str, before: float, after: float) -> Verdict:
    """Return whether a score became better or worse; "" where it is equal, or neither can be said.

    Coverage is better nearer to the level of its interval.

    Args:
        name: of the score, as in metrics.json; a fold's begins with `walk_forward/`.
        before: the earlier value.
        after: the later value.
    """
    cost_before = _cost(name, before)
    cost_after = _cost(name, after)
    if cost_before is None or cost_after is None or cost_before == cost_after:
        return ""
    return "better" if cost_after < cost_before else "worse"


def is_amount(name: str) -> bool:
    """Return whether a score is in the currency of the prices, so that other rows or another currency change it."""
    last = name.rpartition("/")[2]
    return last in {"rmse", "mae"} or last.endswith(("_rmse", "_mae")) or last.startswith("width_")


def _cost(name: str, value: float) -> float | None:
    """Return a number that is lower where the score is better; None for a score without a direction."""
    if name.startswith(_OF_RIVALS):
        return None
    last = name.rpartition("/")[2]
    if last.startswith("naive_"):
        return None
    if last in _LEVELS:
        return round(abs(value - _LEVELS[last]), 12)  # 0.85 is as far from 0.8 as 0.75
    if any(part in last for part in _HIGHER):
        return -value
    return value if any(last.startswith(part) or last.endswith(part) for part in _LOWER) else None
