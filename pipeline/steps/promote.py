"""What is served: the gate between a trained network and its users, and the forecast of the next session."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import NotComparable
from pipeline.evaluation import metrics
from pipeline.forecasting import forecaster
from pipeline.outcome import Finding, Outcome, Release
from pipeline.serving import promotion
from pipeline.serving.promotion import Challenger, Champion, Decision
from pipeline.store.formats import arrays_of, frame_of, json_bytes, json_of
from pipeline.versions import versions

if TYPE_CHECKING:
    from pipeline.steps.unit import Unit
    from pipeline.tracking.versions import Version


_RECENT = 250  # sessions whose returns are compared with the champion's training data
_MAX_PSI = 0.25  # above it a distribution has changed, by custom (Siddiqi, "Credit Risk Scorecards", 2006)


def promote(unit: Unit) -> Outcome:
    """Decide whether the version just trained is served, beside the champion on the same rows."""
    plan, recipe = unit.plan, unit.recipe
    served = unit.registry.champion_before(unit.ticker, plan.dag_run_id)
    challenger = _challenger(unit)
    rescored = _rescored(unit, served) if served and served.synthetic == plan.synthetic else {}
    decision = _decision(unit, challenger, served, rescored)
    drift, findings = _drift(unit, served, rescored)
    if served and any(rule.name == "cutoff" for rule in decision.rules):
        findings += (_not_compared(decision),)
    told = {
        "promoted": decision.promoted,
        "reason": decision.reason,
        "policy": decision.policy,
        "champion": decision.champion,
        "rules": [rule._asdict() for rule in decision.rules],
        "champion_rmse_usd": rescored.get("rmse_usd"),
        "changes": _changes(unit, served) if served else {},
    }
    tags = {
        "decision": decision.reason,
        **{
            f"decision.{rule.name}": f"{'pass' if rule.passed else 'FAIL'}: {rule.value} (limit: {rule.limit})"
            for rule in decision.rules
        },
    }
    about = {
        "ticker": unit.ticker,
        "as_of": str(plan.as_of),
        "cutoff": recipe.cutoff,
        "synthetic": str(plan.synthetic).lower(),
        "source": plan.source,
        "preset": plan.preset_name,
        "dag_run_id": plan.dag_run_id,
    }
    return Outcome(
        files={"decision.json": json_bytes(told)},
        attach=("decision.json",),
        metrics={
            "promoted": float(decision.promoted),
            **({"champion_rmse_usd": rescored["rmse_usd"]} if rescored else {}),
            **drift,
        },
        tags=tags,
        release=Release(
            promoted=decision.promoted,
            champion=served.number if served else None,
            reason=decision.reason,
            tags=about | tags,
            description=_table(decision),
        ),
        findings=findings,
    )


def _challenger(unit: Unit) -> Challenger:
    scores, manifests = json_of(unit.read("metrics.json")), [unit.folder.manifest(n) for n in _CHECKED]
    found = [finding.severity for one in manifests if one for finding in one.outcome.findings]
    return Challenger(
        cutoff=dt.date.fromisoformat(unit.recipe.cutoff),
        rmse_usd=scores["rmse_usd"],
        naive_rmse_usd=scores["naive_rmse_usd"],
        p_worse_than_naive=scores["dm_p_value"],
        coverage_95=scores["coverage_95"],
        critical=found.count("critical"),
        warnings=found.count("warning"),
        fault=unit.plan.fault,
        synthetic=unit.plan.synthetic,
    )


_CHECKED = ("ingest", "validate")


def _rescored(unit: Unit, served: Version) -> dict[str, Any]:
    """Return how the champion forecasts the challenger's test rows; nothing when it was trained on some of them."""
    if served.cutoff > dt.date.fromisoformat(unit.recipe.cutoff):
        return {}
    arrays, tested = arrays_of(unit.read("scaled.npz")), frame_of(unit.read("predictions.parquet"))
    closes, sessions = arrays["closes"], arrays["sessions"]
    network, recipe = unit.registry.load(unit.ticker, served)
    then = np.flatnonzero(sessions == np.datetime64(recipe.cutoff))
    factor = closes[then[0]] / recipe.cutoff_close_usd if len(then) else 1.0
    rows = range(len(closes) - len(tested), len(closes))
    champion = forecaster.forecast(network, closes, rows, recipe.rebased(factor)).usd
    actual, challenger = tested["close_usd"].to_numpy(), tested["forecast_usd"].to_numpy()
    return {
        "rmse_usd": metrics.rmse(actual, champion),
        "p": metrics.diebold_mariano(actual, challenger, champion).p_worse,
        "return_edges": recipe.return_edges,
    }


def _decision(unit: Unit, challenger: Challenger, served: Version | None, rescored: dict[str, Any]) -> Decision:
    gate = unit.plan.gate
    if served is None or (served.synthetic and not challenger.synthetic):  # one of made-up prices is none to beat
        return promotion.decide(challenger, None, gate)
    if challenger.synthetic and not served.synthetic:
        return promotion.refuse(
            gate, served.number, "market", "Synthetic prices replace no champion of real ones",
            "synthetic prices", f"the market of v{served.number}",
        )  # fmt: skip
    try:
        promotion.check_cutoffs(challenger.cutoff, served.cutoff, served.number)
    except NotComparable as error:
        limit = f"cutoff not before {served.cutoff}, that of v{served.number}"
        return promotion.refuse(gate, served.number, "cutoff", error.rule, f"cutoff {challenger.cutoff}", limit)
    champion = Champion(served.number, served.cutoff, rescored["rmse_usd"], rescored["p"], served.synthetic)
    return promotion.decide(challenger, champion, gate)


def _not_compared(decision: Decision) -> Finding:
    (rule,) = decision.failed
    return Finding(
        rule=rule.says.rstrip("."),
        severity="warning",
        observed=rule.value,
        limit=rule.limit,
        todo="Nothing, for a run of the past: the champion stays. Else train with the champion's train_fraction.",
    )


def _drift(
    unit: Unit, served: Version | None, rescored: dict[str, Any]
) -> tuple[dict[str, float], tuple[Finding, ...]]:
    """Return by how much recent returns are distributed otherwise than those that the champion was trained on."""
    edges = np.array(rescored.get("return_edges", unit.recipe.return_edges))
    closes = arrays_of(unit.read("scaled.npz"))["closes"][-_RECENT - 1 :]
    psi = metrics.psi(np.full(len(edges) + 1, 1 / (len(edges) + 1)), np.diff(np.log(closes)), edges)
    who = f"v{served.number}'s" if rescored and served else "its own"
    finding = Finding(
        rule="Recent returns should be distributed as in the training data of what is served",
        severity="info",
        observed=f"PSI {psi:.2f} of the last {len(closes) - 1} returns against {who} training data",
        limit=f"at most {_MAX_PSI}",
        todo="Expect errors of another size than in training.",
    )
    return {"drift_psi": psi}, (finding,) if psi > _MAX_PSI else ()


def _changes(unit: Unit, served: Version) -> dict[str, dict[str, list[str | None]]]:
    """Return what is otherwise than in the champion's run: name -> [champion, challenger]."""
    params, tags = unit.registry.facts(served)
    ingested, plan = unit.folder.manifest("ingest"), unit.plan
    data = {"as_of": str(plan.as_of), "cutoff": unit.recipe.cutoff, "source": plan.source}
    data |= {name: ingested.outcome.tags.get(name, "") for name in ("first_session", "data_sha256")} if ingested else {}
    mine = {name: str(value) for name, value in plan.preset.model_dump().items()} | {"preset": plan.preset_name}
    theirs = {name.removeprefix("version."): value for name, value in tags.items() if name.startswith("version.")}
    return {
        "data": _differing({name: tags.get(name, served.tags.get(name)) for name in data}, data),
        "parameters": _differing({name: params.get(name) for name in mine}, mine),
        "versions": _differing({name: theirs.get(name) for name in versions()}, versions()),
    }


def _differing(before: dict[str, str | None], now: dict[str, str]) -> dict[str, list[str | None]]:
    return {name: [before[name], value] for name, value in now.items() if before[name] != value}


def _table(decision: Decision) -> str:
    lines = ["| rule | value | limit | verdict |", "|---|---|---|---|"]
    lines += [f"| {r.name} | {r.value} | {r.limit} | {'pass' if r.passed else 'FAIL'} |" for r in decision.rules]
    return "\n".join([decision.reason, "", *lines])
