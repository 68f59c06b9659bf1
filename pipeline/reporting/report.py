"""The HTML report of a run: one page without external files."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline.evaluation.amounts import amount_text
from pipeline.evaluation.scores import Scores
from pipeline.forecasting.rivals import REFERENCES
from pipeline.outcome import Finding
from pipeline.pages import render
from pipeline.prices.snapshot import FILE, SnapshotRecord
from pipeline.reporting.results import (
    LEVEL,
    SIGNIFICANT,
    Result,
    aggregate,
    ended_steps,
    result,
    results_of_effects,
)
from pipeline.reporting.verdict import interval_verdict, verdict
from pipeline.serving.promotion import Decision, Rule
from pipeline.serving.served import Served

if TYPE_CHECKING:
    from pipeline.errors import Damaged
    from pipeline.outcome import ForecastRecord, Manifest
    from pipeline.plan import Plan
    from pipeline.reporting.links import Links
    from pipeline.store.folder import Folder

_PICTURES = {
    "forecast.png": "actual and forecast closes with the 95 % interval; the last sessions with 50, 80 and 95 %",
    "intervals.png": "rolling coverage, PIT histogram and scores of the 95 % interval beside the references",
    "residuals.png": "errors of the forecasts and their distribution",
    "close.png": "all closes, train and test",
    "loss.png": "loss per epoch",
}
_SEVERITIES = ("critical", "warning", "info")
_UNFOLDED = 5  # a page of more tickers folds their sections
_HASH = 12  # characters of a hash that the page shows


class Change(NamedTuple):
    """A difference from the champion's run."""

    kind: str  # data, parameters or versions
    name: str
    champion: str | None
    challenger: str


class Picture(NamedTuple):
    """A picture and its alternative text."""

    about: str
    png: bytes

    @property
    def inlined(self) -> str:
        """Return the picture as a data URL."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


class Section(NamedTuple):
    """One ticker's part of the page."""

    result: Result
    findings: tuple[tuple[str, Finding], ...]  # each with its step; the worst first
    scores: Scores | None
    rules: tuple[Rule, ...]
    changes: tuple[Change, ...]
    recorded: ForecastRecord | None  # the forecast of the next session, as the ledger has it
    served: Served | None
    pictures: tuple[Picture, ...]


def section(ticker: str, folder: Folder, manifests: Sequence[Manifest | None], mlflow_run: str) -> Section:
    """Return one ticker's part of the page, read from its folder.

    Args:
        ticker: of the unit.
        folder: of the unit.
        manifests: of its steps, in order; None for a step that did not end.
        mlflow_run: id of its run.

    Raises:
        Damaged: when a file has changed since its step wrote it.
    """
    ended = ended_steps(manifests)
    writers = {name: manifest for manifest in ended for name in manifest.outputs}
    contents = {
        name: folder.read_written(name, writers[name])
        for name in ("metrics.json", "decision.json", "forecast.json", FILE, *_PICTURES)
        if name in writers
    }
    effects = results_of_effects(ended)
    scores = Scores.from_json(contents["metrics.json"]) if "metrics.json" in contents else None
    served = Served.from_json(contents["forecast.json"]) if "forecast.json" in contents else None
    currency = SnapshotRecord.from_json(contents[FILE]).currency if FILE in contents else ""
    decision = None
    if "decision.json" in contents:
        decision = Decision.from_json(contents["decision.json"]).as_released(effects.released)
    findings = [(manifest.step, finding) for manifest in ended for finding in manifest.outcome.findings]
    return Section(
        result=result(ticker, manifests, mlflow_run, scores, decision, served, currency),
        findings=tuple(sorted(findings, key=lambda one: _SEVERITIES.index(one[1].severity))),
        scores=scores,
        rules=decision.rules if decision else (),
        changes=_changes(decision) if decision else (),
        recorded=effects.recorded,
        served=served,
        pictures=tuple(Picture(about, contents[name]) for name, about in _PICTURES.items() if name in contents),
    )


def damaged_section(ticker: str, manifests: Sequence[Manifest | None], mlflow_run: str, error: Damaged) -> Section:
    """Return the part of a ticker with a damaged file: the reason and no figure.

    Args:
        ticker: of the unit.
        manifests: of its steps, in order.
        mlflow_run: id of its run.
        error: names the file.
    """
    row = result(ticker, manifests, mlflow_run)
    return Section(row._replace(reason=str(Finding.of(error))), (), None, (), (), None, None, ())


def _changes(decision: Decision) -> tuple[Change, ...]:
    return tuple(
        Change(kind, name, before and _shortened(name, before), _shortened(name, now))
        for kind, several in decision.changes
        for name, (before, now) in several.items()
    )


def page(
    plan: Plan,
    sections: Sequence[Section],
    notices: Sequence[Finding] = (),
    *,
    links: Links | None = None,
    run_pages: Mapping[str, str] | None = None,
) -> bytes:
    """Return the report as HTML, with the verdict first.

    Args:
        plan: of the run.
        sections: one per ticker.
        notices: findings about the whole run.
        links: to MLflow and Airflow.
        run_pages: each ticker's page in MLflow.
    """
    results = [one.result for one in sections]
    return render(
        "report.html.j2",
        plan=plan,
        sections=sections,
        notices=notices,
        verdict=verdict(results),
        intervals=interval_verdict(results),
        reference_names=REFERENCES,
        aggregate=aggregate(results),
        unfolded=len(sections) <= _UNFOLDED,
        significant=SIGNIFICANT,
        level=LEVEL,
        amount_text=amount_text,
        links=links,
        run_pages=run_pages or {},
    )


def _shortened(name: str, value: str) -> str:
    return value[:_HASH] if name.endswith("sha256") else value
