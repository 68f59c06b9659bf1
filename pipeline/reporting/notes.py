"""A finished run in few words: the note on Airflow's page, and the description of its run in MLflow."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.reporting.results import Result

MAX_NOTE = 1000  # characters that Airflow accepts
_MOST_NAMED = 10  # failed tickers with their step in a note
_MOST_ROWS = 20  # of a description: about 180 characters each, of 5,000 in a tag


def counts(results: Sequence[Result]) -> str:
    """Return the counts of a run, such as "3 promoted, 1 kept, 1 failed"."""
    states = Counter(one.state for one in results)
    named = {
        "promoted": states["promoted"],
        "kept": states["refused"],
        "not judged": states[""],
        "waiting": states["waiting"],
        "failed": states["failed"],
    }
    return ", ".join(f"{count} {name}" for name, count in named.items() if count)


def run_note(results: Sequence[Result], links: Sequence[str] = ()) -> str:
    """Return the note of a run for Airflow's page: the counts, the tickers that wait or failed, links.

    Args:
        results: one per ticker.
        links: lines of Markdown.
    """
    failed = [f"{one.ticker} failed in {one.step}" for one in results if one.reason]
    if len(failed) > _MOST_NAMED:
        failed = [*failed[:_MOST_NAMED], f"and {len(failed) - _MOST_NAMED} more"]
    waiting = [f"{one.ticker} waits for a decision" for one in results if one.state == "waiting"]
    parts = [counts(results), "; ".join(waiting[:_MOST_NAMED]), "; ".join(failed), *links]
    return "\n\n".join(filter(None, parts))[:MAX_NOTE]


def table(results: Sequence[Result], page: Callable[[str], str]) -> str:
    """Return one row per ticker in Markdown; failed tickers first.

    Args:
        results: one per ticker.
        page: returns the address of an MLflow run.
    """
    lines = [
        "| ticker | verdict | skill | interval skill | inside 95 % | forecast |",
        "|---|---|---|---|---|---|",
    ]
    ordered = sorted(results, key=lambda one: not one.reason)
    for one in ordered[:_MOST_ROWS]:
        verdict = f"failed in {one.step}" if one.reason else one.state or "not judged"
        cells = (
            f"[{one.ticker}]({page(one.mlflow_run)})",
            verdict,
            _formatted(one.skill, "+.4f"),
            _formatted(one.interval_skill_95, "+.3f"),
            _formatted(one.coverage_95, ".1%"),
            _formatted(one.forecast, ",.2f"),
        )
        lines.append(f"| {' | '.join(cells)} |")
    more = len(results) - _MOST_ROWS
    ending = f"\n\n{more} more are in `results.json` and in the view of the night." if more > 0 else ""
    return "\n".join(lines) + ending


def _formatted(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"
