"""What a run came to: one row per ticker, and one HTML page that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.pages import render
from pipeline.reporting.results import LEVEL, SIGNIFICANT, Result, aggregate, ended_steps, result, verdict
from pipeline.serving.promotion import SUPERSEDED, Rule
from pipeline.store.folder import Folder
from pipeline.store.formats import json_of

if TYPE_CHECKING:
    from pipeline.outcome import Finding, Manifest
    from pipeline.plan import Plan
_PICTURES = {
    "forecast.png": "actual and forecast closes with the 95 % interval",
    "residuals.png": "errors of the forecasts and how they are distributed",
    "close.png": "all closes, train and test",
    "loss.png": "loss per epoch",
}
_SEVERITIES = ("critical", "warning", "info")
_OPEN = 5  # tickers that a page shows unfolded
_HASH = 12  # letters of a hash that tell two apart


class Change(NamedTuple):
    """What is otherwise than in the champion's run."""

    kind: str  # data, parameters or versions
    name: str
    champion: str | None
    challenger: str


class Picture(NamedTuple):
    """A picture and what it shows, for those who do not see it."""

    about: str
    png: bytes

    @property
    def inlined(self) -> str:
        """Return the picture as an address that holds it."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


class Section(NamedTuple):
    """What the page says of one ticker."""

    result: Result
    findings: tuple[tuple[str, Finding], ...]  # each with its step; the worst first
    scores: Mapping[str, float]  # metrics.json
    rules: tuple[Rule, ...]
    changes: tuple[Change, ...]
    served: Mapping[str, Any]  # forecast.json
    pictures: tuple[Picture, ...]


def section(
    ticker: str, folder: Folder, manifests: Sequence[Manifest | None], mlflow_run: str, came_to: str = ""
) -> Section:
    """Return what a unit's folder tells.

    Args:
        ticker: whose folder it is.
        folder: of the unit.
        manifests: of its steps, in order; None stands for a step that never ended.
        mlflow_run: id of its run.
        came_to: what the registry made of the decision, which may have come too late.
    """
    ended = ended_steps(manifests)
    written = {name for manifest in ended for name in manifest.outputs}

    def told(name: str) -> dict[str, Any]:
        return dict(json_of(folder.read(name))) if name in written else {}

    decision, served = told("decision.json"), told("forecast.json")
    if came_to.startswith(SUPERSEDED) and decision:
        says, limit = "The champion must still be the one that it was compared with", f"v{decision['champion']}"
        rule = Rule(SUPERSEDED, says, came_to.removeprefix(f"{SUPERSEDED}: "), limit, passed=False)
        decision |= {"promoted": False, "reason": came_to, "rules": [*decision["rules"], rule._asdict()]}
    found = [(manifest.step, finding) for manifest in ended for finding in manifest.outcome.findings]
    return Section(
        result=result(ticker, manifests, mlflow_run, decision, served),
        findings=tuple(sorted(found, key=lambda one: _SEVERITIES.index(one[1].severity))),
        scores=told("metrics.json"),
        rules=tuple(Rule(**rule) for rule in decision.get("rules", ())),
        changes=tuple(
            Change(kind, name, *(_short(name, value) for value in both))
            for kind, several in decision.get("changes", {}).items()
            for name, both in several.items()
        ),
        served=served,
        pictures=tuple(Picture(about, folder.read(name)) for name, about in _PICTURES.items() if name in written),
    )


def page(plan: Plan, sections: Sequence[Section]) -> bytes:
    """Return the report as HTML: verdict first, nothing fetched from elsewhere.

    Args:
        plan: of the run.
        sections: one per ticker.
    """
    results = [one.result for one in sections]
    return render(
        "report.html.j2",
        plan=plan,
        sections=sections,
        verdict=verdict(results),
        aggregate=aggregate(results),
        unfolded=len(sections) <= _OPEN,
        significant=SIGNIFICANT,
        level=LEVEL,
    )


def _short(name: str, value: str) -> str:
    return value[:_HASH] if value and name.endswith("sha256") else value
