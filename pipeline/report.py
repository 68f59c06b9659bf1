"""What a run came to: one row per ticker, and one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import json
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline.page import render

if TYPE_CHECKING:
    from pipeline.outcome import Manifest
    from pipeline.plan import Plan

PICTURES = ("forecast.png", "loss.png", "close.png")


class Result(NamedTuple):
    """One ticker of one run. Figures are None where the ticker did not get that far."""

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


def result(ticker: str, manifests: Sequence[Manifest | None], mlflow_run: str) -> Result:
    """Return what the manifests of a unit's steps, in order, add up to; None stands for a step that never ended."""
    done = [manifest for manifest in manifests if manifest]
    figures = {name: value for manifest in done for name, value in manifest.outcome.metrics.items()}
    findings = [finding for manifest in done for finding in manifest.outcome.findings]
    reasons = [str(finding) for finding in findings if finding.severity == "critical"]
    if len(done) < len(manifests) and not reasons:
        reasons = ["The run was stopped before this ticker was done. Run it again: finished steps are kept."]
    rows = figures.get("sessions")
    return Result(
        ticker=ticker,
        rows=None if rows is None else int(rows),
        test_rows=int(figures["test_rows"]) if "test_rows" in figures else None,
        rmse_usd=figures.get("rmse_usd"),
        naive_rmse_usd=figures.get("naive_rmse_usd"),
        skill=figures.get("skill"),
        seconds=sum(manifest.seconds for manifest in done),
        mlflow_run=mlflow_run,
        step=done[-1].step if done else "plan",
        reason=" | ".join(reasons),
        warnings=tuple(str(finding) for finding in findings if finding.severity == "warning"),
    )


def summary(results: Sequence[Result]) -> dict[str, float]:
    """Return the figures of the whole run, for MLflow's parent run."""
    skills = [one.skill for one in results if one.skill is not None]
    counts = {
        "tickers_done": float(sum(not one.reason for one in results)),
        "tickers_failed": float(sum(bool(one.reason) for one in results)),
    }
    return counts | ({"median_skill": statistics.median(skills)} if skills else {})


def page(plan: Plan, results: Sequence[Result], pictures: Mapping[str, Sequence[bytes]]) -> bytes:
    """Return the report as HTML: verdict first, nothing fetched from elsewhere.

    Args:
        plan: of the run.
        results: one per ticker.
        pictures: PNGs of the tickers that got to the end.
    """
    inlined = {
        ticker: [base64.b64encode(picture).decode() for picture in several] for ticker, several in pictures.items()
    }
    return render("report.html.j2", plan=plan, results=results, pictures=inlined, verdict=verdict(results))


def verdict(results: Sequence[Result]) -> str:
    """Return the run in one sentence."""
    done = [one for one in results if not one.reason]
    failed = [one.ticker for one in results if one.reason]
    better = [one.ticker for one in done if one.skill is not None and one.skill > 0]
    sentence = f"{len(done)} of {len(results)} ticker(s) done; better than naive: {', '.join(better) or 'none'}."
    return sentence + (f" Failed: {', '.join(failed)}." if failed else "")


def results_bytes(results: Sequence[Result]) -> bytes:
    """Return results as JSON."""
    return json.dumps([one._asdict() for one in results], indent=1).encode()


def results_of(data: bytes) -> list[Result]:
    """Return the results that `results_bytes` wrote."""
    return [Result(**{**one, "warnings": tuple(one["warnings"])}) for one in json.loads(data)]
