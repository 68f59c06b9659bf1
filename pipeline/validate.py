"""The checks of expectations/prices.json on one price frame: the only user of Great Expectations."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # before the import, which reads it

import great_expectations as gx
import pandas as pd
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.render.renderer import ValidationResultsPageRenderer
from great_expectations.render.view import DefaultJinjaPageView

from pipeline.outcome import Finding

if TYPE_CHECKING:
    from great_expectations.core.expectation_validation_result import (
        ExpectationSuiteValidationResult,
        ExpectationValidationResult,
    )

RECENT = 250  # sessions in which a broken high or low is no old quirk of the source but today's problem
_ROWS_SHOWN = 10


class Checked(NamedTuple):
    """What the suite says of one price frame."""

    findings: tuple[Finding, ...]
    page: str  # the result as an HTML page
    rules: int  # how many were checked
    failed: int


def check(
    prices: pd.DataFrame, suite: bytes, *, as_of: dt.date, min_sessions: int, sessions: pd.DatetimeIndex
) -> Checked:
    """Check `prices` against the suite.

    Args:
        prices: a frame as `pipeline.sources` promises it.
        suite: Great Expectations' own JSON; each expectation has a severity, and a rule, limit and todo in its meta.
        as_of: the session that has to be the newest.
        min_sessions: rows needed.
        sessions: the calendar's sessions from the first row to `as_of`.
    """
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    whole = (
        context.data_sources.add_pandas("source")
        .add_dataframe_asset("prices")
        .add_batch_definition_whole_dataframe("all")
    )
    definition = gx.ValidationDefinition(
        name="prices", data=whole, suite=context.suites.add(gx.ExpectationSuite(**json.loads(suite)))
    )
    parameters = {"as_of": pd.Timestamp(as_of).isoformat(), "min_sessions": min_sessions}
    result = definition.run(
        batch_parameters={"dataframe": checked_frame(prices, sessions)},
        expectation_parameters=parameters,
        result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["session"]},
    )
    newest = prices.index.max().date().isoformat() if len(prices) else "none"
    words = {"as_of": as_of.isoformat(), "min_sessions": str(min_sessions), "newest": newest}
    failures = _failures(result)
    return Checked(
        findings=tuple(_finding(one, words) for one in failures),
        page=_page(result),
        rules=len(result.results),
        failed=len(failures),
    )


def checked_frame(prices: pd.DataFrame, sessions: pd.DatetimeIndex) -> pd.DataFrame:
    """Return `prices` with `session` as a column and what a suite cannot compute by itself.

    Adds `sessions_since_previous` (how many sessions of the calendar lie between a row and the one before), `ordered`
    (1.0 where low <= open, close <= high, 0.0 where not, NaN where a price is missing) and `ordered_in_last_250`.
    """
    frame = prices.reset_index()
    position = pd.Series(sessions.searchsorted(frame["session"]), index=frame.index)
    frame["sessions_since_previous"] = position.diff()
    if {"open", "high", "low", "close"} <= set(frame.columns):
        body = frame[["open", "close"]]
        ordered = (frame["low"] <= body.min(axis=1)) & (body.max(axis=1) <= frame["high"])
        whole = frame[["open", "high", "low", "close"]].notna().all(axis=1)
        frame["ordered"] = ordered.astype("float64").where(whole)
        frame["ordered_in_last_250"] = frame["ordered"].where(frame.index >= len(frame) - RECENT)
    return frame


def _failures(result: ExpectationSuiteValidationResult) -> list[ExpectationValidationResult]:
    """Return the failed expectations. A missing column makes others fail to run: it alone is the news then."""
    failed = [one for one in result.results if not one.success]
    columns = [one for one in failed if one.expectation_config.type == "expect_table_columns_to_match_set"]
    return columns or failed


def _finding(one: ExpectationValidationResult, words: dict[str, str]) -> Finding:
    meta = one.expectation_config.meta or {}

    def filled(name: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: words[match.group(1)], meta.get(name, ""))

    return Finding(
        rule=filled("rule") or one.expectation_config.type,
        severity=one.expectation_config.severity.value,
        observed=_observed(one),
        limit=filled("limit"),
        rows=_rows(one.result),
        todo=filled("todo"),
    )


def _observed(one: ExpectationValidationResult) -> str:
    result: dict[str, Any] = one.result
    if "unexpected_count" in result:
        return f"{result['unexpected_count']:,} of {result['element_count']:,} rows"
    value = result.get("observed_value")
    if isinstance(value, list):
        return f"columns {', '.join(str(name) for name in value)}"
    if isinstance(value, pd.Timestamp):
        return str(value.date())
    return "no rows" if value is None or value is pd.NaT else f"{value:,}"


def _rows(result: dict[str, Any]) -> tuple[str, ...]:
    rows = result.get("unexpected_index_list") or []
    return tuple(str(pd.Timestamp(row["session"]).date()) for row in rows[:_ROWS_SHOWN])


def _page(result: ExpectationSuiteValidationResult) -> str:
    document = ValidationResultsPageRenderer().render(result)
    return str(DefaultJinjaPageView().render(document))
