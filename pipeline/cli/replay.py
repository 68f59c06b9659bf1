"""`closecast replay` runs past nights by the clock, and compares policies of the gate."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from pipeline.cli.messages import announce_wait, end_like_ctrl_c, errors_for_people
from pipeline.cli.options import Currency, Prices, Source, Start, Tickers, option, settings_with

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.replay.replay import Finished
    from pipeline.reporting.replayed import Summary
    from pipeline.settings.gate import Policy

PresetName = Annotated[str | None, option("preset")]
First = Annotated[str, typer.Option("--from", help="Session of the first night, YYYY-MM-DD.")]
Last = Annotated[str | None, typer.Option("--to", help="Session of the last night; default: the last closed session.")]
Every = Annotated[int | None, typer.Option(min=1, help="Sessions between trainings; default: retrain_every.")]
Policies = Annotated[
    list[str] | None, typer.Option("--policy", help="unless_worse or if_better; repeat it. Default: that of [gate].")
]


def replay(
    first: First,
    last: Last = None,
    every: Every = None,
    policies: Policies = None,
    tickers: Tickers = None,
    source: Source = None,
    prices: Prices = None,
    currency: Currency = None,
    start: Start = None,
    preset: PresetName = None,
) -> None:
    """Run past nights by the clock with the prices of each, for policies of the gate beside two baselines."""
    end_like_ctrl_c()
    announce_wait("Reading the prices")
    with errors_for_people() as log:
        settings = settings_with(
            tickers=tickers, prices=prices, currency=currency, source=source, start=start, preset=preset, as_of=last
        )
        day = _date(first)
        asked = [_policy(one) for one in policies or [settings.gate.policy]]
        from pipeline.cli import terminal
        from pipeline.plan import make_plan
        from pipeline.replay.replay import replay as again
        from pipeline.settings.private_folders import make_private_folders

        make_private_folders(settings.var_dir)
        now = dt.datetime.now(dt.UTC)
        plan = make_plan(settings, "replay", now=now, moment=now, overrides={})
        with terminal.output_to(log) as file:

            def say(line: str) -> None:
                typer.echo(f"{dt.datetime.now().astimezone():%H:%M:%S} {line}", file=file)

            try:
                done = again(
                    plan,
                    settings,
                    first=day,
                    every=every or settings.retrain_every,
                    policies=asked,
                    workers=os.cpu_count() or 1,
                    say=say,
                )
            except KeyboardInterrupt:
                say("The same command continues this replay.")
                raise
        typer.echo("\n".join(_in_words(done)))
        if done.made.leak:
            raise typer.Exit(1)


def _date(text: str) -> dt.date:
    from pipeline.errors import UsageError

    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError("--from takes a date.", repr(text)[:80], "Write such as --from 2025-01-02.") from None


def _policy(text: str) -> Policy:
    from pipeline.errors import UsageError
    from pipeline.settings.gate import Policy

    for one in get_args(Policy):
        if one == text:
            return one  # type: ignore[no-any-return]
    raise UsageError(
        "--policy takes a policy of the gate.", repr(text)[:80], f"Use one of: {', '.join(get_args(Policy))}."
    )


def _in_words(done: Finished) -> Iterator[str]:
    """Yield the verdict, the table, and where all of it comes from."""
    from pipeline.cli.columns import columns
    from pipeline.reporting import replayed

    made = done.made
    yield replayed.verdict(made)
    yield f"{replayed.title(made)}."
    if made.synthetic:
        yield "SYNTHETIC prices, no evidence about any market."
    heads = ("contender", "live skill", "interval skill", "in 95%", "forecasts", "trained", "promoted", "refused")
    yield from columns([heads, *(_cells(one) for one in made.summaries)])
    yield replayed.source_line(made)
    yield replayed.start_line(made)
    yield replayed.leak_line(made)
    yield f"Report: {done.home / 'report.html'}"


def _cells(one: Summary) -> tuple[str, ...]:
    return (
        one.contender,
        _number(one.live_skill, "+.4f"),
        _number(one.interval_skill_95, "+.3f"),
        _number(one.coverage_95, ".1%"),
        f"{one.forecasts:,}",
        str(one.trained),
        str(one.promoted),
        str(one.refused),
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
