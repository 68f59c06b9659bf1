"""The life of a run: `plan` fixes it, `report` closes it, `stop` ends it early. `pipeline.runner` does the steps."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from typing import TYPE_CHECKING, Literal, NamedTuple

from pipeline import calendar, runner
from pipeline.alerting import notify
from pipeline.errors import Damaged, DataError, PartlyFailed, PipelineError, Unavailable, UsageError
from pipeline.outcome import Finding, manifests_bytes
from pipeline.plan import MOST_BATCHES, Batch, Plan, covers_universe, folder_name, make_plan
from pipeline.prices import closures
from pipeline.reporting import notes, results
from pipeline.reporting import report as reports
from pipeline.reporting.closing import closing, closing_of, results_json
from pipeline.reporting.links import links_of
from pipeline.reporting.verdict import interval_verdict, verdict
from pipeline.serving import ages, ledger
from pipeline.settings import Settings, load_settings
from pipeline.steps import FLOW, Step
from pipeline.store import night_record
from pipeline.store.closures import presumed_closures, remove_closures, write_closures
from pipeline.store.deleted import require_kept
from pipeline.store.runs import earlier_folders, read_plan, run_folder, unit_folder
from pipeline.store.upkeep import require_no_upkeep
from pipeline.tracking.runs import Runs, Tracked
from pipeline.versions import checkout

log = logging.getLogger("closecast")

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.outcome import Manifest
    from pipeline.reporting.progress import Progress


def plan(
    settings: Settings,
    dag_run_id: str,
    *,
    moment: dt.datetime | None = None,
    overrides: Mapping[str, object] | None = None,
    until: Literal["evaluate", "forecast"] = "forecast",
    slots: int = MOST_BATCHES,
    most_batches: int = MOST_BATCHES,
    ask_hours: float = 0.0,
) -> list[Batch]:
    """Fix the plan of a run, open its MLflow run and return its batches. A second call returns the first one's plan.

    Args:
        settings: with the run's parameters already in them.
        dag_run_id: name of the run.
        moment: the aware time of the run; None means now.
        overrides: fields of the preset to change for this run only.
        until: name of the last step.
        slots: tasks that may run at the same time; with `batch_size = auto` each of them gets a batch.
        most_batches: limit of their number.
        ask_hours: that an unexplained restatement waits for a person; 0 in a run that no stack started.

    Raises:
        PipelineError: as `check` does.
    """
    now = dt.datetime.now(dt.UTC)
    folder = run_folder(settings.store_url, folder_name(dag_run_id))
    try:
        require_no_upkeep(settings.store_url)
        if folder.exists("plan.json"):  # a retry uses the plan of the first try
            made = read_plan(settings.store_url, folder_name(dag_run_id))
            if made.dag_run_id != dag_run_id:
                raise UsageError(
                    "Two runs must not share a folder.",
                    f"{dag_run_id!r} after {made.dag_run_id!r}, both {made.run!r} in the store",
                    "Start the run under another name, or without one.",
                )
        else:
            made = make_plan(
                settings,
                dag_run_id,
                now=now,
                moment=moment or now,
                overrides=overrides or {},
                until=until,
                slots=slots,
                presumed_closures=presumed_closures(settings.store_url, settings.calendar, settings.source),
                ask_hours=ask_hours,
            )
            if settings.ledger:  # a wrong ledger ends the run before the training
                ledger.check(settings.ledger_place)
            night_record.write(folder, settings, made.model_dump_json(indent=1).encode(), checkout())
            require_no_upkeep(settings.store_url)  # pruning that began meanwhile has not seen the plan
        require_kept(settings.store_url, made.run, made.tickers)
        Runs(settings).open_parent(made)
    except PipelineError as error:
        log.error("plan: FAILED: %s", error)  # noqa: TRY400 - the caller keeps the traceback
        raise
    log.info(
        "plan: %s, as of %s, %d ticker(s), preset %s", made.source, made.as_of, len(made.tickers), made.preset_name
    )
    if ending := _calendar_notice(made):
        log.warning("plan: %s", ending)
    return made.batches(most_batches)


def report(dag_run_id: str, *, settings: Settings | None = None, answered: str = "") -> None:
    """Gather a run's results, write its page, end its MLflow run and send the alerts.

    Args:
        dag_run_id: name of the run.
        settings: default: those of the environment.
        answered: the ticker that a person decided about after the first report: alerts are about this one alone.

    Raises:
        DataError: when a ticker failed, so that the run is red in Airflow's page.
        UsageError: when the run has no plan.
    """
    settings = settings or load_settings()
    folder = run_folder(settings.store_url, folder_name(dag_run_id))
    if not folder.exists("plan.json"):
        raise UsageError(
            "A run can be reported once it has a plan.", f"no plan.json for {dag_run_id}", "See why `plan` failed."
        )
    planned = read_plan(settings.store_url, folder_name(dag_run_id))
    tracking = Runs(settings, together=True)
    manifests = {ticker: _manifests(settings, planned, ticker) for ticker in planned.tickers}
    tracked = {ticker: tracking.tracked(planned, ticker) for ticker in planned.tickers}
    closed = closures.of_run(planned, manifests)
    write_closures(settings.store_url, planned, closed.found)
    remove_closures(settings.store_url, planned, closed.opened)
    sections = _sections(settings, planned, manifests, tracked, closed)
    rows = [section.result for section in sections]
    failed = [row for row in rows if row.reason]
    is_whole_night = covers_universe(planned, load_settings())
    record = night_record.read(folder)
    gaps = night_record.gaps_finding(night_record.gaps(record, manifests))
    notices = {"calendar": _calendar_notice(planned), "closure": closed.notice, "record": gaps}
    if is_whole_night:  # a run of one ticker says nothing about the others
        notices["forecasts"] = _forecasts_notice(settings, planned, rows)
    if not closed.notice and not closed.opened:
        del notices["closure"]  # that of an earlier night still holds
    found = links_of(settings, dag_run_id, tracking.night_page())
    pages = {ticker: tracking.page(run.id) for ticker, run in tracked.items()}
    page = reports.page(planned, sections, [one for one in notices.values() if one], links=found, run_pages=pages)
    folder.write("report.html", page)
    end = closing(dag_run_id, rows, found.by_name)
    ended = results_json(end, rows)
    folder.write("results.json", ended)
    tracking.close_parent(
        planned,
        failed=bool(failed),
        metrics=results.summary(rows),
        files={
            "report.html": page,
            "results.json": ended,
            **night_record.recorded_files(folder, record),
            **{f"manifests/{ticker}.json": manifests_bytes(several) for ticker, several in manifests.items()},
        },
        note=f"{verdict(rows)}\n\n{interval_verdict(rows)}\n\n{notes.table(rows, tracking.page)}",
    )
    if answered:
        manifests, notices = {answered: manifests[answered]}, {}
    notify.send_run_alerts(
        settings,
        planned,
        {ticker: [one for one in several if one] for ticker, several in manifests.items()},
        failed={row.ticker: row.reason for row in failed},
        pages=pages,
        notices=notices,
        excused=closed.stopped,
    )
    # A manual run of fewer tickers does not finish the night. On a closure there is nothing to wait for.
    if (len(failed) < len(rows) or planned.as_of in closed.found) and is_whole_night and not answered:
        notify.mark_finished(settings, planned)
    if failed:
        reasons = [f"{row.ticker} in {row.step}: {row.reason}" for row in failed if row.ticker not in closed.stopped]
        if closed.stopped:
            reasons.append(f"{len(closed.stopped)} ticker(s): {closed.notice}")
        raise DataError(
            "Every ticker of a run must pass every step.",
            "; ".join(reasons),
            "See the report; tickers not named here are done.",
        )


def note(dag_run_id: str, settings: Settings) -> str:
    """Return a finished run in few words, with links; "" before it has results."""
    folder = run_folder(settings.store_url, folder_name(dag_run_id))
    if not folder.exists("results.json"):
        return ""
    ended = folder.read("results.json")
    found = closing_of(ended, dag_run_id).links
    return notes.run_note(results.results_of(ended), (f"[MLflow]({found['MLflow']})", f"Report: {found['Report']}"))


def _calendar_notice(planned: Plan) -> Finding | None:
    """Return a warning while the calendar ends soon."""
    if not (ending := calendar.nearing_end(planned.calendar, planned.created)):
        return None
    return Finding(
        rule="The calendar should know the sessions of the next weeks",
        severity="warning",
        observed=f"{ending}; no run is scheduled after that day",
        todo=calendar.UPGRADE,
    )


def _forecasts_notice(settings: Settings, planned: Plan, rows: Sequence[results.Result]) -> Finding | None:
    """Return a warning while tickers have no recent forecast. A comparison makes no forecasts."""
    if planned.until != "forecast":
        return None
    without = [row.ticker for row in rows if not row.forecast_session]
    return ages.old_forecasts_finding(
        ages.old_forecasts(settings.ledger_place, without, planned), planned.gate.max_forecast_age
    )


def _manifests(settings: Settings, planned: Plan, ticker: str) -> list[Manifest | None]:
    folder = unit_folder(settings.store_url, ticker, planned)
    return [folder.manifest(step.name) for step in FLOW]


def _sections(
    settings: Settings,
    planned: Plan,
    manifests: Mapping[str, Sequence[Manifest | None]],
    tracked: Mapping[str, Tracked],
    closed: closures.Closures,
) -> list[reports.Section]:
    """Return each ticker's part of the report."""
    from pipeline.reporting import plots

    earlier = earlier_folders(settings.store_url, planned)
    sections = []
    for ticker, its_manifests in manifests.items():
        folder = unit_folder(settings.store_url, ticker, planned)
        try:
            section = reports.section(ticker, folder, its_manifests, tracked[ticker].id)
        except Damaged as error:
            sections.append(reports.damaged_section(ticker, its_manifests, tracked[ticker].id, error))
            continue
        section = section._replace(result=section.result._replace(tracking_seconds=tracked[ticker].seconds))
        if ticker in closed.stopped and closed.notice:
            section = section._replace(result=section.result._replace(reason=closed.notice.rule))
        skills = results.skills(planned.as_of, section.result.skill, earlier[ticker])
        if len(skills) > 1:
            picture = reports.Picture("skill of the last runs", plots.skills(skills, ticker))
            section = section._replace(pictures=(*section.pictures, picture))
        sections.append(section)
    return sections


def flow(planned: Plan) -> tuple[Step, ...]:
    """Return the steps of a run, in order."""
    return FLOW[: [step.name for step in FLOW].index(planned.until) + 1]


class Stage(NamedTuple):
    """Steps that a batch passes without waiting for other batches."""

    steps: tuple[Step, ...]
    batch: Batch


def stages(planned: Plan, batches: Sequence[Batch]) -> list[Stage]:
    """Return the work of a run in an order that one process may follow.

    Where all tickers share a network, `train` gathers all batches and comes after every `window`.

    Args:
        planned: the run.
        batches: those of the run, or a part of them.
    """
    steps = flow(planned)
    if not planned.shares_network:
        return [Stage(steps, batch) for batch in batches]
    train = [step.name for step in steps].index("train")
    before, training, after = steps[:train], steps[train : train + 1], steps[train + 1 :]
    return [
        *(Stage(before, batch) for batch in batches),
        *(Stage(training, batch) for batch in planned.trainings(batches)),
        *(Stage(after, batch) for batch in batches),
    ]


def run_stage(settings: Settings, stage: Stage, progress: Progress | None) -> None:
    """Do the steps of a stage in this process, until none of its tickers is left: the report names the failed ones."""
    with contextlib.suppress(DataError, Unavailable):
        for step in stage.steps:
            with contextlib.suppress(PartlyFailed):
                runner.run(step.name, stage.batch, settings=settings, progress=progress)


def stop(dag_run_id: str, settings: Settings) -> None:
    """End the MLflow runs of a run that a person stopped."""
    Runs(settings).kill(read_plan(settings.store_url, folder_name(dag_run_id)))
