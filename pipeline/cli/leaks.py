"""`closecast leaks` looks for leaks on the newest snapshots, with the preset of the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.champion import checked_ticker
from pipeline.cli.messages import announce_wait, errors_for_people

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.audit.leaks import Stage


def leaks(
    tickers: Annotated[
        list[str] | None, typer.Argument(help="Such as NFLX AAPL; default: those of the settings.")
    ] = None,
) -> None:
    """Change all that a night could not know, make it again, and name the first figure that changed (3 trainings)."""
    with errors_for_people() as log:
        from pipeline.cli import terminal
        from pipeline.settings import load_settings

        settings = load_settings()
        from pipeline.audit import leaks as checks
        from pipeline.audit import night, snapshots
        from pipeline.plan import universe

        announce_wait("Training three times; this takes minutes")
        wanted = tuple(checked_ticker(one) for one in tickers) if tickers else universe(settings)
        with terminal.output_to(log):
            plan, prices, leak = snapshots.newest(settings.store_url, wanted)
            planned = night.plan_of(plan, settings, wanted)
            found = [checks.Stage("snapshot", leak), *checks.leaks(planned, prices, settings)]
        typer.echo(_in_words(found, f"{len(wanted)} ticker(s), preset {settings.preset}, as of {plan.as_of}"))
        if not all(one.passed for one in found):
            raise typer.Exit(1)


def _in_words(found: Sequence[Stage], about: str) -> str:
    leaking = [one.name for one in found if not one.passed]
    verdict = f"LEAK in {leaking[0]}: {about}." if leaking else f"No leak: {about}."
    return "\n".join([verdict, *(f"{one.name:12}{one.leak or 'passed'}" for one in found)])
