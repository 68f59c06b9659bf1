"""The verdict on a run: one sentence about its forecasts beside naive, and one about its intervals."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pipeline.reporting.results import LEVEL, SIGNIFICANT, aggregate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.reporting.results import Result

_LEAST_SHOWN = 0.0005  # of a skill: less is 0.0 %


def verdict(results: Sequence[Result]) -> str:
    """Return the run in one sentence."""
    failed = [one.ticker for one in results if one.reason]
    waiting = [one.ticker for one in results if one.state == "waiting"]
    parts = [
        f"{len(results) - len(failed) - len(waiting)} of {len(results)} ticker(s) done",
        _decisions(results),
        _against_naive(results),
        _use_of_networks(results),
    ]
    sentence = f"{'; '.join(filter(None, parts))}."
    if failed:
        sentence += f" Failed: {', '.join(failed)}."
    if waiting:
        sentence += f" Waiting for a decision: {', '.join(waiting)}."
    return sentence


def _decisions(results: Sequence[Result]) -> str:
    figures = aggregate(results)
    if not figures.promoted and not figures.refused:
        return ""
    counts = Counter(name for one in results for name in one.refused_by)
    rules = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    by_rule = f" (by rule: {rules})" if rules else ""
    return f"promoted: {figures.promoted}, refused: {figures.refused}{by_rule}"


def _against_naive(results: Sequence[Result]) -> str:
    skills = [one.skill for one in results if one.skill is not None]
    if not skills:
        return ""
    # The test is one-sided for "worse", so p near 1 means "better". A forecast equal to naive in every row has p 1 too.
    significantly_better = sum(_is_significantly_better(one) for one in results)
    significantly_worse = aggregate(results).significantly_worse_1pct
    better = sum(skill > 0 for skill in skills)
    equal = skills.count(0)
    worse = len(skills) - better - equal
    return (
        f"better than naive: {better} (significantly {LEVEL}: {significantly_better}), equal: {equal}, "
        f"worse: {worse} (significantly {LEVEL}: {significantly_worse})"
    )


def _is_significantly_better(one: Result) -> bool:
    if one.dm_p_value is None or one.skill is None:
        return False
    return one.dm_p_value > 1 - SIGNIFICANT and one.skill > 0


def _use_of_networks(results: Sequence[Result]) -> str:
    """Return how many networks have a weight above 0; "" if every weight is 1, as in presets without weights."""
    weights = [one.weight for one in results if one.weight is not None]
    if all(weight == 1 for weight in weights):
        return ""
    used = sum(weight > 0 for weight in weights)
    return f"the network moves the forecast of {used} of {len(weights)}, the others forecast as naive"


def interval_verdict(results: Sequence[Result]) -> str:
    """Return what the intervals and the network in them are worth, in one sentence; "" without interval scores."""
    figures = aggregate(results)
    skill, reference = figures.median_interval_skill_95, figures.median_reference_skill_95
    if skill is None or reference is None or figures.median_coverage_95 is None:
        return ""
    scored = [one for one in results if one.interval_skill_95 is not None]
    medians = f" (medians of {len(scored)} tickers)" if len(scored) > 1 else ""
    sentence = (
        f"95 % intervals score {_compared(skill)} the EWMA of closes at {figures.median_coverage_95:.1%} "
        f"coverage{medians}"
    )
    alone = [one.candidate for one in scored if one.candidate not in {"", "network"}]
    if len(alone) == len(scored):
        return f"{sentence}; the network broke a rule, and the candidate is {' and '.join(sorted(set(alone)))}."
    sentence += f"; {_beside_reference(reference)}"
    return f"{sentence}, which took its place for {len(alone)} of {len(scored)}." if alone else f"{sentence}."


def _compared(skill: float) -> str:
    if abs(skill) < _LEAST_SHOWN:
        return "like"
    if skill <= -1:
        return f"{1 - skill:.1f} times as much as"
    return _per_cent(skill) + (" better than" if skill > 0 else " worse than")


def _beside_reference(skill: float) -> str:
    if abs(skill) < _LEAST_SHOWN:
        return "the network adds nothing to the best reference"
    if skill > 0:
        return f"the network adds {_per_cent(skill)} to the best reference"
    return f"they score {_compared(skill)} the best reference"


def _per_cent(skill: float) -> str:
    return f"{100 * abs(skill):.1f} %"
