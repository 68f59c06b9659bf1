"""The contract of a step, in one place: reuse, run, save, log, isolate.

Whoever calls (an Airflow task, `closecast run`) says `run("train", batch)`. For each ticker of the batch:

1. a step that already finished here with the same inputs, plan and code is not done again;
2. otherwise its function runs; a `PipelineError` becomes a critical finding of this ticker and stops no other;
3. its files, then its manifest are written, each atomically;
4. the manifest is shown in MLflow, which changes nothing when it is there already.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, Literal

from pipeline.alerting import notify
from pipeline.errors import DataError, PipelineError, UsageError
from pipeline.plan import Batch, Plan, folder_name, make_plan
from pipeline.serving import ledger
from pipeline.settings import Settings, load_settings
from pipeline.steps import FLOW, Step
from pipeline.store.runs import earlier_folders, read_plan, run_folder, unit_folder
from pipeline.tracking.runs import Tracker

log = logging.getLogger("closecast")

if TYPE_CHECKING:
    from collections.abc import Mapping


def plan(
    settings: Settings,
    dag_run_id: str,
    *,
    moment: dt.datetime | None = None,
    overrides: Mapping[str, object] | None = None,
    until: Literal["evaluate", "forecast"] = "forecast",
) -> list[Batch]:
    """Fix the plan of a run, open its MLflow run and return its batches. A second call returns the first one's plan.

    Args:
        settings: with the run's parameters already in them.
        dag_run_id: name of the run.
        moment: the aware time that the run stands for; None means now.
        overrides: fields of the preset to change for this run only.
        until: name of the last step.

    Raises:
        PipelineError: as `check` does.
    """
    now = dt.datetime.now(dt.UTC)
    folder = run_folder(settings.store_url, folder_name(dag_run_id))
    try:
        if folder.exists("plan.json"):  # a retry must see what the first attempt saw
            made = read_plan(settings.store_url, folder_name(dag_run_id))
            if made.dag_run_id != dag_run_id:
                raise UsageError(
                    "Two runs must not share a folder.",
                    f"{dag_run_id!r} after {made.dag_run_id!r}, both {made.run!r} in the store",
                    "Start the run under another name, or without one.",
                )
        else:
            made = make_plan(
                settings, dag_run_id, now=now, moment=moment or now, overrides=overrides or {}, until=until
            )
            if settings.ledger:  # a wrong one is said tonight, not after the training
                ledger.check(settings.ledger_place)
            folder.write("plan.json", made.model_dump_json(indent=1).encode())
        Tracker(settings).open_parent(made)
    except PipelineError as error:
        log.error("plan: FAILED: %s", error)  # noqa: TRY400 - whoever catches it keeps the traceback
        raise
    log.info(
        "plan: %s, as of %s, %d ticker(s), preset %s", made.source, made.as_of, len(made.tickers), made.preset_name
    )
    return made.batches()


def report(dag_run_id: str, *, settings: Settings | None = None) -> None:
    """Gather a run's results, write its page, end its MLflow run and tell people what is news.

    Raises:
        DataError: when a ticker failed, so that the run is red in Airflow's page.
        UsageError: when the run has no plan.
    """
    from pipeline.reporting import plots, report, results

    settings = settings or load_settings()
    if not run_folder(settings.store_url, folder_name(dag_run_id)).exists("plan.json"):
        raise UsageError(
            "A run can be reported once it has a plan.", f"none for {dag_run_id}", "See why `plan` failed."
        )
    planned = read_plan(settings.store_url, folder_name(dag_run_id))
    tracker = Tracker(settings)
    folders = {ticker: unit_folder(settings.store_url, ticker, planned) for ticker in planned.tickers}
    manifests = {ticker: [unit.manifest(step.name) for step in FLOW] for ticker, unit in folders.items()}
    units = {ticker: tracker.unit_run(planned, ticker) for ticker in folders}
    runs = {ticker: str(run.info.run_id) for ticker, run in units.items()}
    earlier, sections = earlier_folders(settings.store_url, planned), []
    for ticker, unit in folders.items():
        came_to = units[ticker].data.tags.get("decision", "")
        section = report.section(ticker, unit, manifests[ticker], runs[ticker], came_to)
        skills = results.skills(planned.as_of, section.result.skill, earlier[ticker])
        if len(skills) > 1:
            picture = report.Picture("skill of the last runs", plots.skills(skills, ticker))
            section = section._replace(pictures=(*section.pictures, picture))
        sections.append(section)
    rows = [one.result for one in sections]
    page = report.page(planned, sections)
    folder = run_folder(settings.store_url, planned.run)
    failed = [one for one in rows if one.reason]
    folder.write("report.html", page)
    folder.write("results.json", results.results_bytes(rows))
    tracker.close_parent(planned, failed=bool(failed), metrics=results.summary(rows), page=page)
    ended = {ticker: [one for one in several if one] for ticker, several in manifests.items()}
    page_of = {ticker: tracker.page(run) for ticker, run in runs.items()}
    notify.tell(settings, planned, ended, failed={one.ticker: one.reason for one in failed}, pages=page_of)
    # A run of fewer tickers, tried by hand, is not the one that is waited for.
    if len(failed) < len(rows) and set(planned.tickers) >= set(load_settings().tickers):
        notify.mark_finished(settings, planned)
    if failed:
        raise DataError(
            "Every ticker of the run must get through.",
            "; ".join(f"{one.ticker} in {one.step}: {one.reason}" for one in failed),
            "See the report; tickers not named here are done.",
        )


def flow(planned: Plan) -> tuple[Step, ...]:
    """Return the steps of a run, in order."""
    return FLOW[: [step.name for step in FLOW].index(planned.until) + 1]


def stop(dag_run_id: str, settings: Settings) -> None:
    """End the MLflow runs of a run that a person stopped."""
    Tracker(settings).kill(read_plan(settings.store_url, folder_name(dag_run_id)))
