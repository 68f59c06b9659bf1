"""The model card of a ticker: the description of its registered model, in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.settings.currency import UNKNOWN

if TYPE_CHECKING:
    from pipeline.evaluation.scores import Scores
    from pipeline.plan import Plan

_USE = (
    "One forecast per session, made after its close, of the next session's close of this ticker, with intervals. "
    "Input: daily open, high, low and close, split-adjusted, from the source of the training or one that agrees."
)
_LIMITS = (
    "No advice to trade. The level of the next close could not be predicted in our tests: skill is near 0, and the "
    "worth is in the intervals. They assume that the next move resembles the last months; a split, a halt or a "
    "takeover breaks that. Coverage holds over many sessions, not for a single one."
)


def model_card(plan: Plan, ticker: str, *, first_session: str, cutoff: str, currency: str, scores: Scores) -> str:
    """Return data, cutoff, figures, intended use and limits of a version.

    Args:
        plan: of the run that made it.
        ticker: of the model.
        first_session: the oldest session of its prices.
        cutoff: the last session that its training saw.
        currency: of its prices; "" if it is unknown.
        scores: on its test rows.
    """
    synthetic = " **Synthetic prices: no evidence about any market.**" if plan.synthetic else ""
    rows = {
        "data": f"source {plan.source}, {first_session} to {plan.as_of}, currency {currency or UNKNOWN}.{synthetic}",
        "cutoff": f"{cutoff}, the last session in the training data",
        "figures": _figures(scores),
        "intended use": _USE,
        "limits": _LIMITS,
    }
    lines = [f"Forecasts the next close of **{ticker}**, preset `{plan.preset_name}`.", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {text} |" for name, text in rows.items()]
    ending = "The alias `champion` names the version that is served. Each version's description has the gate's verdict."
    return "\n".join([*lines, "", f"Written for the run of {plan.as_of}. {ending}"])


def _figures(scores: Scores) -> str:
    parts = [f"{scores.test_rows} test rows", f"skill {scores.skill:+.4f} against naive"]
    if scores.interval_skill_95 is not None:
        parts.append(f"95 % interval skill {scores.interval_skill_95:+.3f} against the EWMA of closes")
    parts.append(f"{scores.coverage_95:.1%} of closes inside the 95 % interval")
    return ", ".join(parts)
