"""`closecast ledger verify` compares the ledger with its hashes and with their copies outside."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.champion import checked_ticker
from pipeline.cli.messages import errors_for_people

if TYPE_CHECKING:
    from pipeline.audit.ledger_check import Verification, Verified

ledger = typer.Typer(
    name="ledger",
    help="Check the ledger of served forecasts.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@ledger.callback()
def _group() -> None:
    """Keep `verify` a command of its own: Typer would merge a single command into its group."""


@ledger.command()
def verify(
    tickers: Annotated[list[str] | None, typer.Argument(help="Such as NFLX AAPL; default: all.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Name the first row of each ticker that was changed, removed, added or moved; exit code 1 if there is one."""
    with errors_for_people():
        from pipeline.audit import ledger_check
        from pipeline.settings import load_settings

        wanted = [checked_ticker(one) for one in tickers or []]
        found = ledger_check.verify(load_settings(), wanted)
        typer.echo(json.dumps(_fields(found), indent=1) if as_json else _in_words(found))
        if found.broken:
            raise typer.Exit(1)


def _fields(found: Verification) -> dict[str, Any]:
    tickers = [
        one._asdict()
        | {
            "head": one.head.model_dump() if one.head else None,
            "broken": one.broken._asdict() if one.broken else None,
        }
        for one in found.tickers
    ]
    return {"whole": not found.broken, "without_mlflow": found.without_mlflow, "tickers": tickers}


def _in_words(found: Verification) -> str:
    rows = sum(one.rows for one in found.tickers)
    verdict = f"The ledger is as it was written: {rows:,} rows of {len(found.tickers)} ticker(s)."
    if found.broken:
        verdict = f"The ledger is NOT as it was written: {len(found.broken)} of {len(found.tickers)} ticker(s)."
    lines = [verdict, *(_line(one) for one in found.tickers)]
    if found.without_mlflow:
        lines.append(f"MLflow was not compared: {found.without_mlflow}")
    return "\n".join(lines)


def _line(one: Verified) -> str:
    if one.broken:
        return f"{one.ticker}: {one.broken}"
    parts = [f"{one.rows:,} rows"]
    if one.head:
        parts.append(f"newest hash {one.head.hash} ({one.head.row})")
    if one.hashed_later:
        parts.append(f"{one.hashed_later:,} of them written before hashes existed and hashed later")
    if one.unhashed:
        parts.append(f"{one.unhashed:,} without a hash until the next forecast of {one.ticker}")
    parts.append(f"equal to {one.copies:,} copies outside" if one.copies else "no copy outside")
    return f"{one.ticker}: {', '.join(parts)}"
