"""`closecast champion ...` shows and changes the served version; `closecast forecast` prints its newest forecast."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.messages import errors_for_people

if TYPE_CHECKING:
    from pipeline.errors import DataError
    from pipeline.outcome import ForecastRecord
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
def show(ticker: Ticker) -> None:
    """Show the champion of a ticker, all versions with their verdicts, and every change of the champion."""
    with errors_for_people():
        from rich.text import Text

        from pipeline.cli import console

        ticker = _checked_ticker(ticker)
        registry = _registry()
        served = registry.champion(ticker)
        versions = registry.versions(ticker)
        _require_versions(ticker, versions)
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
        ticker = _checked_ticker(ticker)
        _registry().set_champion(ticker, version, reason)
        typer.echo(f"Champion of {ticker}: v{version}. The next forecast is made by it.")


@champion.command()
def rollback(ticker: Ticker, reason: Reason = "rolled back by hand") -> None:
    """Serve the version again that was served before the champion."""
    with errors_for_people():
        ticker = _checked_ticker(ticker)
        version = _registry().roll_back(ticker, reason)
        typer.echo(f"Champion of {ticker}: v{version} again. The next forecast is made by it.")


def forecast(
    ticker: Ticker,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the newest forecast in the ledger that a champion of a ticker made."""
    with errors_for_people():
        from pipeline import calendar
        from pipeline.settings import load_settings

        ticker = _checked_ticker(ticker)
        settings = load_settings()
        served = _registry().champion(ticker)
        newest = _newest_record(settings.ledger_place, ticker, served)
        if served is None or newest is None:
            raise _no_forecast(ticker, served)
        if as_json:
            typer.echo(_as_json(newest, served.number))
            return
        typer.echo(_in_words(newest))
        if newest.version != served.number:
            typer.echo(f"Champion today is v{served.number}. The next run forecasts with it.")
        now = dt.datetime.now(dt.UTC)
        if newest.session <= calendar.last_closed_session(settings.calendar, now, settings.closed_sessions):
            typer.echo("That session has closed. Start a run for the next one.")


def _newest_record(place: str, ticker: str, served: Version | None) -> ForecastRecord | None:
    """Return the ledger's newest forecast for the champion's kind of prices, synthetic or real."""
    from pipeline.serving import ledger

    if served is None:
        return None
    rows = ledger.read(place, ticker)
    rows = rows[rows["synthetic"] == served.synthetic]
    return None if rows.empty else ledger.record_of(rows.iloc[-1])


def _no_forecast(ticker: str, served: Version | None) -> DataError:
    from pipeline.errors import DataError

    received = "no champion"
    if served:
        received = f"no forecast from {'synthetic' if served.synthetic else 'real'} prices in the ledger"
    return DataError(
        f"`closecast forecast` needs a champion of {ticker} and its forecast, which a run makes.",
        received,
        f"Run closecast run --tickers {ticker}. closecast champion show {ticker} gives the verdict of each version.",
    )


def _as_json(record: ForecastRecord, champion: int) -> str:
    fields = {name: _json_value(value) for name, value in record.model_dump().items()}
    return json.dumps({**fields, "champion": champion}, indent=1)


def _json_value(value: object) -> object:
    """Return a time in ISO 8601, a date as midnight of that day, and any other value unchanged."""
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, dt.date):
        return dt.datetime.combine(value, dt.time()).isoformat()
    return value


def _in_words(record: ForecastRecord) -> str:
    from pipeline.evaluation.amounts import amount_text

    def amount(value: float) -> str:
        return amount_text(value, currency=record.currency)

    synthetic = " (SYNTHETIC prices)" if record.synthetic else ""
    return (
        f"{record.ticker}, close of {record.session:%A %Y-%m-%d}: {amount(record.forecast)}{synthetic}\n"
        f"80 % interval: {amount_text(record.low_80)} to {amount(record.high_80)}\n"
        f"95 % interval: {amount_text(record.low_95)} to {amount(record.high_95)}\n"
        f"Last close, {record.as_of:%Y-%m-%d}: {amount(record.last_close)}. "
        f"Made by v{record.version} on {record.created:%Y-%m-%d %H:%M} UTC."
    )


def _registry() -> Registry:
    from pipeline.settings import load_settings
    from pipeline.tracking.registry import Registry

    return Registry(load_settings())


def _checked_ticker(ticker: str) -> str:
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


def _history_line(move: Move) -> str:
    before = f"v{move.before}" if move.before else "none"
    return f"{move.when:%Y-%m-%d %H:%M:%S} UTC  {before} -> v{move.to}  {move.reason}"
