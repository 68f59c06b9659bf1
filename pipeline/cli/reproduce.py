"""`closecast reproduce` makes a past night again, and compares it with its record."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.messages import end_like_ctrl_c, errors_for_people

if TYPE_CHECKING:
    from pipeline.audit.reproduce import Reproduced, Reproduction, Stage


def reproduce(
    name: Annotated[
        str, typer.Argument(help="A run, a version (NFLX@3), or the ledger's row of a session (NFLX@2025-11-21).")
    ],
) -> None:
    """Make a past night again with its code, prices and champion, and name the first figure that differs."""
    end_like_ctrl_c()
    with errors_for_people():
        from pipeline.settings import load_settings

        settings = load_settings()
        from pipeline.audit.night_names import named
        from pipeline.audit.reproduce import reproduce as again

        found = named(settings.store_url, settings.ledger_place, name)
        made = again(found.run, found.tickers, settings, lambda line: typer.echo(line, err=True))
        typer.echo("\n".join(_in_words(name, made)))
        if made.failed:
            raise typer.Exit(1)


def _in_words(name: str, made: Reproduction) -> Iterator[str]:
    """Yield the verdict, the code, the machine, and one line per stage."""
    yield _verdict(name, made)
    if made.code:
        yield f"Code: {made.code}"
    for difference in made.other_machine:
        yield f"Another machine: {difference}"
    for one in made.tickers:
        if len(made.tickers) > 1:
            yield one.ticker
        yield from (f"{stage.name:9} {_result(stage)}" for stage in one.stages)


def _verdict(name: str, made: Reproduction) -> str:
    night = f"{name}, as of {made.run.as_of}"
    if made.failed:
        return f"NOT reproduced: {night}. {_first(made.failed)}"
    if not made.other_machine:
        return f"Reproduced to the last bit: {night}."
    largest = max(one.largest for one in made.tickers)
    return f"Reproduced on another machine: {night}. Largest relative difference {largest:.1e} (limit {made.limit:g})."


def _first(one: Reproduced) -> str:
    assert one.first is not None  # noqa: S101 - a ticker that failed has a difference
    return f"First difference of {one.ticker}, in {one.first.name}: {one.first.compared.first}"


def _result(stage: Stage) -> str:
    if stage.compared.first:
        size = stage.compared.largest
        amount = f" by {size:.1e} of the largest value" if math.isfinite(size) else ""
        return f"DIFFERS{amount}; first: {stage.compared.first}"
    if stage.files:
        return f"equal: {stage.compared.total:,} values in {stage.files} file(s)"
    return "as it was written"
