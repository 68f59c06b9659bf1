"""The results of a run: one row per ticker, and their aggregate."""

from __future__ import annotations

import datetime as dt
import json
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline.old_names import present_names
from pipeline.outcome import Results
from pipeline.serving.served import DECAY
from pipeline.store.folder import Folder
from pipeline.store.formats import json_of

if TYPE_CHECKING:
    from pipeline.evaluation.scores import Scores
    from pipeline.outcome import Manifest
    from pipeline.serving.promotion import Decision
    from pipeline.serving.served import Served

# The verdict counts a Diebold-Mariano test below this p: among 60 tickers, chance gives 0.6 such tests on average. The
# gate tests one ticker at a level of its own, so each "significantly" names its level.
SIGNIFICANT = 0.01
LEVEL = f"at {100 * SIGNIFICANT:g} %"


class Result(NamedTuple):
    """One ticker of one run. A figure is None, and a text empty, if the ticker did not reach that step."""

    ticker: str
    rows: int | None  # sessions in the history
    test_rows: int | None  # forecasts that the errors are measured on
    rmse: float | None
    naive_rmse: float | None
    skill: float | None
    seconds: float  # of all steps
    mlflow_run: str
    step: str  # the last one that ended
    reason: str  # of the failure; empty for a ticker that is done
    warnings: tuple[str, ...]
    currency: str = ""  # of errors and forecast; "" if it is unknown
    rmse_over_naive: float | None = None
    dm_p_value: float | None = None  # small: worse than naive
    coverage_95: float | None = None  # share of test rows inside the 95 % interval
    interval_score_95_pct: float | None = None  # mean, in per cent of the last close
    pinball_pct: float | None = None
    interval_skill_95: float | None = None  # 1 - score / score of the EWMA of closes, calibrated once
    reference_skill_95: float | None = None  # 1 - score / score of the best reference
    reference: str = ""  # the reference with the best score before the test rows
    candidate: str = ""  # network, or the reference that took its place
    weight: float | None = None  # of the network against naive
    decision: str = ""  # promoted or refused
    decision_reason: str = ""
    refused_by: tuple[str, ...] = ()  # names of the rules
    champion: int | None = None  # the version that it was compared with
    forecast_session: str = ""  # the next session
    forecast_version: int | None = None  # the version that made it
    forecast: float | None = None
    forecast_low_95: float | None = None
    forecast_high_95: float | None = None
    forecast_quantiles: tuple[float, ...] = ()  # 5, 10, ..., 95 %
    no_forecast: str = ""  # reason of a missing forecast
    ledger_position: int | None = None  # of the newest row of the ticker's ledger
    ledger_row: str = ""  # its session and version
    ledger_hash: str = ""
    live_skill_20: float | None = None  # of the forecasts that were served for the last 20 sessions
    live_skill_60: float | None = None
    live_interval_skill_60: float | None = None
    tracking_seconds: float | None = None  # that its steps waited for MLflow; reads are a part of `seconds`
    live_coverage_95_60: float | None = None
    served_version: int | None = None  # the champion after the gate's decision
    served_trained: str = ""  # last session of the night on which its weights were trained
    served_cutoff: str = ""  # last session that its weights have seen
    waiting: str = ""  # the question to a person; empty for a ticker that does not wait

    @property
    def state(self) -> str:
        """Return failed or waiting, or the decision of the gate; "" if it was not judged."""
        if self.reason:
            return "failed"
        return "waiting" if self.waiting else self.decision


class Aggregate(NamedTuple):
    """All tickers of a run together. A figure is None if no ticker has it."""

    promoted: int
    refused: int
    significantly_worse_1pct: int  # tickers with p below 1 % against naive
    median_skill: float | None
    median_rmse_over_naive: float | None
    worst_rmse_over_naive: float | None
    median_coverage_95: float | None
    median_interval_skill_95: float | None = None
    worst_interval_skill_95: float | None = None
    median_reference_skill_95: float | None = None


def result(
    ticker: str,
    manifests: Sequence[Manifest | None],
    mlflow_run: str,
    scores: Scores | None = None,
    decision: Decision | None = None,
    served: Served | None = None,
    currency: str = "",
) -> Result:
    """Return one row of the table of results.

    Args:
        ticker: of the unit.
        manifests: of its steps, in order; None for a step that did not end.
        mlflow_run: id of its run.
        scores: of the test rows; None if the unit was not evaluated.
        decision: of the gate, as carried out; None if the unit did not reach `promote`.
        served: scores of served forecasts; None if the unit did not reach `forecast`.
        currency: of the prices; "" if it is unknown.
    """
    ended = ended_steps(manifests)
    measured = {name: value for manifest in ended for name, value in manifest.outcome.metrics.items()}
    findings = [finding for manifest in ended for finding in manifest.outcome.findings]
    reasons = [str(finding) for finding in findings if finding.severity == "critical"]
    if len(ended) < len(manifests) and not reasons:
        reasons = ["The run was stopped before this ticker was done. Run it again: finished steps are kept."]
    waits = bool(ended) and ended[-1].waiting
    effects = results_of_effects(ended)
    tags = {name: value for manifest in ended for name, value in manifest.outcome.tags.items()}
    row = Result(
        ticker=ticker,
        rows=_whole_number(measured.get("sessions")),
        test_rows=None,
        rmse=None,
        naive_rmse=None,
        skill=None,
        seconds=sum(manifest.seconds for manifest in ended),
        mlflow_run=mlflow_run,
        step=ended[-1].step if ended else "plan",
        reason="" if waits else " | ".join(reasons),
        waiting=" | ".join(reasons) if waits else "",
        warnings=tuple(str(finding) for finding in findings if finding.severity == "warning"),
        weight=measured.get("weight"),
        currency=currency,
        no_forecast=effects.no_forecast,
        reference=tags.get("reference", ""),
        candidate=tags.get("candidate", ""),
    )
    if scores:
        row = row._replace(
            test_rows=scores.test_rows,
            rmse=scores.rmse,
            naive_rmse=scores.naive_rmse,
            skill=scores.skill,
            rmse_over_naive=scores.rmse_over_naive,
            dm_p_value=scores.dm_p_value,
            coverage_95=scores.coverage_95,
            interval_score_95_pct=scores.interval_score_95_pct,
            pinball_pct=scores.pinball_pct,
            interval_skill_95=scores.interval_skill_95,
            reference_skill_95=scores.reference_skill_95,
        )
    if decision:
        row = row._replace(
            decision="promoted" if decision.promoted else "refused",
            decision_reason=decision.reason,
            refused_by=tuple(rule.name for rule in decision.failed),
            champion=decision.champion,
        )
    if effects.recorded:
        row = row._replace(
            forecast_session=str(effects.recorded.session),
            forecast_version=effects.recorded.version,
            forecast=effects.recorded.forecast,
            forecast_low_95=effects.recorded.low_95,
            forecast_high_95=effects.recorded.high_95,
            forecast_quantiles=effects.recorded.quantiles,
        )
    if effects.ledger_head:
        row = row._replace(
            ledger_position=effects.ledger_head.position,
            ledger_row=effects.ledger_head.row,
            ledger_hash=effects.ledger_head.hash,
        )
    if served:
        row = row._replace(
            live_skill_20=_live(served, 20, "skill"),
            live_skill_60=_live(served, 60, "skill"),
            live_interval_skill_60=_live(served, 60, "interval_skill_95"),
            live_coverage_95_60=_live(served, 60, "coverage_95"),
        )
    if served and served.champion:
        row = row._replace(
            served_version=served.champion.version,
            served_trained=str(served.champion.trained),
            served_cutoff=str(served.champion.cutoff),
        )
    return row


def results_of_effects(ended: Sequence[Manifest]) -> Results:
    """Return the results of all effects of a unit together."""
    results = [manifest.results for manifest in ended if manifest.results]
    return Results(
        released=next((one.released for one in results if one.released), None),
        recorded=next((one.recorded for one in results if one.recorded), None),
        no_forecast=next((one.no_forecast for one in results if one.no_forecast), ""),
        ledger_head=next((one.ledger_head for one in results if one.ledger_head), None),
    )


def _live(served: Served, sessions: int, score: str) -> float | None:
    window = served.live.get(str(sessions))
    return getattr(window, score) if window else None


def is_decayed(one: Result) -> bool:
    """Return whether the served forecasts of a ticker have crossed a limit of decay."""
    return any(warning.startswith(DECAY) for warning in one.warnings)


def skills(as_of: dt.date, skill: float | None, earlier: Mapping[dt.date, Folder]) -> dict[dt.date, float]:
    """Return the skill of earlier runs and of this one, by their `as_of`; empty if this run has no skill.

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
    interval_skills = [one.interval_skill_95 for one in results]
    return Aggregate(
        promoted=sum(one.decision == "promoted" for one in results),
        refused=sum(one.decision == "refused" for one in results),
        significantly_worse_1pct=sum(one.dm_p_value is not None and one.dm_p_value < SIGNIFICANT for one in results),
        median_skill=_median([one.skill for one in results]),
        median_rmse_over_naive=_median(ratios),
        worst_rmse_over_naive=max(ratios, default=None),
        median_coverage_95=_median([one.coverage_95 for one in results]),
        median_interval_skill_95=_median(interval_skills),
        worst_interval_skill_95=min((one for one in interval_skills if one is not None), default=None),
        median_reference_skill_95=_median([one.reference_skill_95 for one in results]),
    )


def summary(results: Sequence[Result]) -> dict[str, float]:
    """Return the figures of the whole run, for MLflow's parent run."""
    counts = {
        "tickers_done": float(sum(not one.reason and not one.waiting for one in results)),
        "tickers_failed": float(sum(bool(one.reason) for one in results)),
    }
    figures = aggregate(results)._asdict()
    waited = [one.tracking_seconds for one in results if one.tracking_seconds is not None]
    if waited:
        counts["tracking_seconds"] = sum(waited)
    return counts | {name: float(value) for name, value in figures.items() if value is not None}


def results_of(data: bytes) -> list[Result]:
    """Return the rows of a results.json; that of an earlier version is a list of them."""
    content = json.loads(data)
    rows = content["tickers"] if isinstance(content, Mapping) else content
    results = [Result(**present_names(one)) for one in rows]  # tuples become lists in JSON
    return [
        one._replace(
            warnings=tuple(one.warnings),
            refused_by=tuple(one.refused_by),
            forecast_quantiles=tuple(one.forecast_quantiles),
        )
        for one in results
    ]


def ended_steps(manifests: Sequence[Manifest | None]) -> list[Manifest]:
    """Return the manifests up to the first that failed or waits. Later manifests belong to an earlier try."""
    ended = [manifest for manifest in manifests if manifest]
    failed = [number for number, manifest in enumerate(ended, 1) if manifest.failed]
    return ended[: failed[0]] if failed else ended


def _whole_number(value: float | None) -> int | None:
    return None if value is None else int(value)


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
