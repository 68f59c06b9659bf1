"""`closecast forecast` prints the newest forecast of a ticker, or of all of them, from the ledger."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from pipeline.cli.champion import checked_ticker, connected
from pipeline.cli.messages import errors_for_people

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.errors import DataError
    from pipeline.outcome import ForecastRecord
    from pipeline.settings import Settings
    from pipeline.tracking.versions import Version


class _Newest(NamedTuple):
    """The newest forecast of a ticker beside the version that is served today."""

    record: ForecastRecord
    champion: int


def forecast(
    ticker: Annotated[str | None, typer.Argument(help="Such as NFLX.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Print the forecasts of all tickers with a champion.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the quantiles.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, one row per ticker, with the quantiles.")] = False,
) -> None:
    """Print the newest forecast in the ledger that a champion of a ticker made."""
    with errors_for_people():
        from pipeline.settings import load_settings

        _check(ticker, every=every, as_json=as_json, as_csv=as_csv)
        settings = load_settings()
        found = _all(settings) if ticker is None else [_one(settings, checked_ticker(ticker))]
        if as_csv:
            typer.echo(_csv(found), nl=False)
        elif as_json:
            objects = [_fields(one) for one in found]
            typer.echo(json.dumps(objects if every else objects[0], indent=1))
        elif every:
            for one in found:
                typer.echo(_line(one))
        else:
            _show(found[0], settings)


def _check(ticker: str | None, *, every: bool, as_json: bool, as_csv: bool) -> None:
    """Refuse options that exclude each other.

    Raises:
        UsageError: naming them.
    """
    from pipeline.errors import UsageError

    if every == (ticker is not None):
        received = f"{ticker} and --all" if every else "neither"
        raise UsageError("`closecast forecast` takes a ticker or --all.", received, "Write: closecast forecast NFLX.")
    if as_json and as_csv:
        raise UsageError("The output is JSON or CSV.", "--json and --csv", "Leave one of them out.")


def _one(settings: Settings, ticker: str) -> _Newest:
    served = connected().champion(ticker)
    newest = _newest_record(settings.ledger_place, ticker, served)
    if served is None or newest is None:
        raise _no_forecast(ticker, served)
    return _Newest(newest, served.number)


def _all(settings: Settings) -> list[_Newest]:
    """Return the newest forecast of each ticker with a champion; a line on stderr names those without a forecast."""
    from pipeline.errors import DataError

    champions = connected().champions()
    records = {ticker: _newest_record(settings.ledger_place, ticker, one) for ticker, one in champions.items()}
    missing = [ticker for ticker, record in records.items() if record is None]
    found = [_Newest(record, champions[ticker].number) for ticker, record in records.items() if record]
    if not found:
        raise DataError(
            "`closecast forecast --all` needs a champion and its forecast, which a run makes.",
            f"{len(champions)} champion(s), no forecast in the ledger",
            "Run closecast run --tickers NFLX.",
        )
    if missing:
        typer.echo(f"No forecast in the ledger for the champion's prices: {', '.join(missing)}.", err=True)
    return found


def _newest_record(place: str, ticker: str, served: Version | None) -> ForecastRecord | None:
    """Return the ledger's newest forecast for the champion's kind of prices, synthetic or real."""
    from pipeline.serving import ledger

    return ledger.newest(place, ticker, synthetic=served.synthetic) if served else None


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


def _fields(one: _Newest) -> dict[str, Any]:
    fields = {name: _json_value(value) for name, value in one.record.model_dump().items()}
    return {**fields, "champion": one.champion}


def _json_value(value: object) -> object:
    """Return a time in ISO 8601, a date as midnight of that day, and any other value unchanged."""
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, dt.date):
        return dt.datetime.combine(value, dt.time()).isoformat()
    return value


def _csv(found: Sequence[_Newest]) -> str:
    """Return a row for each forecast, with a column for each quantile; a figure that a row lacks is empty."""
    from pipeline.forecasting.intervals import PROBABILITIES

    rows = []
    for one in found:
        values = one.record.model_dump(exclude={"quantiles"}) | {"champion": one.champion}
        quantiles = one.record.quantiles or [None] * len(PROBABILITIES)
        rows.append(values | {f"q{level:02d}": bound for level, bound in zip(PROBABILITIES, quantiles, strict=True)})
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _show(newest: _Newest, settings: Settings) -> None:
    from pipeline import calendar

    record = newest.record
    typer.echo(_in_words(record))
    if record.version != newest.champion:
        typer.echo(f"Champion today is v{newest.champion}. The next run forecasts with it.")
    now = dt.datetime.now(dt.UTC)
    if record.session <= calendar.last_closed_session(settings.calendar, now, settings.closed_sessions):
        typer.echo("That session has closed. Start a run for the next one.")


def _in_words(record: ForecastRecord) -> str:
    from pipeline.evaluation.amounts import amount_text

    def amount(value: float) -> str:
        return amount_text(value, currency=record.currency)

    bounds = [(80, record.low_80, record.high_80), (95, record.low_95, record.high_95)]
    if record.low_50 is not None and record.high_50 is not None:
        bounds.insert(0, (50, record.low_50, record.high_50))
    made_by = f"Made by v{record.version} on {record.created:%Y-%m-%d %H:%M} UTC."
    lines = [
        f"{record.ticker}, close of {record.session:%A %Y-%m-%d}: {amount(record.forecast)}{_synthetic(record)}",
        *(f"{level} % interval: {amount_text(low)} to {amount(high)}" for level, low, high in bounds),
        f"Last close, {record.as_of:%Y-%m-%d}: {amount(record.last_close)}. {made_by}",
    ]
    return "\n".join(lines)


def _line(one: _Newest) -> str:
    from pipeline.evaluation.amounts import amount_text

    record = one.record
    made = amount_text(record.forecast, currency=record.currency)
    bounds = f"{amount_text(record.low_95)} to {amount_text(record.high_95)}"
    version = f"v{record.version}" + ("" if record.version == one.champion else f", champion today v{one.champion}")
    return f"{record.ticker} {record.session}: {made}, 95 % {bounds} ({version}){_synthetic(record)}"


def _synthetic(record: ForecastRecord) -> str:
    return " (SYNTHETIC prices)" if record.synthetic else ""
