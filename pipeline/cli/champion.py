"""`closecast champion ...` shows and changes the served version."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.messages import errors_for_people

if TYPE_CHECKING:
    from pipeline.tracking.registry import Registry
    from pipeline.tracking.versions import Move, Version

champion = typer.Typer(
    name="champion",
    help="Show or change the served version of a ticker.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Ticker = Annotated[str, typer.Argument(help="Such as NFLX.")]
Reason = Annotated[str, typer.Option(help="Reason of the change, for the history.")]


@champion.command()
def show(ticker: Ticker, *, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the champion of a ticker, all versions with their verdicts, and every change of the champion."""
    with errors_for_people():
        from rich.text import Text

        from pipeline.cli import console

        ticker = checked_ticker(ticker)
        registry = connected()
        served = registry.champion(ticker)
        versions = registry.versions(ticker)
        _require_versions(ticker, versions)
        if as_json:
            typer.echo(_json(served, versions, registry.history(ticker)))
            return
        screen = console.terminal()
        title = f"v{served.number}" if served else "none, because no version has passed the gate"
        screen.print(Text(f"Champion of {ticker}: {title}", style="bold"))
        screen.print(console.table_of_versions(versions, served.number if served else None))
        for move in registry.history(ticker):
            screen.print(Text(_history_line(move)))


@champion.command("set")
def set_(
    ticker: Ticker,
    version: Annotated[int, typer.Argument(help="Number of a version in `champion show`.")],
    reason: Reason = "set by hand",
) -> None:
    """Serve another version, also one that the gate refused."""
    with errors_for_people():
        ticker = checked_ticker(ticker)
        connected().set_champion(ticker, version, reason)
        typer.echo(f"Champion of {ticker}: v{version}. The next forecast is made by it.")


@champion.command()
def rollback(ticker: Ticker, reason: Reason = "rolled back by hand") -> None:
    """Serve the version again that was served before the champion."""
    with errors_for_people():
        ticker = checked_ticker(ticker)
        version = connected().roll_back(ticker, reason)
        typer.echo(f"Champion of {ticker}: v{version} again. The next forecast is made by it.")


def connected() -> Registry:
    """Return the registry of the settings."""
    from pipeline.settings import load_settings
    from pipeline.tracking.registry import Registry

    return Registry(load_settings())


def checked_ticker(ticker: str) -> str:
    """Return a ticker as it is registered.

    Raises:
        UsageError: for a text that is no ticker.
    """
    from pipeline.plan import checked_tickers

    return checked_tickers((ticker,))[0]


def _require_versions(ticker: str, versions: list[Version]) -> None:
    from pipeline.errors import UsageError

    if not versions:
        raise UsageError(
            "A champion is one of a ticker's registered versions.",
            f"no version of {ticker}",
            f"Train one first: closecast run --tickers {ticker}.",
        )


def _json(served: Version | None, versions: list[Version], history: list[Move]) -> str:
    """Return the champion, all versions with their tags, and the moves of the champion."""
    content = {
        "champion": served.number if served else None,
        "versions": [one._asdict() for one in versions],
        "history": [one._asdict() for one in history],
    }
    return json.dumps(content, indent=1, default=str)


def _history_line(move: Move) -> str:
    before = f"v{move.before}" if move.before else "none"
    return f"{move.when:%Y-%m-%d %H:%M:%S} UTC  {before} -> v{move.to}  {move.reason}"
