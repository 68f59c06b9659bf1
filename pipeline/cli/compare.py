"""`closecast compare`: the ladder from naive to LSTM, on the same rows."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from pipeline.cli.messages import errors_for_people, lines_to
from pipeline.cli.run import AsOf, Prices, Source, Start, Tickers


def compare(
    tickers: Tickers = None,
    source: Source = None,
    prices: Prices = None,
    start: Start = None,
    as_of: AsOf = None,
) -> None:
    """Train SimpleRNN, GRU and LSTM and put them beside naive and AR(1) on the same rows. Promotes nothing."""
    with errors_for_people() as log:
        if prices:
            os.environ["CLOSECAST_PRICES"] = str(Path(prices).expanduser().absolute())
        from pipeline.settings import load_settings

        settings = load_settings(
            tickers=tuple(tickers.split(",")) if tickers else None,
            source=source or None,
            start=start or None,
            as_of=as_of or None,
        )
        from pipeline.cli.preflight import check

        check(settings, {})
        from pipeline import ladder
        from pipeline.cli import console, terminal

        with terminal.output_to(log) as file:
            screen = console.terminal(file)
            with lines_to(screen):
                rungs = ladder.compare(settings)
            console.show_ladder(screen, rungs, ladder.medians(rungs))
        if any(one.reason for one in rungs):
            raise typer.Exit(1)
