"""What a run came to: one row per ticker, and one HTML page that needs nothing else."""

from __future__ import annotations

import datetime as dt
import json
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.store.folder import Folder
from pipeline.store.formats import json_of

if TYPE_CHECKING:
    from pipeline.outcome import Manifest

# p below which a Diebold-Mariano test counts here: of 60 tickers, chance alone brings none or one. The gate asks of one
# ticker at a time, at a level of its own, so whoever says "significantly" says at which.
SIGNIFICANT = 0.01
LEVEL = f"at {100 * SIGNIFICANT:g} %"


class Result(NamedTuple):
    """One ticker of one run. Figures are None, and words empty, where the ticker did not get that far."""

    ticker: str
    rows: int | None  # sessions in the history
    test_rows: int | None  # forecasts that the errors are made of
    rmse_usd: float | None
    naive_rmse_usd: float | None
    skill: float | None
    seconds: float  # of all steps
    mlflow_run: str
    step: str  # the last one that ended
    reason: str  # why the ticker failed; empty when it did not
    warnings: tuple[str, ...]
    rmse_over_naive: float | None = None
    dm_p_value: float | None = None  # small: worse than naive
    coverage_95: float | None = None  # share of test rows inside the 95 % interval
    weight: float | None = None  # of the network against naive
    decision: str = ""  # promoted or refused
    decision_reason: str = ""
    refused_by: tuple[str, ...] = ()  # names of the rules
    champion: int | None = None  # the version that it was compared with
    forecast_session: str = ""  # the next session
    forecast_version: int | None = None  # whose forecast it is
    forecast_usd: float | None = None
    forecast_low_95_usd: float | None = None
    forecast_high_95_usd: float | None = None
    no_forecast: str = ""  # why there is none
    live_skill_20: float | None = None  # of the forecasts that were served for the last 20 sessions
    live_skill_60: float | None = None


class Aggregate(NamedTuple):
    """All tickers of a run together. Figures are None where no ticker has them."""

    promoted: int
    refused: int
    significantly_worse_1pct: int  # tickers with p below 1 % for being no worse than naive
    median_skill: float | None
    median_rmse_over_naive: float | None
    worst_rmse_over_naive: float | None
    median_coverage_95: float | None


def result(
    ticker: str,
    manifests: Sequence[Manifest | None],
    mlflow_run: str,
    decision: Mapping[str, Any],
    served: Mapping[str, Any],
) -> Result:
    """Return what a unit adds up to.

    Args:
        ticker: of the unit.
        manifests: of its steps, in order; None stands for a step that never ended.
        mlflow_run: id of its run.
        decision: decision.json; empty where there is none.
        served: forecast.json; empty where there is none.
    """
    ended = ended_steps(manifests)
    figures = {name: value for manifest in ended for name, value in manifest.outcome.metrics.items()}
    findings = [finding for manifest in ended for finding in manifest.outcome.findings]
    reasons = [str(finding) for finding in findings if finding.severity == "critical"]
    if len(ended) < len(manifests) and not reasons:
        reasons = ["The run was stopped before this ticker was done. Run it again: finished steps are kept."]
    made, live = served.get("forecast") or {}, served.get("live", {})
    return Result(
        ticker=ticker,
        rows=_count(figures.get("sessions")),
        test_rows=_count(figures.get("test_rows")),
        rmse_usd=figures.get("rmse_usd"),
        naive_rmse_usd=figures.get("naive_rmse_usd"),
        skill=figures.get("skill"),
        seconds=sum(manifest.seconds for manifest in ended),
        mlflow_run=mlflow_run,
        step=ended[-1].step if ended else "plan",
        reason=" | ".join(reasons),
        warnings=tuple(str(finding) for finding in findings if finding.severity == "warning"),
        rmse_over_naive=figures.get("rmse_over_naive"),
        dm_p_value=figures.get("dm_p_value"),
        coverage_95=figures.get("coverage_95"),
        weight=figures.get("weight"),
        decision=("promoted" if decision["promoted"] else "refused") if decision else "",
        decision_reason=decision.get("reason", ""),
        refused_by=tuple(rule["name"] for rule in decision.get("rules", ()) if not rule["passed"]),
        champion=decision.get("champion"),
        forecast_session=made.get("session", ""),
        forecast_version=made.get("version"),
        forecast_usd=made.get("forecast_usd"),
        forecast_low_95_usd=made.get("low_95_usd"),
        forecast_high_95_usd=made.get("high_95_usd"),
        no_forecast=served.get("why_not", ""),
        live_skill_20=_number((live.get("20") or {}).get("skill")),
        live_skill_60=_number((live.get("60") or {}).get("skill")),
    )


def skills(as_of: dt.date, skill: float | None, earlier: Mapping[dt.date, Folder]) -> dict[dt.date, float]:
    """Return the skill of earlier runs and of this one, by the session that each was as of; none without this one.

    Args:
        as_of: of this run.
        skill: of this run.
        earlier: folders of earlier runs of the same ticker, oldest first.
    """
    if skill is None:
        return {}
    before = {day: json_of(folder.read("metrics.json")).get("skill") for day, folder in earlier.items()}
    return {day: value for day, value in before.items() if value is not None} | {as_of: skill}


def aggregate(results: Sequence[Result]) -> Aggregate:
    """Return the figures of all tickers together."""
    ratios = [one.rmse_over_naive for one in results if one.rmse_over_naive is not None]
    return Aggregate(
        promoted=sum(one.decision == "promoted" for one in results),
        refused=sum(one.decision == "refused" for one in results),
        significantly_worse_1pct=sum(one.dm_p_value is not None and one.dm_p_value < SIGNIFICANT for one in results),
        median_skill=_median([one.skill for one in results]),
        median_rmse_over_naive=_median(ratios),
        worst_rmse_over_naive=max(ratios, default=None),
        median_coverage_95=_median([one.coverage_95 for one in results]),
    )


def summary(results: Sequence[Result]) -> dict[str, float]:
    """Return the figures of the whole run, for MLflow's parent run."""
    counts = {
        "tickers_done": float(sum(not one.reason for one in results)),
        "tickers_failed": float(sum(bool(one.reason) for one in results)),
    }
    figures = aggregate(results)._asdict()
    return counts | {name: float(value) for name, value in figures.items() if value is not None}


def verdict(results: Sequence[Result]) -> str:
    """Return the run in one sentence."""
    figures, failed = aggregate(results), [one.ticker for one in results if one.reason]
    parts = [f"{len(results) - len(failed)} of {len(results)} ticker(s) done"]
    if figures.promoted or figures.refused:
        rules = Counter(name for one in results for name in one.refused_by)
        why = ", ".join(f"{name} {count}" for name, count in rules.most_common())
        parts.append(f"promoted: {figures.promoted}, refused: {figures.refused}{f' (by rule: {why})' * bool(why)}")
    scored = [one.skill for one in results if one.skill is not None]
    if scored:
        # The test gives p for "worse"; close to 1 it says "better". Equal to naive in every row is p 1, too.
        surely = sum(
            one.dm_p_value > 1 - SIGNIFICANT and one.skill > 0 for one in results if one.dm_p_value and one.skill
        )
        better, equal = sum(skill > 0 for skill in scored), scored.count(0)
        parts.append(
            f"better than naive: {better} (significantly {LEVEL}: {surely}), equal: {equal}, "
            f"worse: {len(scored) - better - equal} (significantly {LEVEL}: {figures.significantly_worse_1pct})"
        )
    weights = [one.weight for one in results if one.weight is not None]
    if any(weight < 1 for weight in weights):  # else the preset does not ask whether to follow it
        followed = sum(weight > 0 for weight in weights)
        parts.append(f"the network is worth following for {followed} of {len(weights)}, the others forecast as naive")
    return f"{'; '.join(parts)}." + (f" Failed: {', '.join(failed)}." if failed else "")


def results_bytes(results: Sequence[Result]) -> bytes:
    """Return results as JSON."""
    return json.dumps([one._asdict() for one in results], indent=1).encode()


def results_of(data: bytes) -> list[Result]:
    """Return the results that `results_bytes` wrote."""
    results = [Result(**one) for one in json.loads(data)]  # JSON has lists only
    return [one._replace(warnings=tuple(one.warnings), refused_by=tuple(one.refused_by)) for one in results]


def ended_steps(manifests: Sequence[Manifest | None]) -> list[Manifest]:
    """Return the manifests up to the first that failed: what comes after it is of an earlier try."""
    ended = [manifest for manifest in manifests if manifest]
    failed = [number for number, manifest in enumerate(ended, 1) if manifest.failed]
    return ended[: failed[0]] if failed else ended


def _count(value: float | None) -> int | None:
    return None if value is None else int(value)


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
