"""The gate: decides rule by rule, from figures alone, whether a trained version may be served. It moves no alias."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, computed_field

from pipeline.errors import NotComparable
from pipeline.evaluation.amounts import amount_text
from pipeline.evaluation.scores import Scores
from pipeline.old_names import Renamed
from pipeline.outcome import SUPERSEDED, Answer, Released
from pipeline.settings.gate import Gate, Policy


class Challenger(NamedTuple):
    """Scores of the version that this run trained, on its test rows."""

    cutoff: dt.date
    rmse: float
    naive_rmse: float
    p_worse_than_naive: float
    coverage_95: float
    critical: int  # data findings
    warnings: int
    fault: str | None  # damage that was injected into the prices
    synthetic: bool
    currency: str = ""  # of the errors; "" if it is unknown
    reference: str = ""  # name of the reference of the intervals; "" for output `point`, which is not compared with it
    is_reference: bool = False  # whether the reference itself took the place of the network
    p_worse_than_reference: float = 1.0


def challenger_of(scores: Scores, cutoff: str, *, reference: str = "") -> Challenger:
    """Return a challenger without findings from its scores.

    Args:
        scores: of its test rows.
        cutoff: last session that its training saw.
        reference: name of the reference of its intervals; "" where they are not compared with one.
    """
    return Challenger(
        cutoff=dt.date.fromisoformat(cutoff),
        rmse=scores.rmse,
        naive_rmse=scores.naive_rmse,
        p_worse_than_naive=scores.dm_p_value,
        coverage_95=scores.coverage_95,
        critical=0,
        warnings=0,
        fault=None,
        synthetic=False,
        reference=reference,
        p_worse_than_reference=1.0 if scores.reference_dm_p_value is None else scores.reference_dm_p_value,
    )


class Champion(NamedTuple):
    """Scores of the served version, on the challenger's test rows."""

    version: int
    cutoff: dt.date
    rmse: float
    challenger_p_worse: float
    synthetic: bool
    interval_p_worse: float | None = None  # of the challenger's 95 % intervals; None where they are not compared


class Rule(BaseModel):
    """One rule of the gate and its verdict."""

    model_config = ConfigDict(frozen=True)

    name: str
    says: str
    value: str
    limit: str
    passed: bool


class Changes(BaseModel):
    """Differences from the champion's run: name -> (champion's value, challenger's value)."""

    model_config = ConfigDict(frozen=True)

    data: dict[str, tuple[str | None, str]] = {}
    parameters: dict[str, tuple[str | None, str]] = {}
    versions: dict[str, tuple[str | None, str]] = {}


class Decision(Renamed):
    """The gate's verdict on a challenger. `decision.json`: written and read here alone."""

    promoted: bool
    policy: Policy
    champion: int | None = Field(description="the version that the challenger was compared with")
    rules: tuple[Rule, ...]
    champion_rmse: float | None = Field(default=None, description="of the champion on the challenger's test rows")
    changes: Changes = Changes()
    answer: Answer | None = Field(default=None, description="of the person who accepted a restated history")

    @property
    def failed(self) -> tuple[Rule, ...]:
        """Return the rules that the challenger broke."""
        return tuple(rule for rule in self.rules if not rule.passed)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def reason(self) -> str:
        """Return the verdict in one line."""
        if self.promoted:
            return f"promoted: all {len(self.rules)} rules hold"
        late = [rule.value for rule in self.failed if rule.name == SUPERSEDED]
        if late:
            return f"{SUPERSEDED}: {late[0]}"
        return "refused: " + "; ".join(f"{one.name} {one.value} (limit: {one.limit})" for one in self.failed)

    def as_released(self, released: Released | None) -> Decision:
        """Return the decision as it was carried out: one that came too late promoted nothing."""
        if released is None or not released.superseded:
            return self
        late = Rule(
            name=SUPERSEDED,
            says="The champion must still be the version that the challenger was compared with",
            value=released.reason.removeprefix(f"{SUPERSEDED}: "),
            limit=f"v{self.champion}" if self.champion else "no champion",
            passed=False,
        )
        return self.model_copy(update={"promoted": False, "rules": (*self.rules, late)})

    def to_json(self) -> bytes:
        """Return the content of decision.json."""
        return self.model_dump_json(indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Decision:
        """Return the decision that `to_json` wrote."""
        return cls.model_validate_json(data)


def check_cutoffs(challenger: dt.date, champion: dt.date, version: int) -> None:
    """Make sure that the challenger's test rows are new to the champion.

    Raises:
        NotComparable: when the champion's cutoff lies after the challenger's: it was trained on some of these rows.
    """
    if champion > challenger:
        raise NotComparable(
            "A champion is compared on rows that are new to it: its cutoff must not lie after the challenger's.",
            f"champion v{version} with cutoff {champion}, challenger with cutoff {challenger}",
            "Nothing, for a run of the past: the champion stays. Else train with the champion's train_fraction.",
        )


def decide(challenger: Challenger, champion: Champion | None, gate: Gate) -> Decision:
    """Return whether the challenger becomes champion, rule by rule. The first model of a ticker meets no champion.

    Raises:
        NotComparable: when the champion's cutoff lies after the challenger's.
    """
    rules = [_data(challenger), *quality_rules(challenger, gate)]
    if champion is None and challenger.is_reference:  # an interval of the reference is better than none
        rules = [one for one in rules if one.name != "coverage"]
    if champion:
        check_cutoffs(challenger.cutoff, champion.cutoff, champion.version)
        rules.append(_champion(challenger, champion, gate))
        if champion.interval_p_worse is not None:
            rules.append(_champion_interval(champion, champion.interval_p_worse, gate))
    return Decision(
        promoted=all(one.passed for one in rules),
        policy=gate.policy,
        champion=champion.version if champion else None,
        rules=tuple(rules),
    )


def quality_rules(challenger: Challenger, gate: Gate) -> list[Rule]:
    """Return the rules about the forecasts themselves. A network that breaks one is replaced by its reference."""
    rules = [*_errors(challenger, gate), _coverage(challenger, gate)]
    return [*rules, _interval(challenger, gate)] if challenger.reference else rules


def refuse(gate: Gate, champion: int, name: str, says: str, value: str, limit: str) -> Decision:
    """Return the refusal of a challenger that cannot be compared with the champion."""
    rule = Rule(name=name, says=says, value=value, limit=limit, passed=False)
    return Decision(promoted=False, policy=gate.policy, champion=champion, rules=(rule,))


def _data(challenger: Challenger) -> Rule:
    fault = f", with the fault {challenger.fault}" if challenger.fault else ""
    return Rule(
        name="data",
        says="Prices must have no critical finding and no injected fault",
        value=f"{challenger.critical} critical, {challenger.warnings} warning(s){fault}",
        limit="0 critical, no fault",
        passed=not challenger.critical and not challenger.fault,
    )


def _errors(challenger: Challenger, gate: Gate) -> list[Rule]:
    ratio = challenger.rmse / challenger.naive_rmse
    both = f"{amount_text(challenger.rmse, 4)} against {_amount(challenger.naive_rmse, challenger)}"
    most = 1 + gate.tolerance
    return [
        Rule(
            name="rmse",
            says="RMSE must not lie above naive's by more than the tolerance",
            value=f"{ratio:.4f} x naive ({both})",
            limit=f"{most:.4f} x naive",
            passed=ratio <= most,
        ),
        Rule(
            name="naive",
            says="The Diebold-Mariano test must not find the forecast worse than naive",
            value=f"p {challenger.p_worse_than_naive:.4f}",
            limit=f"p at least {gate.significance}",
            passed=challenger.p_worse_than_naive >= gate.significance,
        ),
    ]


def _amount(error: float, challenger: Challenger) -> str:
    return amount_text(error, 4, currency=challenger.currency)


def _coverage(challenger: Challenger, gate: Gate) -> Rule:
    return Rule(
        name="coverage",
        says="The 95 % interval must hold about 95 % of the test rows",
        value=f"{challenger.coverage_95:.1%}",
        limit=f"{gate.min_coverage_95:.1%} to {gate.max_coverage_95:.1%}",
        passed=gate.min_coverage_95 <= challenger.coverage_95 <= gate.max_coverage_95,
    )


def _interval(challenger: Challenger, gate: Gate) -> Rule:
    alone = f"{challenger.reference} alone"
    against = f"p {challenger.p_worse_than_reference:.4f} against {challenger.reference}"
    return Rule(
        name="interval",
        says="The Diebold-Mariano test must not find the 95 % intervals worse than those of the reference",
        value=alone if challenger.is_reference else against,
        limit=f"p at least {gate.significance}",
        passed=challenger.is_reference or challenger.p_worse_than_reference >= gate.significance,
    )


def _champion_interval(champion: Champion, p_worse: float, gate: Gate) -> Rule:
    return Rule(
        name="champion_interval",
        says="The Diebold-Mariano test must not find the 95 % intervals worse than the champion's on the same rows",
        value=f"p {p_worse:.4f} against v{champion.version}",
        limit=f"p at least {gate.significance}",
        passed=p_worse >= gate.significance,
    )


def _champion(challenger: Challenger, champion: Champion, gate: Gate) -> Rule:
    best = _amount(champion.rmse, challenger)
    both = f"{amount_text(challenger.rmse, 4)} against {best} of v{champion.version} on the same rows"
    if gate.policy == "if_better":
        return Rule(
            name="champion",
            says="RMSE must be smaller than the champion's on the same rows",
            value=both,
            limit=f"below {best}",
            passed=challenger.rmse < champion.rmse,
        )
    return Rule(
        name="champion",
        says="The Diebold-Mariano test must not find the forecast worse than the champion's on the same rows",
        value=f"p {champion.challenger_p_worse:.4f}, {both}",
        limit=f"p at least {gate.significance}",
        passed=champion.challenger_p_worse >= gate.significance,
    )
