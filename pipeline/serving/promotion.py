"""The gate: may the version just trained be served? Rule by rule, from figures alone; the alias is moved elsewhere."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from pipeline.errors import NotComparable
from pipeline.settings.gate import Gate, Policy


class Challenger(NamedTuple):
    """The figures of the version just trained, on its test rows."""

    cutoff: dt.date
    rmse_usd: float
    naive_rmse_usd: float
    p_worse_than_naive: float
    coverage_95: float
    critical: int  # data findings
    warnings: int
    fault: str | None  # damage that was injected into the prices
    synthetic: bool


class Champion(NamedTuple):
    """The version that is served, on the challenger's test rows."""

    version: int
    cutoff: dt.date
    rmse_usd: float
    challenger_p_worse: float
    synthetic: bool


SUPERSEDED = "superseded"  # how the words begin that say why a promotion was not carried out


class Rule(NamedTuple):
    """One rule and how it went."""

    name: str
    says: str
    value: str
    limit: str
    passed: bool


class Decision(NamedTuple):
    """What becomes of the challenger. `decision.json`."""

    promoted: bool
    policy: Policy
    champion: int | None  # the version that it was compared with
    rules: tuple[Rule, ...]

    @property
    def failed(self) -> tuple[Rule, ...]:
        """Return the rules that speak against it."""
        return tuple(rule for rule in self.rules if not rule.passed)

    @property
    def reason(self) -> str:
        """Return the verdict in one line."""
        if self.promoted:
            return f"promoted: all {len(self.rules)} rules hold"
        return "refused: " + "; ".join(f"{one.name} {one.value} (limit: {one.limit})" for one in self.failed)


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
    """Return whether the challenger becomes champion, rule by rule. The first model of a ticker has none to beat.

    Raises:
        NotComparable: when the champion's cutoff lies after the challenger's.
    """
    rules = [_data(challenger), *_errors(challenger, gate), _coverage(challenger, gate)]
    if champion:
        check_cutoffs(challenger.cutoff, champion.cutoff, champion.version)
        rules.append(_champion(challenger, champion, gate))
    return Decision(all(one.passed for one in rules), gate.policy, champion.version if champion else None, tuple(rules))


def refuse(gate: Gate, champion: int, name: str, says: str, value: str, limit: str) -> Decision:
    """Return the decision against a challenger that cannot be compared with the champion at all."""
    return Decision(False, gate.policy, champion, (Rule(name, says, value, limit, passed=False),))


def _data(challenger: Challenger) -> Rule:
    fault = f", with the fault {challenger.fault}" if challenger.fault else ""
    return Rule(
        name="data",
        says="No critical finding in the prices, and none damaged on purpose",
        value=f"{challenger.critical} critical, {challenger.warnings} warning(s){fault}",
        limit="0 critical, no fault",
        passed=not challenger.critical and not challenger.fault,
    )


def _errors(challenger: Challenger, gate: Gate) -> list[Rule]:
    ratio, most = challenger.rmse_usd / challenger.naive_rmse_usd, 1 + gate.tolerance
    return [
        Rule(
            name="rmse",
            says="RMSE must not lie above naive's by more than the tolerance",
            value=f"{ratio:.4f} x naive ({challenger.rmse_usd:,.4f} against {challenger.naive_rmse_usd:,.4f} USD)",
            limit=f"{most:.4f} x naive",
            passed=ratio <= most,
        ),
        Rule(
            name="naive",
            says="Diebold-Mariano must not say that it is worse than naive",
            value=f"p {challenger.p_worse_than_naive:.4f}",
            limit=f"p at least {gate.significance}",
            passed=challenger.p_worse_than_naive >= gate.significance,
        ),
    ]


def _coverage(challenger: Challenger, gate: Gate) -> Rule:
    return Rule(
        name="coverage",
        says="The 95 % interval must hold about as many test rows as it says",
        value=f"{challenger.coverage_95:.1%}",
        limit=f"{gate.min_coverage_95:.1%} to {gate.max_coverage_95:.1%}",
        passed=gate.min_coverage_95 <= challenger.coverage_95 <= gate.max_coverage_95,
    )


def _champion(challenger: Challenger, champion: Champion, gate: Gate) -> Rule:
    both = f"{challenger.rmse_usd:,.4f} against {champion.rmse_usd:,.4f} USD of v{champion.version} on the same rows"
    if gate.policy == "if_better":
        return Rule(
            name="champion",
            says="RMSE must be smaller than the champion's on the same rows",
            value=both,
            limit=f"below {champion.rmse_usd:,.4f} USD",
            passed=challenger.rmse_usd < champion.rmse_usd,
        )
    return Rule(
        name="champion",
        says="Diebold-Mariano must not say that it is worse than the champion on the same rows",
        value=f"p {champion.challenger_p_worse:.4f}, {both}",
        limit=f"p at least {gate.significance}",
        passed=champion.challenger_p_worse >= gate.significance,
    )
