"""`closecast runs` lists the last runs of the store."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.columns import columns
from pipeline.cli.messages import errors_for_people

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.reporting.run_list import Filters, Listed

_HEAD = ("verdict", "run", "as of", "preset", "source", "tickers", "promoted", "refused", "skill", "/ EWMA", "in 95%")
_NUMBERS = frozenset(range(5, len(_HEAD)))


def runs(
    most: Annotated[int, typer.Option("--last", "-n", min=1, help="Number of runs.")] = 10,
    ticker: Annotated[str | None, typer.Option(help="Runs of this ticker, with its own figures.")] = None,
    since: Annotated[str | None, typer.Option(help="Runs as of this session or a later one.")] = None,
    verdict: Annotated[str | None, typer.Option(help="done, failed, unfinished, promoted or refused.")] = None,
    preset: Annotated[str | None, typer.Option(help="Runs of this preset.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the last runs, the newest first."""
    with errors_for_people():
        from pipeline.reporting.run_list import last_runs
        from pipeline.settings import load_settings

        filters = _filters(ticker, since, verdict, preset)
        found = last_runs(load_settings().store_url, most, filters)
        if as_json:
            typer.echo(json.dumps([one._asdict() for one in found], indent=1, default=str))
        else:
            _show(found)


def _filters(ticker: str | None, since: str | None, verdict: str | None, preset: str | None) -> Filters:
    """Return the filters of the options.

    Raises:
        UsageError: when an option breaks its rule.
    """
    from pipeline.errors import UsageError
    from pipeline.plan import checked_tickers
    from pipeline.reporting.run_list import VERDICTS, Filters

    if verdict and verdict not in VERDICTS:
        raise UsageError(
            "--verdict takes the state of a run or a decision.",
            repr(verdict)[:80],
            f"Use one of: {', '.join(VERDICTS)}.",
        )
    try:
        first = dt.date.fromisoformat(since) if since else None
    except ValueError:
        raise UsageError("--since takes a date, YYYY-MM-DD.", repr(since)[:80], "Such as 2025-11-21.") from None
    return Filters(checked_tickers((ticker,))[0] if ticker else "", first, verdict or "", preset or "")


def _show(found: Sequence[Listed]) -> None:
    from pipeline.reporting.run_list import states

    counts = ", ".join(f"{count} {state}" for state, count in states(found).items() if count)
    typer.echo(f"{len(found)} run(s): {counts}." if found else "No run in the store passes these filters.")
    if found:
        typer.echo("\n".join(columns([_HEAD, *map(_cells, found)], right=_NUMBERS)))
        typer.echo("skill, / EWMA, in 95%: medians. / EWMA: 95 % interval score over that of the EWMA of closes.")


def _cells(one: Listed) -> tuple[str, ...]:
    return (
        f"{one.verdict} {one.failed}" if one.failed else one.verdict,
        one.run,
        str(one.as_of),
        one.preset,
        f"{one.source}, {one.fault}" if one.fault else one.source,
        str(one.tickers),
        str(one.promoted),
        str(one.refused),
        "-" if one.skill is None else f"{one.skill:+.4f}",
        "-" if one.interval_skill_95 is None else f"{1 - one.interval_skill_95:.3f}",
        "-" if one.coverage_95 is None else f"{one.coverage_95:.1%}",
    )
