"""`closecast status`: the fleet at a glance."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.messages import errors_for_people

if TYPE_CHECKING:
    from rich.table import Table

    from pipeline.reporting.fleet import Fleet, Ticker

_MOST_REASONS = 10  # lines below the table; --json has all
_HEADS = {  # column -> whether it holds words, which are aligned on the left
    "ticker": True,
    "last night": True,
    "verdict": True,
    "champion": False,
    "age": False,
    "skill": False,
    "in 95%": False,
    "next forecast": True,
    "findings": False,
    "problems": True,
}
_LEGEND = (
    "age: sessions since the champion's weights were trained. skill: live 95 % interval score against the EWMA of "
    "closes, 60 sessions; above 0 is better. in 95%: closes inside the live 95 % interval."
)


def status(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all findings and figures.")] = False
) -> None:
    """Show the fleet: last night, champion, live scores and next forecast of each ticker. Exit code 1 on a problem."""
    with errors_for_people():
        from pipeline.reporting.fleet import fleet
        from pipeline.settings import load_settings

        found = fleet(load_settings(), dt.datetime.now(dt.UTC))
        if as_json:
            typer.echo(found.model_dump_json(indent=1))
        else:
            _show(found)
        if not found.in_order:
            raise typer.Exit(1)


def _show(found: Fleet) -> None:
    from rich.text import Text

    from pipeline.cli.console import terminal

    screen = terminal()
    screen.print(Text(verdict(found), style="bold"))
    synthetic = " - SYNTHETIC prices, no evidence about any market" if found.synthetic else ""
    screen.print(Text(f"Due: the night of {found.due}. Source {found.source}{synthetic}."))
    screen.print(_table(found))
    for line in reasons(found):
        screen.print(Text(line, style="red"))
    for title in found.alerts:
        screen.print(Text(f"Open alert: {title}", style="yellow"))
    screen.print(Text(_LEGEND))


def verdict(found: Fleet) -> str:
    """Return the counts in one line."""
    count = found.counts
    if found.in_order:
        return f"All {count.tickers} ticker(s) are in order."
    numbers = {
        "stale": count.stale,
        "failed": count.failed,
        "waiting for a decision": count.waiting,
        "decayed": count.decayed,
        f"champion over {found.max_champion_age} sessions old": count.old_champion,
        f"forecast over {found.max_forecast_age} session(s) old": count.old_forecast,
    }
    parts = ", ".join(f"{number} {name}" for name, number in numbers.items() if number)
    return f"{count.tickers - count.in_order} of {count.tickers} ticker(s) need you: {parts}."


def reasons(found: Fleet) -> list[str]:
    """Return a line for each of the first tickers with a problem, with the next step, and a count of the others."""
    troubled = [one for one in found.tickers if one.problems]
    lines = [f"{one.ticker} ({_problems(one)}): {_reason(one)}" for one in troubled[:_MOST_REASONS]]
    if more := len(troubled) - len(lines):
        lines.append(f"... and {more} more: closecast status --json has all reasons.")
    return lines


def _problems(one: Ticker) -> str:
    return ", ".join(one.problems).replace("_", " ")


def _reason(one: Ticker) -> str:
    if one.last_night is None:
        return f"no run with a report. Start one: closecast run --tickers {one.ticker}."
    if one.problems == ("stale",):
        return f"its last run is of {one.last_night}. `closecast doctor` says whether the schedule works."
    if one.findings:
        return one.findings[0]
    if "old_champion" in one.problems:
        return f"v{one.champion} has weights of {one.champion_trained}: closecast champion show {one.ticker} says why."
    return one.no_forecast or f"its newest forecast is of {one.forecast_session}."


def _table(found: Fleet) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name, words in _HEADS.items():
        table.add_column(name, justify="left" if words else "right", no_wrap=True)
    for one in found.tickers:
        table.add_row(*_cells(one), style="red" if one.problems else None)
    return table


def _cells(one: Ticker) -> list[str]:
    from pipeline.evaluation.amounts import amount_text

    forecast = "-"
    if one.forecast is not None:
        forecast = f"{one.forecast_session}: {amount_text(one.forecast, currency=one.currency)}"
    return [
        one.ticker,
        str(one.last_night or "never"),
        one.verdict or "-",
        f"v{one.champion}" if one.champion else "-",
        "-" if one.champion_age is None else str(one.champion_age),
        "-" if one.interval_skill_60 is None else f"{one.interval_skill_60:+.3f}",
        "-" if one.coverage_95_60 is None else f"{one.coverage_95_60:.1%}",
        forecast,
        str(len(one.findings)),
        _problems(one) or "-",
    ]
