"""`closecast champion ...` and `closecast forecast`: what is served, and what it says."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.messages import errors_for_people

if TYPE_CHECKING:
    from pipeline.tracking.registry import Registry
    from pipeline.tracking.versions import Move, Version

champion = typer.Typer(
    name="champion",
    help="Show or change which version of a ticker is served.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Ticker = Annotated[str, typer.Argument(help="Such as NFLX.")]
Reason = Annotated[str, typer.Option(help="Why, for those who read the history.")]


@champion.command()
def show(ticker: Ticker) -> None:
    """Show the champion of a ticker, its verdict, all versions, and how it got there."""
    with errors_for_people():
        from rich.text import Text

        from pipeline.cli import console

        registry, ticker = _registry(), _checked(ticker)
        served, versions = registry.champion(ticker), registry.versions(ticker)
        _known(ticker, versions)
        screen = console.terminal()
        title = f"v{served.number}" if served else "none: no version has passed the gate"
        screen.print(Text(f"Champion of {ticker}: {title}", style="bold"))
        screen.print(console.table_of_versions(versions, served.number if served else None))
        for move in registry.history(ticker):
            screen.print(Text(_told(move)))


@champion.command("set")
def set_(
    ticker: Ticker,
    version: Annotated[int, typer.Argument(help="A number that `champion show` names.")],
    reason: Reason = "set by hand",
) -> None:
    """Serve another version, whatever the gate said of it."""
    with errors_for_people():
        registry, ticker = _registry(), _checked(ticker)
        registry.set_champion(ticker, version, reason)
        typer.echo(f"Champion of {ticker}: v{version}. The next forecast is made by it.")


@champion.command()
def rollback(ticker: Ticker, reason: Reason = "rolled back by hand") -> None:
    """Serve the version again that was served before the champion."""
    with errors_for_people():
        registry, ticker = _registry(), _checked(ticker)
        version = registry.roll_back(ticker, reason)
        typer.echo(f"Champion of {ticker}: v{version} again. The next forecast is made by it.")


def forecast(
    ticker: Ticker,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Print the newest forecast that a champion of a ticker has made, from the ledger."""
    with errors_for_people():
        from pipeline.errors import DataError
        from pipeline.serving import ledger
        from pipeline.settings import load_settings

        ticker, settings = _checked(ticker), load_settings()
        served, rows = _registry().champion(ticker), ledger.read(settings.ledger_place, ticker)
        if served:  # what was said of the other market is none of its forecasts
            rows = rows[rows["synthetic"] == served.synthetic]
        if served is None or rows.empty:
            market = f"of {'synthetic' if served.synthetic else 'real'} prices " if served else ""
            raise DataError(
                f"A forecast of {ticker} needs a champion, which a run makes.",
                f"none {market}in the ledger" if served else "no champion",
                f"Run closecast run --tickers {ticker}; closecast champion show {ticker} says why it has none.",
            )
        newest = rows.sort_values(["session", "created"]).iloc[-1]
        if as_json:
            told = {name: _plain(value) for name, value in newest.items()} | {"champion": served.number}
            typer.echo(json.dumps(told, indent=1))
            return
        typer.echo(
            f"{ticker}, close of {newest['session']:%A %Y-%m-%d}: {newest['forecast_usd']:,.2f} USD"
            f"{' (SYNTHETIC prices)' if newest['synthetic'] else ''}\n"
            f"80 % interval: {newest['low_80_usd']:,.2f} to {newest['high_80_usd']:,.2f} USD\n"
            f"95 % interval: {newest['low_95_usd']:,.2f} to {newest['high_95_usd']:,.2f} USD\n"
            f"Last close, {newest['as_of']:%Y-%m-%d}: {newest['last_close_usd']:,.2f} USD. "
            f"Made by v{newest['version']} on {newest['created']:%Y-%m-%d %H:%M} UTC."
        )
        if newest["version"] != served.number:
            typer.echo(f"Champion today is v{served.number}: it forecasts when it is run next.")
        if newest["session"] < _today(settings.calendar):
            typer.echo("That session has closed since: run again for the next one.")


def _today(calendar_name: str) -> Any:  # noqa: ANN401 - pandas is imported late
    import pandas as pd

    from pipeline import calendar

    return pd.Timestamp(calendar.last_closed_session(calendar_name, dt.datetime.now(dt.UTC))) + pd.Timedelta(days=1)


def _plain(value: Any) -> Any:  # noqa: ANN401 - a cell of a table
    return value.isoformat() if hasattr(value, "isoformat") else value.item() if hasattr(value, "item") else value


def _registry() -> Registry:
    from pipeline.settings import load_settings
    from pipeline.tracking.registry import Registry

    return Registry(load_settings())


def _checked(ticker: str) -> str:
    from pipeline.plan import checked_tickers

    return checked_tickers((ticker,))[0]


def _known(ticker: str, versions: list[Version]) -> None:
    from pipeline.errors import UsageError

    if not versions:
        raise UsageError(
            "A champion is one of a ticker's registered versions.",
            f"no version of {ticker}",
            f"Train one first: closecast run --tickers {ticker}.",
        )


def _told(move: Move) -> str:
    before = f"v{move.before}" if move.before else "none"
    return f"{move.when:%Y-%m-%d %H:%M:%S} UTC  {before} -> v{move.to}  {move.reason}"
