"""`closecast run`: one run of all steps, in this process or through Airflow."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.messages import announce_wait, end_like_ctrl_c, errors_for_people, lines_to
from pipeline.cli.options import AsOf, Currency, Prices, Source, Start, Tickers, option, settings_with
from pipeline.settings.fault import FAULTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from pipeline.reporting.progress import Progress
    from pipeline.runs import Stage
    from pipeline.settings import Settings

_FAULTS = "\n".join(["", "", "\b", *(f"{name}: {damage}" for name, damage in FAULTS.items())])

PresetName = Annotated[str | None, option("preset")]
FaultName = Annotated[str | None, option("fault", _FAULTS)]
Folds = Annotated[str | None, option("walk_forward")]
Changes = Annotated[list[str] | None, option("overrides")]
AcceptRestated = Annotated[bool, option("accept_restated")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the content of results.json; progress goes to the log.")]
ThroughAirflow = Annotated[bool, typer.Option("--airflow", help="Run the DAG `retrain` through Airflow.")]


def run(
    tickers: Tickers = None,
    source: Source = None,
    prices: Prices = None,
    currency: Currency = None,
    start: Start = None,
    as_of: AsOf = None,
    preset: PresetName = None,
    fault: FaultName = None,
    walk_forward: Folds = None,
    changes: Changes = None,
    *,
    accept_restated: AcceptRestated = False,
    airflow: ThroughAirflow = False,
    as_json: AsJson = False,
) -> None:
    """Run all steps once in this process, or with --airflow through Airflow without its servers."""
    end_like_ctrl_c()
    announce_wait("Checking the settings and loading the libraries")
    with errors_for_people() as log:
        settings = settings_with(
            tickers=tickers,
            prices=prices,
            currency=currency,
            source=source,
            start=start,
            as_of=as_of,
            preset=preset,
            fault=fault,
            walk_forward=walk_forward,
            accept_restated=accept_restated,
        )
        overrides = _overrides(changes or [])
        from pipeline.cli.preflight import check

        check(settings, overrides)
        from pipeline.cli import console, terminal
        from pipeline.operations import embedded

        with terminal.output_to(log) as file:
            screen = console.terminal(sys.stdout if as_json else file)  # the first is the log by now
            with lines_to(screen):
                if airflow:
                    logging.getLogger("closecast").info("Airflow starts; its log: %s", log)
                    name = embedded.retrain(settings, overrides)
                else:
                    name = _run_here(settings, overrides, screen)
            show_results(settings, name, console.terminal(file), log, as_json=as_json)


def _overrides(changes: list[str]) -> dict[str, Any]:
    """Return the fields and values of the options `--set FIELD=VALUE`; a value is JSON or else plain text."""
    from pipeline.errors import UsageError

    overrides = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals:
            raise UsageError("--set takes FIELD=VALUE.", repr(change), "Write such as --set epochs=5.")
        try:
            overrides[name] = json.loads(value)
        except json.JSONDecodeError:
            overrides[name] = value
    return overrides


def _run_here(settings: Settings, overrides: dict[str, Any], screen: Console) -> str:
    """Run all steps in this process; return the id of the run."""
    from pipeline import runs
    from pipeline.plan import LOCAL
    from pipeline.store.runs import read_plan

    name = f"{LOCAL}{dt.datetime.now(dt.UTC):%Y-%m-%dT%H-%M-%S}_{secrets.token_hex(2)}"
    batches = runs.plan(settings, name, overrides=overrides)
    run_stages(settings, name, runs.stages(read_plan(settings.store_url, batches[0]["run"]), batches), screen)
    return name


def run_stages(settings: Settings, dag_run_id: str, stages: Sequence[Stage], screen: Console) -> None:
    """Do the stages of a planned run with progress on the screen, and report the run."""
    from pipeline import runs, steps
    from pipeline.cli import console
    from pipeline.errors import DataError, PipelineError
    from pipeline.reporting.progress import LogProgress

    with contextlib.ExitStack() as stack:
        progress: Progress = LogProgress()
        if screen.is_terminal:
            tickers = {ticker for stage in stages for ticker in stage.batch["tickers"]}
            progress = stack.enter_context(console.LiveProgress(screen, len(tickers), len(steps.FLOW)))
        try:
            for stage in stages:
                runs.run_stage(settings, stage, progress)
        except BaseException:  # after Ctrl-C or a bug, no run may look as if it were running
            with contextlib.suppress(PipelineError):  # MLflow may be the service that failed
                runs.stop(dag_run_id, settings)
            raise
    with contextlib.suppress(DataError):  # a failed ticker is shown by the table of results
        runs.report(dag_run_id, settings=settings)


def show_results(settings: Settings, dag_run_id: str, screen: Console, log: Path, *, as_json: bool = False) -> None:
    """Show the results of a run; exit with 1 when a ticker failed."""
    from pipeline.cli import console
    from pipeline.errors import PipelineError
    from pipeline.plan import folder_name
    from pipeline.reporting import results
    from pipeline.reporting.closing import closing_of
    from pipeline.store.runs import read_plan, run_folder

    folder = run_folder(settings.store_url, folder_name(dag_run_id))
    if not folder.exists("results.json"):
        raise PipelineError(
            "A run must end with results.", f"no results.json of run {dag_run_id}", f"Read the end of {log}."
        )
    written = folder.read("results.json")
    rows = results.results_of(written)
    if as_json:
        typer.echo(written.decode(), file=screen.file)
    else:
        console.show_results(screen, read_plan(settings.store_url, folder_name(dag_run_id)), rows)
        console.show_closing(screen, closing_of(written, dag_run_id), log)
    if any(one.reason for one in rows):
        raise typer.Exit(1)
