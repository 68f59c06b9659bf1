"""`closecast run`: one run of all steps, in this process or through Airflow."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.messages import end_like_ctrl_c, errors_for_people, lines_to
from pipeline.cli.options import AsOf, Currency, Prices, Source, Start, Tickers, option, settings_with
from pipeline.settings.fault import FAULTS

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.reporting.progress import Progress
    from pipeline.settings import Settings

_FAULTS = "\n".join(["", "", "\b", *(f"{name}: {damage}" for name, damage in FAULTS.items())])

PresetName = Annotated[str | None, option("preset")]
FaultName = Annotated[str | None, option("fault", _FAULTS)]
Folds = Annotated[str | None, option("walk_forward")]
Changes = Annotated[list[str] | None, option("overrides")]
AcceptRestated = Annotated[bool, option("accept_restated")]
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
) -> None:
    """Run all steps once in this process, or with --airflow through Airflow without its servers."""
    end_like_ctrl_c()
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
            screen = console.terminal(file)
            with lines_to(screen):
                if airflow:
                    logging.getLogger("closecast").info("Airflow starts; its log: %s", log)
                    name = embedded.retrain(settings, overrides)
                else:
                    name = _run_here(settings, overrides, screen)
            _show_results(settings, name, screen, log)


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
    from pipeline import runs, steps
    from pipeline.cli import console
    from pipeline.errors import DataError, PipelineError
    from pipeline.reporting.progress import LogProgress
    from pipeline.store.runs import read_plan

    name = f"local__{dt.datetime.now(dt.UTC):%Y-%m-%dT%H-%M-%S}_{secrets.token_hex(2)}"
    batches = runs.plan(settings, name, overrides=overrides)
    with contextlib.ExitStack() as stack:
        progress: Progress = LogProgress()
        if screen.is_terminal:
            tickers = sum(len(batch["tickers"]) for batch in batches)
            progress = stack.enter_context(console.LiveProgress(screen, tickers, len(steps.FLOW)))
        try:
            for stage in runs.stages(read_plan(settings.store_url, batches[0]["run"]), batches):
                runs.run_stage(settings, stage, progress)
        except BaseException:  # after Ctrl-C or a bug, no run may look as if it were running
            with contextlib.suppress(PipelineError):  # MLflow may be the service that failed
                runs.stop(name, settings)
            raise
    with contextlib.suppress(DataError):  # a failed ticker is shown by the table of results
        runs.report(name, settings=settings)
    return name


def _show_results(settings: Settings, dag_run_id: str, screen: Console, log: Path) -> None:
    """Show the results of a run; exit with 1 when a ticker failed."""
    from pipeline.cli import console
    from pipeline.errors import PipelineError
    from pipeline.plan import folder_name
    from pipeline.reporting import results
    from pipeline.store.runs import read_plan, run_folder

    folder = run_folder(settings.store_url, folder_name(dag_run_id))
    if not folder.exists("results.json"):
        raise PipelineError(
            "A run must end with results.", f"no results.json of run {dag_run_id}", f"Read the end of {log}."
        )
    rows = results.results_of(folder.read("results.json"))
    console.show_results(screen, read_plan(settings.store_url, folder_name(dag_run_id)), rows)
    console.show_next(screen, folder.path("report.html"), log)
    if any(one.reason for one in rows):
        raise typer.Exit(1)
