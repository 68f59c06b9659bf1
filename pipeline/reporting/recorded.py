"""One ticker of one run as the store has it, for a comparison with another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import Damaged
from pipeline.evaluation.scores import Scores
from pipeline.outcome import Manifest
from pipeline.prices import snapshot
from pipeline.reporting.results import ended_steps, results_of_effects
from pipeline.serving.promotion import Decision
from pipeline.store.folder import Folder
from pipeline.store.history import PastRun

if TYPE_CHECKING:
    import pandas as pd

_TAGS_OF_DATA = ("currency", "first_session")
_SUITE = "prices.json"


class Recorded(NamedTuple):
    """One ticker of one run. A mapping is empty if the ticker did not reach the step."""

    ticker: str
    run: PastRun
    data: Mapping[str, str]  # facts about the prices, by name
    snapshot: str  # hash of the prices; "" without one
    code: Mapping[str, str]  # versions of code, suite and libraries
    decision: Mapping[str, str]
    scores: Mapping[str, float]  # by their name in MLflow
    prices: Callable[[], pd.DataFrame]  # reads the snapshot; raises Damaged when it has changed since `ingest`


def recorded(store_url: str, ticker: str, run: PastRun, flow: Sequence[str]) -> Recorded:
    """Return one ticker of a run.

    Args:
        store_url: the store.
        ticker: of the unit.
        run: one of the store.
        flow: the names of the steps, in order.
    """
    folder = run.folder_of(store_url, ticker)
    names = set(folder.names())
    manifests = [folder.manifest(step) if f"{step}.manifest.json" in names else None for step in flow]
    ended = {one.step: one for one in ended_steps(manifests)}
    ingested = ended.get("ingest")
    tags = ingested.outcome.tags if ingested else {}
    return Recorded(
        ticker=ticker,
        run=run,
        data={"as of": str(run.as_of)} | {name.replace("_", " "): tags[name] for name in _TAGS_OF_DATA if name in tags},
        snapshot=snapshot.identity(ingested) if ingested else "",
        code=_code(ended),
        decision=_decision(folder, ended, flow[-1] if run.until == "forecast" else run.until),
        scores=Scores.from_json(folder.read("metrics.json")).metrics() if "evaluate" in ended_whole(ended) else {},
        prices=partial(_prices, store_url, ticker, folder, ingested),
    )


def _prices(store_url: str, ticker: str, folder: Folder, ingested: Manifest | None) -> pd.DataFrame:
    if ingested is None:
        raise Damaged("A comparison of prices needs two snapshots.", f"{folder.url}: none", "Compare other runs.")
    return snapshot.read(store_url, ticker, folder, ingested).prices


def ended_whole(ended: Mapping[str, Manifest]) -> set[str]:
    """Return the names of the steps that ended without a failure."""
    return {name for name, one in ended.items() if not one.failed}


def _code(ended: Mapping[str, Manifest]) -> dict[str, str]:
    """Return the versions of the last step: a retry with newer code repeats the steps after the failed one."""
    if not ended:
        return {}
    code = dict(list(ended.values())[-1].versions)
    validated = ended.get("validate")
    if validated and _SUITE in validated.inputs:
        code["suite"] = validated.inputs[_SUITE][:12]
    trained = ended.get("train")
    if trained and "device" in trained.outcome.tags:
        code["device"] = trained.outcome.tags["device"]
    return code


def _decision(folder: Folder, ended: Mapping[str, Manifest], last: str) -> dict[str, str]:
    """Return the findings, the gate's verdict and the effects, by name."""
    facts = {}
    for manifest in ended.values():
        for finding in manifest.outcome.findings:
            facts[f"{finding.severity}: {finding.rule}"] = finding.observed
    whole = ended_whole(ended)
    if last not in whole:
        step = list(ended)[-1] if ended else "plan"
        facts["result"] = f"failed in {step}" if step in ended and ended[step].failed else f"stopped after {step}"
        if step in ended and ended[step].waiting:
            facts["result"] = "waiting"
    if "promote" in whole:
        effects = results_of_effects(list(ended.values()))
        decision = Decision.from_json(folder.read("decision.json")).as_released(effects.released)
        facts["result"] = "promoted" if decision.promoted else "refused"
        facts |= {f"rule {one.name}": "holds" if one.passed else f"broken: {one.value}" for one in decision.rules}
        facts["compared with"] = f"v{decision.champion}" if decision.champion else "no champion"
        if effects.released:
            facts["version"] = f"v{effects.released.version}"
        if effects.recorded:
            made = effects.recorded
            facts["forecast"] = f"{made.forecast:.8g} for {made.session}, by v{made.version}"
        if effects.no_forecast:
            facts["no forecast"] = effects.no_forecast
    tags = {name: value for one in ended.values() for name, value in one.outcome.tags.items()}
    facts |= {name: tags[name] for name in ("candidate", "reference") if name in tags}
    return facts
