"""`closecast retry` repeats the failed and skipped tickers of a run."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.messages import end_like_ctrl_c, errors_for_people, lines_to

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.operations.airflow_api import Cleared
    from pipeline.operations.retry import Retry
    from pipeline.settings import Settings
    from pipeline.store.history import PastRun


def retry(
    run: Annotated[str | None, typer.Argument(help="Name of the run; default: the one planned last.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the content of results.json.")] = False,
) -> None:
    """Repeat the failed and skipped tickers of a run, on its plan; finished steps are reused.

    A run of a stack that is up is repeated by its Airflow.
    """
    end_like_ctrl_c()
    with errors_for_people() as log:
        from pipeline.operations import airflow_api
        from pipeline.operations.retry import run_to_retry
        from pipeline.plan import LOCAL
        from pipeline.settings import load_settings

        settings = load_settings()
        past = run_to_retry(settings.store_url, run)
        typer.echo(f"Run {past.dag_run_id}, as of {past.as_of}, preset {past.preset}.", err=True)
        cleared = None if past.dag_run_id.startswith(LOCAL) else airflow_api.clear_failed(settings, past.dag_run_id)
        if cleared is None:
            _repeat_here(settings, past, log, as_json=as_json)
        else:
            _show_cleared(settings, past, cleared, as_json=as_json)


def _show_cleared(settings: Settings, past: PastRun, cleared: Cleared, *, as_json: bool) -> None:
    from pipeline.alerting.notify import airflow_run_page

    page = airflow_run_page(settings, past.dag_run_id)
    if as_json:
        typer.echo(json.dumps({"run": past.dag_run_id, **cleared._asdict(), "links": {"Airflow": page}}, indent=1))
        return
    if not cleared.failed:
        typer.echo(f"Nothing to repeat: no task of this run has failed.\nAirflow: {page}")
        return
    typer.echo(f"Airflow repeats {cleared.failed} failed task(s), and those after them: {cleared.repeated} in all.")
    typer.echo(f"Airflow: {page}")


def _repeat_here(settings: Settings, past: PastRun, log: Path, *, as_json: bool) -> None:
    """Repeat in this process, and show the results of the whole run; exit with 1 when a ticker failed again."""
    from rich.text import Text

    from pipeline.cli import console, terminal
    from pipeline.cli.run import run_stages, show_results
    from pipeline.operations.retry import planned_retry

    with terminal.output_to(log) as file:
        screen = console.terminal(sys.stdout if as_json else file)  # the first is the log by now
        with lines_to(screen):
            planned = planned_retry(settings, past.dag_run_id, past.run)
            screen.print(Text(_announcement(planned, past)))
            if planned.stages:
                run_stages(settings, past.dag_run_id, planned.stages, screen)
        show_results(settings, past.dag_run_id, console.terminal(file), log, as_json=as_json)


def _announcement(planned: Retry, past: PastRun) -> str:
    from pipeline.plan import LOCAL

    if not planned.stages:
        return "Nothing to repeat: every ticker is done."
    text = f"Repeated: {', '.join(planned.unfinished)}."
    others = len(planned.repeated) - len(planned.unfinished)
    if others:
        text += f" All tickers share one network, so the other {others} are trained again with them."
    if not past.dag_run_id.startswith(LOCAL):
        text += (
            " This process repeats them, because the stack is down: Airflow's page keeps the state of the first try."
        )
    return text
