"""Step `promote`: the gate between a trained network and its users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pipeline.arrays import Floats
from pipeline.errors import NotComparable
from pipeline.evaluation import metrics
from pipeline.evaluation.scores import Scores
from pipeline.outcome import Effects, Finding, Outcome, Release
from pipeline.serving import promotion
from pipeline.serving.model_card import model_card
from pipeline.serving.promotion import Challenger, Champion, Changes, Decision
from pipeline.settings.currency import UNKNOWN
from pipeline.steps import champion
from pipeline.store.formats import arrays_of
from pipeline.tracking import champion_record
from pipeline.tracking.versions import LAST_TRAINING, TRAINED, WEIGHTS_OF
from pipeline.versions import versions

if TYPE_CHECKING:
    from pipeline.settings.gate import Gate
    from pipeline.steps.unit import Unit
    from pipeline.tracking.versions import Version

_RECENT = 250  # sessions whose returns are compared with the champion's training data
_MAX_PSI = 0.25  # above it a distribution has changed, by custom (Siddiqi, "Credit Risk Scorecards", 2006)
_CHECKED = ("ingest", "validate")


def promote(unit: Unit) -> Outcome:
    """Decide whether the version just trained is served, beside the champion on the same rows.

    Registering the version and moving the alias are an effect: the runner performs it.
    """
    plan = unit.plan
    served = unit.registry.champion_before(unit.ticker, plan.dag_run_id)
    challenger = _challenger(unit)
    compared = served is not None and champion.is_comparable(unit, served)
    stays = served is not None and champion.can_continue(unit, served)
    loaded = champion.load(unit, served) if served and (compared or stays) else None
    is_spoilt = loaded is not None and loaded.is_spoilt
    if is_spoilt:
        compared = stays = False
    rescored = champion.rescored(unit, loaded) if loaded and compared else None
    met = _recorded(unit, served, loaded)
    decision = decided(plan.gate, challenger, None if is_spoilt else served, rescored).model_copy(
        update={
            "champion_rmse": rescored.rmse if rescored else None,
            "changes": _changes(unit, served, met.record) if served else Changes(),
            "answer": unit.answer,
        }
    )
    returns = _recent_returns(unit)
    judge = loaded.evaluated.recipe if loaded and compared else unit.recipe
    psi = _drift_psi(returns, judge.return_edges)
    findings = _drift_findings(psi, len(returns), served if compared else None)
    if served and any(rule.name == "cutoff" for rule in decision.rules):
        findings += (_not_compared(decision),)
    if served and is_spoilt:
        findings += (_spoilt(served),)
    tags = _decision_tags(decision)
    continued = champion.continued(unit, loaded) if loaded and stays and not decision.promoted else None
    return Outcome(
        files={
            "decision.json": decision.to_json(),
            champion_record.FILE: met.record.to_json(),
            **(continued.files if continued else {}),
        },
        shared=met.weights,
        attach=("decision.json", champion_record.FILE),
        metrics={
            "promoted": float(decision.promoted),
            **({"champion_rmse": rescored.rmse} if rescored else {}),
            "drift_psi": psi,
        },
        tags=tags,
        effects=Effects(
            release=Release(
                promoted=decision.promoted,
                champion=served.number if served else None,
                reason=decision.reason,
                tags=_version_tags(unit) | tags,
                description=_table(decision) + _origin(unit),
                card=_card(unit),
            ),
            continuation=continued.effect if continued else None,
        ),
        findings=findings,
    )


def _challenger(unit: Unit) -> Challenger:
    scores = Scores.from_json(unit.read("metrics.json"))
    manifests = [unit.manifests[name] for name in _CHECKED]
    found = [finding.severity for one in manifests if one for finding in one.outcome.findings]
    evaluated = unit.manifests["evaluate"]
    tags = evaluated.outcome.tags if evaluated else {}
    compared = unit.plan.preset.output == "distribution"
    challenger = promotion.challenger_of(
        scores, unit.recipe.cutoff, reference=tags.get("reference", "") if compared else ""
    )
    return challenger._replace(
        critical=found.count("critical"),
        warnings=found.count("warning"),
        fault=unit.plan.fault,
        synthetic=unit.plan.synthetic,
        currency=unit.currency,
        is_reference=tags.get("candidate", "network") != "network",
    )


def decided(gate: Gate, challenger: Challenger, served: Version | None, rescored: champion.Rescored | None) -> Decision:
    """Return the gate's decision on a challenger.

    Args:
        gate: the limits.
        challenger: with its findings.
        served: the champion; None where no version is served.
        rescored: the champion on the challenger's test rows; None where it is not comparable.
    """
    if served is None or (served.synthetic and not challenger.synthetic):  # real prices beat synthetic ones
        return promotion.decide(challenger, None, gate)
    if challenger.synthetic and not served.synthetic:
        return promotion.refuse(
            gate, served.number, "market", "Synthetic prices replace no champion of real ones",
            "synthetic prices", f"the market of v{served.number}",
        )  # fmt: skip
    try:
        promotion.check_cutoffs(challenger.cutoff, served.evaluation_cutoff, served.number)
    except NotComparable as error:
        limit = f"cutoff not before {served.evaluation_cutoff}, that of v{served.number}"
        return promotion.refuse(gate, served.number, "cutoff", error.rule, f"cutoff {challenger.cutoff}", limit)
    assert rescored is not None  # noqa: S101 - the cutoffs were compared
    scores = Champion(
        version=served.number,
        cutoff=served.evaluation_cutoff,
        rmse=rescored.rmse,
        challenger_p_worse=rescored.challenger_p_worse,
        synthetic=served.synthetic,
        interval_p_worse=rescored.interval_p_worse,
    )
    return promotion.decide(challenger, scores, gate)


def _not_compared(decision: Decision) -> Finding:
    (rule,) = decision.failed
    return Finding(
        rule=rule.says.rstrip("."),
        severity="warning",
        observed=rule.value,
        limit=rule.limit,
        todo="Nothing, for a run of the past: the champion stays. Else train with the champion's train_fraction.",
    )


def _spoilt(served: Version) -> Finding:
    return Finding(
        rule="The network of a champion's evaluation must not have seen its test rows",
        severity="info",
        observed=f"v{served.number}: the network that is served",
        limit="a network of its own",
        todo="Nothing: an earlier version of Closecast left it so. Tonight's version was judged as the first one.",
    )


def _drift_psi(returns: Floats, deciles: tuple[float, ...]) -> float:
    """Return the population stability index of recent returns against training data with these deciles."""
    share = 1 / (len(deciles) + 1)
    return metrics.psi(np.full(len(deciles) + 1, share), returns, np.array(deciles))


def _drift_findings(psi: float, rows: int, compared: Version | None) -> tuple[Finding, ...]:
    if psi <= _MAX_PSI:
        return ()
    owner = f"v{compared.number}'s" if compared else "its own"
    finding = Finding(
        rule="Recent returns should be distributed as in the training data of the served version",
        severity="info",
        observed=f"PSI {psi:.2f} of the last {rows} returns against {owner} training data",
        limit=f"at most {_MAX_PSI}",
        todo="Expect errors of another size than in training.",
    )
    return (finding,)


def _recent_returns(unit: Unit) -> Floats:
    closes: Floats = arrays_of(unit.read("scaled.npz"))["closes"][-_RECENT - 1 :]
    return np.diff(np.log(closes))


def _recorded(unit: Unit, served: Version | None, loaded: champion.Champion | None) -> champion_record.Recorded:
    """Return the champion as this night meets it, so that the night can be made again."""
    params, tags = unit.registry.facts(served) if served else ({}, {})
    networks = (loaded.served, loaded.evaluated_then) if loaded else (None, None)
    return champion_record.recorded(unit.ticker, served, params, tags, served=networks[0], evaluated=networks[1])


def _changes(unit: Unit, served: Version, met: champion_record.ChampionRecord) -> Changes:
    """Return the differences between the champion's run and this one."""
    tags = met.run_tags
    plan = unit.plan
    data = {"as_of": str(plan.as_of), "cutoff": _cutoff(unit), "source": plan.source}
    ingested = unit.manifests["ingest"]
    if ingested:
        data |= {name: ingested.outcome.tags.get(name, "") for name in ("currency", "first_session", "data_sha256")}
    parameters = plan.preset.parameters | {"preset": plan.preset_name}
    return Changes(
        data=_differing({name: tags.get(name, served.tags.get(name)) for name in data}, data),
        parameters=_differing(met.run_params, parameters),
        versions=_differing({name: tags.get(f"version.{name}") for name in versions()}, versions()),
    )


def _differing(before: Mapping[str, str | None], now: Mapping[str, str]) -> dict[str, tuple[str | None, str]]:
    return {name: (before.get(name), value) for name, value in now.items() if before.get(name) != value}


def _cutoff(unit: Unit) -> str:
    """Return the last session that the network of this run saw which would be served."""
    return _training(unit).get("cutoff", unit.recipe.cutoff)


def _training(unit: Unit) -> Mapping[str, str]:
    trained = unit.manifests["train"]
    return trained.outcome.tags if trained else {}


def _card(unit: Unit) -> str:
    ingested = unit.manifests["ingest"]
    return model_card(
        unit.plan,
        unit.ticker,
        first_session=ingested.outcome.tags["first_session"] if ingested else "?",
        cutoff=_cutoff(unit),
        currency=unit.currency,
        scores=Scores.from_json(unit.read("metrics.json")),
    )


def _origin(unit: Unit) -> str:
    """Return whose weights the version has, "" for its own."""
    trained = _training(unit)
    if WEIGHTS_OF not in trained:
        return ""
    return f"\n\nWeights of v{trained[WEIGHTS_OF]}, trained as of {trained[TRAINED]}; intervals of {unit.plan.as_of}."


def _version_tags(unit: Unit) -> dict[str, str]:
    """Return the tags of the registered version: the ticker, the data and the run that made it."""
    plan = unit.plan
    return {
        "ticker": unit.ticker,
        "as_of": str(plan.as_of),
        "cutoff": _cutoff(unit),
        **({"evaluation_cutoff": unit.recipe.cutoff} if plan.preset.refit else {}),
        "synthetic": str(plan.synthetic).lower(),
        "source": plan.source,
        "currency": unit.currency or UNKNOWN,
        "preset": plan.preset_name,
        "dag_run_id": plan.dag_run_id,
        TRAINED: str(plan.as_of),
        **{name: value for name, value in _training(unit).items() if name in {TRAINED, LAST_TRAINING, WEIGHTS_OF}},
    }


def _decision_tags(decision: Decision) -> dict[str, str]:
    tags = {"decision": decision.reason}
    for rule in decision.rules:
        verdict = "pass" if rule.passed else "FAIL"
        tags[f"decision.{rule.name}"] = f"{verdict}: {rule.value} (limit: {rule.limit})"
    return tags


def _table(decision: Decision) -> str:
    lines = ["| rule | value | limit | verdict |", "|---|---|---|---|"]
    lines += [f"| {r.name} | {r.value} | {r.limit} | {'pass' if r.passed else 'FAIL'} |" for r in decision.rules]
    return "\n".join([decision.reason, "", *lines])
