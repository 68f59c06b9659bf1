"""`closecast run`."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.messages import end_like_ctrl_c, errors_for_people, lines_to
from pipeline.settings.fault import FAULTS
from pipeline.settings.parameters import BY_NAME

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.plan import Batch
    from pipeline.progress import Progress
    from pipeline.settings import Settings

_FAULTS = "\n".join(["", "", "\b", *(f"{name}: {damage}" for name, damage in FAULTS.items())])


def option(name: str, more: str = "") -> Any:  # noqa: ANN401 - what Typer returns
    """Return the option of a run parameter; `more` follows its description."""
    parameter = BY_NAME[name]
    return typer.Option(parameter.option, help=parameter.description + more)


Tickers = Annotated[str | None, option("tickers")]
Source = Annotated[str | None, option("source")]
Prices = Annotated[str | None, option("prices")]
Start = Annotated[str | None, option("start")]
AsOf = Annotated[str | None, option("as_of")]
PresetName = Annotated[str | None, option("preset")]
FaultName = Annotated[str | None, option("fault", _FAULTS)]
Folds = Annotated[str | None, option("walk_forward")]
Changes = Annotated[list[str] | None, option("overrides")]
AcceptRestated = Annotated[bool, option("accept_restated")]


def run(
    tickers: Tickers = None,
    source: Source = None,
    prices: Prices = None,
    start: Start = None,
    as_of: AsOf = None,
    preset: PresetName = None,
    fault: FaultName = None,
    walk_forward: Folds = None,
    changes: Changes = None,
    *,
    accept_restated: AcceptRestated = False,
    airflow: Annotated[bool, typer.Option("--airflow", help="Through Airflow, the DAG `retrain`.")] = False,
) -> None:
    """Run all steps once: in this process, or as Airflow would, without its servers."""
    end_like_ctrl_c()
    with errors_for_people() as log:
        if prices:
            os.environ["CLOSECAST_PRICES"] = str(Path(prices).expanduser().absolute())  # for Airflow's tasks too
        from pipeline.settings import load_settings

        settings = load_settings(  # an empty option counts as not given
            tickers=tuple(tickers.split(",")) if tickers else None,
            source=source or None,
            start=start or None,
            as_of=as_of or None,
            preset=preset or None,
            fault=fault or None,
            walk_forward=walk_forward or None,
            accept_restated=accept_restated or None,
        )
        overrides = _overrides(changes)
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
            _finish(settings, name, screen, log)


def _overrides(changes: list[str] | None) -> dict[str, Any]:
    from pipeline.errors import UsageError

    overrides = {}
    for change in changes or []:
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
    from pipeline.progress import LogProgress

    name = f"local__{dt.datetime.now(dt.UTC):%Y-%m-%dT%H-%M-%S}_{secrets.token_hex(2)}"
    batches = runs.plan(settings, name, overrides=overrides)
    with contextlib.ExitStack() as stack:
        progress: Progress = LogProgress()
        if screen.is_terminal:
            tickers = sum(len(batch["tickers"]) for batch in batches)
            progress = stack.enter_context(console.LiveProgress(screen, tickers, len(steps.FLOW)))
        try:
            for batch in batches:
                _all_steps(settings, batch, progress)
        except BaseException:  # Ctrl-C or a bug: nothing may look as if it still ran
            with contextlib.suppress(PipelineError):  # MLflow may be what is away
                runs.stop(name, settings)
            raise
    with contextlib.suppress(DataError):  # a ticker that failed: the table that follows says it
        runs.report(name, settings=settings)
    return name


def _all_steps(settings: Settings, batch: Batch, progress: Progress) -> None:
    from pipeline import runner, steps
    from pipeline.errors import DataError, Unavailable

    with contextlib.suppress(DataError, Unavailable):  # no ticker left: the findings are kept and reported
        for step in steps.FLOW:
            runner.run(step.name, batch, settings=settings, progress=progress)


def _finish(settings: Settings, dag_run_id: str, screen: Console, log: Path) -> None:
    """Show the results of a run; exit with 1 when a ticker failed."""
    from pipeline.cli import console
    from pipeline.errors import PipelineError
    from pipeline.plan import folder_name
    from pipeline.reporting import results
    from pipeline.store.runs import read_plan, run_folder

    folder = run_folder(settings.store_url, folder_name(dag_run_id))
    if not folder.exists("results.json"):
        raise PipelineError("A run must end with results.", f"none of run {dag_run_id}", f"Read the end of {log}.")
    rows = results.results_of(folder.read("results.json"))
    console.show_results(screen, read_plan(settings.store_url, folder_name(dag_run_id)), rows)
    console.show_next(screen, folder.path("report.html"), log)
    if any(one.reason for one in rows):
        raise typer.Exit(1)
