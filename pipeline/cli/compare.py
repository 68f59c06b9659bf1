"""`closecast compare`: the ladder from naive to LSTM, on the same rows."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from pipeline.cli.messages import errors_for_people, lines_to
from pipeline.cli.options import AsOf, Currency, Prices, Source, Start, Tickers, settings_with


def compare(
    tickers: Tickers = None,
    source: Source = None,
    prices: Prices = None,
    currency: Currency = None,
    start: Start = None,
    as_of: AsOf = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; progress goes to the log.")] = False,
) -> None:
    """Train SimpleRNN, GRU and LSTM and compare them with simple forecasters on the same rows. Promotes nothing."""
    with errors_for_people() as log:
        settings = settings_with(
            tickers=tickers, prices=prices, source=source, currency=currency, start=start, as_of=as_of
        )
        from pipeline.cli.preflight import check

        check(settings, {})
        from pipeline import ladder
        from pipeline.cli import console, terminal

        with terminal.output_to(log) as file:
            screen = console.terminal(sys.stdout if as_json else file)  # the first is the log by now
            with lines_to(screen):
                rungs = ladder.compare(settings)
            if as_json:
                typer.echo(json.dumps([one._asdict() for one in rungs], indent=1), file=file)
            else:
                console.show_ladder(screen, rungs, ladder.medians(rungs), ladder.medians(rungs, "interval_skill_95"))
        if any(one.reason for one in rungs):
            raise typer.Exit(1)
