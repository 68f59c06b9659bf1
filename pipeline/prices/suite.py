"""The checks of expectations/prices.json on one price frame: the only user of Great Expectations."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import json
import logging
import math
import os
from typing import TYPE_CHECKING, Any, NamedTuple

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # before the import, which reads it

import great_expectations as gx
import pandas as pd
from great_expectations.data_context.types.base import ProgressBarsConfig

from pipeline.outcome import Finding
from pipeline.pages import render
from pipeline.prices.clean import PRICES, Cleaned
from pipeline.prices.flags import checked_frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from great_expectations.core.batch_definition import BatchDefinition
    from great_expectations.core.expectation_validation_result import (
        ExpectationSuiteValidationResult,
        ExpectationValidationResult,
    )

_NEEDED = (*PRICES, "volume")
_MISSING_SHARE = 0.01
_ROWS_SHOWN = 10
_CAUSES = ("columns", "any_price")  # names of rules: other rules fail because of these


class Checked(NamedTuple):
    """The suite's verdict on one snapshot."""

    findings: tuple[Finding, ...]
    page: bytes  # the findings and all rules, as HTML
    result: bytes  # Great Expectations' own result, as JSON
    offending: dict[str, int]  # by the rule's name: how many rows break it; 1 where a rule has no rows


def check(
    ticker: str,
    raw: pd.DataFrame,
    cleaned: Cleaned,
    suite: bytes,
    *,
    as_of: dt.date,
    min_sessions: int,
    max_jump: float,
    sessions: pd.DatetimeIndex,
) -> Checked:
    """Check a snapshot against the suite.

    Args:
        ticker: for the page.
        raw: a frame as `pipeline.prices.sources` describes it.
        cleaned: the result of `clean` for `raw`.
        suite: Great Expectations' own JSON; each expectation has a severity, and its meta has a name, a rule, a limit,
            a text for the observed value, and the next step. Words in braces are filled in.
        as_of: the session that must be the newest.
        min_sessions: sessions needed.
        max_jump: largest |log return| that needs no split to explain it.
        sessions: the calendar's sessions from the first row to `as_of`.
    """
    expected = cleaned.prices.index.nunique() + len(cleaned.missing)
    parameters = {
        "as_of": pd.Timestamp(as_of).isoformat(),
        "min_sessions": min_sessions,
        "min_priced": math.ceil((1 - _MISSING_SHARE) * expected),
        "jump_up": max_jump,
        "jump_down": -max_jump,
    }
    result = _validated(checked_frame(raw, cleaned, sessions), json.loads(suite), parameters)
    newest = cleaned.prices.index.max()
    words = parameters | {
        "as_of": as_of,
        "expected": f"{expected:,}",
        "columns": ", ".join(map(str, raw.columns)),
        "missing": ", ".join(name for name in _NEEDED if name not in raw.columns),
        "rows": f"{len(raw):,}",
        "without_price": f"{len(cleaned.without_price):,}",
        "no_session": f"{len(cleaned.no_session):,}",
        "newest": newest.date() if len(cleaned.prices) else "none",
    }
    findings = tuple(_with_reason(_finding(one, words), _rows(one), cleaned, min_sessions) for one in _reported(result))
    rules = [_rule(one, words) for one in result.results]
    removed = {"without a price": cleaned.without_price, "on days without trading": cleaned.no_session}
    page = render(
        "validation.html.j2",
        ticker=ticker,
        as_of=as_of,
        findings=findings,
        rules=rules,
        sessions=cleaned.prices.index.nunique(),
        removed=", ".join(f"{len(days):,} row(s) {why}" for why, days in removed.items() if len(days)),
    )
    return Checked(
        findings=findings,
        page=page,
        result=json.dumps(result.to_json_dict(), indent=1, default=str).encode(),
        offending={rule.name: rule.offending for rule in rules},
    )


def _validated(
    frame: pd.DataFrame, suite: dict[str, Any], parameters: dict[str, Any]
) -> ExpectationSuiteValidationResult:
    """Return the result of all expectations, with the rows that break the failed ones.

    Great Expectations looks for rows in a second pass: to look for those of each expectation takes a third longer. It
    copies the meta of an expectation some 80 times. So it gets the name alone, and the texts are put back afterwards.
    """
    texts = {one["meta"]["name"]: one["meta"] for one in suite["expectations"]}
    bare = [one | {"meta": {"name": one["meta"]["name"]}} for one in suite["expectations"]]
    batch = _whole_frame().get_batch({"dataframe": frame})
    result = batch.validate(
        gx.ExpectationSuite(**suite | {"expectations": bare}),
        expectation_parameters=parameters,
        result_format={"result_format": "BASIC"},
    )
    failed = {_name(one) for one in result.results if not one.success}
    if failed:
        chosen = [one for one in bare if one["meta"]["name"] in failed]
        with_rows = batch.validate(
            gx.ExpectationSuite(**suite | {"expectations": chosen}),
            expectation_parameters=parameters,
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["session"]},
        )
        detailed = {_name(one): one for one in with_rows.results}
        result.results = [detailed.get(_name(one), one) for one in result.results]
    for one in result.results:
        one.expectation_config.meta = texts[_name(one)]
    return result


def _name(one: ExpectationValidationResult) -> str:
    return str(one.expectation_config.meta["name"])


@functools.cache
def _whole_frame() -> BatchDefinition[None]:
    """Return what makes a batch of a frame; setting it up costs as much as a fifth of a check."""
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("source").add_dataframe_asset("prices")
    return asset.add_batch_definition_whole_dataframe("all")


class _Rule(NamedTuple):
    """One rule on the page."""

    name: str
    rule: str
    severity: str
    limit: str
    offending: int
    applies: bool  # to at least one row


def _rule(one: ExpectationValidationResult, words: Mapping[str, object]) -> _Rule:
    meta = one.expectation_config.meta
    return _Rule(
        name=meta["name"],
        rule=meta["rule"],
        severity=one.expectation_config.severity.value,
        limit=meta["limit"].format_map(words),
        offending=_offending(one),
        applies=one.result.get("element_count", 1) > one.result.get("missing_count", 0),
    )


def _reported(result: ExpectationSuiteValidationResult) -> list[ExpectationValidationResult]:
    """Return the failed expectations that a finding reports.

    A missing column makes other expectations fail to run, and without any price all fail, so only this cause is
    reported then. A warning is left out if critical rules already name all of its rows.
    """
    failed = [one for one in result.results if not one.success]
    for cause in _CAUSES:
        found = [one for one in failed if _name(one) == cause]
        if found:
            return found
    critical = filter(_is_critical, failed)
    named = set(itertools.chain.from_iterable(map(_rows, critical)))
    return [one for one in failed if _is_critical(one) or not named.issuperset(_rows(one) or ["no rows"])]


def _is_critical(one: ExpectationValidationResult) -> bool:
    return bool(one.expectation_config.severity.value == "critical")


def _rows(one: ExpectationValidationResult) -> list[pd.Timestamp]:
    """Return the sessions that break the expectation, ascending; empty for a rule about the whole frame."""
    return sorted(pd.Timestamp(row["session"]) for row in _broken(one))


def _broken(one: ExpectationValidationResult) -> list[dict[str, Any]]:
    """Return session and value of each row that breaks the expectation."""
    # `unexpected_list` ends at 200 values, this list does not.
    return one.result.get("unexpected_index_list") or []


def _finding(one: ExpectationValidationResult, words: Mapping[str, object]) -> Finding:
    meta = one.expectation_config.meta
    result = one.result
    rows = _rows(one)
    column = one.expectation_config.kwargs.get("column")
    values = [row[column] for row in _broken(one) if isinstance(row.get(column), float)]
    value = result.get("observed_value")
    seen = {
        "count": f"{_offending(one):,}",
        "total": f"{result.get('element_count', 0) - result.get('missing_count', 0):,}",
        "last": rows[-1].date() if rows else "",
        "extreme": max(values, key=abs, default=math.nan),
        "value": _observed_text(value),
    }
    return Finding(
        rule=meta["rule"],
        severity=one.expectation_config.severity.value,
        observed=meta["observed"].format_map({**words, **seen}) if one.result else "the rule could not be checked",
        limit=meta["limit"].format_map(words),
        rows=tuple(str(row.date()) for row in rows[-_ROWS_SHOWN:]),
        todo=meta["todo"].format_map(words),
        lasting=meta.get("lasting", False),
        name=meta["name"],
    )


def _with_reason(finding: Finding, rows: list[pd.Timestamp], cleaned: Cleaned, min_sessions: int) -> Finding:
    """Return a finding that names prices of 0 as the reason, and START as a remedy if only old rows break the rule."""
    prices = cleaned.prices
    zero = prices.index[(prices.reindex(columns=list(PRICES)) == 0).any(axis=1)]
    broken = zero.intersection(pd.DatetimeIndex(rows))
    later = prices.index[prices.index > rows[-1]].unique() if rows else prices.index[:0]
    changes = {}
    if finding.name.startswith("order") and len(broken):
        changes["observed"] = f"{finding.observed}; a price is 0 in {len(broken):,} of them"
    if finding.severity == "critical" and len(later) >= min_sessions:
        changes["todo"] = f"Set START={later[0].date()}, which leaves {len(later):,} sessions. Or: {finding.todo}"
    return finding.model_copy(update=changes)


def _observed_text(value: object) -> object:
    """Return an observed value as a finding shows it: a time as its date, a missing one as "none"."""
    if value is None or value is pd.NaT:
        return "none"
    return value.date() if isinstance(value, pd.Timestamp) else value


def _offending(one: ExpectationValidationResult) -> int:
    """Return how many rows break the expectation; 1 for a failed rule about the whole frame."""
    return int(one.result.get("unexpected_count", not one.success))
