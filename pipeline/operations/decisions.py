"""Questions to a person about restated histories, and what follows from an answer.

A ticker that waits has left its run. The DAG `decide` asks on Airflow's page of required actions, one run for each
ticker and snapshot. An answer is written beside the files of the unit, and the steps after `ingest` are done again.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from pipeline import runner, runs
from pipeline.errors import DataError, UsageError
from pipeline.operations.dag_docs import ACCEPT, REJECT
from pipeline.outcome import ANSWER, Answer
from pipeline.plan import Batch, folder_name
from pipeline.prices import snapshot
from pipeline.prices.comparison import RESTATEMENT
from pipeline.reporting.closing import read_results
from pipeline.reporting.links import links_of
from pipeline.store.formats import json_of, sha256
from pipeline.store.runs import read_plan, run_folder, unit_folder

if TYPE_CHECKING:
    from pipeline.plan import Plan
    from pipeline.settings import Settings
    from pipeline.store.folder import Folder

DAG = "decide"
_MAX_REASON = 1000  # characters: a tag in MLflow has the whole reason


class Question(NamedTuple):
    """A ticker that waits. Airflow has one run of `decide` for each."""

    run_id: str  # of the run of `decide`
    ticker: str
    data_sha256: str  # of the rows that the question is about


class Shown(NamedTuple):
    """A question as Airflow's page shows it."""

    subject: str  # one line
    body: str  # Markdown
    data_sha256: str  # of the rows that it is about


def questions(settings: Settings, dag_run_id: str) -> list[Question]:
    """Return the tickers of a run that wait for an answer, in the order of the plan."""
    folder = run_folder(settings.store_url, folder_name(dag_run_id))
    if not folder.exists("plan.json"):
        return []
    planned = read_plan(settings.store_url, folder_name(dag_run_id))
    if not planned.ask_hours:
        return []
    return [asked for ticker in planned.tickers if (asked := _question(settings, planned, ticker))]


def _question(settings: Settings, planned: Plan, ticker: str) -> Question | None:
    folder = unit_folder(settings.store_url, ticker, planned)
    validated = folder.manifest("validate")
    ingested = folder.manifest("ingest")
    if not validated or not ingested or not validated.waiting:
        return None
    rows = snapshot.identity(ingested)
    name = sha256(f"{planned.dag_run_id} {ticker} {rows}".encode())[:16]
    return Question(f"{planned.as_of}-{folder_name(ticker)}-{name}", ticker, rows)


def shown(settings: Settings, dag_run_id: str, ticker: str) -> Shown | None:
    """Return the question about a ticker; None if it does not wait.

    Raises:
        UsageError: when the run has no such ticker.
        Damaged: when a file has changed since its step wrote it.
    """
    planned = _planned(settings, dag_run_id, ticker)
    asked = _question(settings, planned, ticker)
    if asked is None:
        return None
    folder = unit_folder(settings.store_url, ticker, planned)
    links = links_of(settings, dag_run_id, "")
    about = f"The source changed past prices of **{ticker}** ({planned.source}), and no split explains it."
    parts = [
        f"{about} [The run]({links.airflow}) ended without this ticker. Its report: `{links.report}`",
        _change_of(folder),
        f"**{ACCEPT}**: the new history is right. {ticker} is trained, decided on and served as the others of its run.",
        f"**{REJECT}**, or no answer within {planned.ask_hours:g} hours: {ticker} has failed, and its champion stays.",
    ]
    subject = f"{ticker}: accept the restated history of {planned.as_of}?"
    return Shown(subject, "\n\n".join(parts), asked.data_sha256)


def _change_of(folder: Folder) -> str:
    """Return the changed rows in Markdown, with the largest change."""
    ingested = folder.manifest("ingest")
    assert ingested is not None  # noqa: S101 - the ticker waits
    found = json_of(folder.read_written(RESTATEMENT, ingested))
    words = f"{found['reason']}. Sessions in both snapshots: {found['overlap']:,}."
    if found["largest"] is not None:
        words += f" Largest change of a close: {found['largest']:+.2%}."
    rows = [f"- {text}" for text in found["rows"]]
    return "\n".join([words, "", "Changed closes, last snapshot -> now, the first of them:", "", *rows])


def record(settings: Settings, dag_run_id: str, ticker: str, answer: Answer) -> None:
    """Write the answer to the question about a ticker. A later answer replaces it.

    Raises:
        UsageError: when the run has no such ticker.
    """
    planned = _planned(settings, dag_run_id, ticker)
    reason = " ".join(answer.reason.split())[:_MAX_REASON]
    written = answer.model_copy(update={"reason": reason})
    unit_folder(settings.store_url, ticker, planned).write(ANSWER, written.to_json())


def carry_out(settings: Settings, dag_run_id: str, ticker: str, *, last_try: bool = True) -> None:
    """Do the steps of an answered ticker, in its run and on its plan, and report the run again.

    A rejected ticker fails in `validate`, and its alert is sent.

    Args:
        settings: of the environment.
        dag_run_id: name of the run that the ticker left.
        ticker: of the unit.
        last_try: whether this call is not repeated when it fails.

    Raises:
        UsageError: when the run has no such ticker.
        Unavailable: when a service did not answer, and there is another try.
        DataError: when an accepted ticker failed.
    """
    planned = _planned(settings, dag_run_id, ticker)
    batch = Batch(run=planned.run, as_of=planned.as_of.isoformat(), tickers=[ticker])
    with contextlib.suppress(DataError):  # the report names the failure
        for step in runs.flow(planned):
            runner.run(step.name, batch, settings=settings, last_try=last_try)
    with contextlib.suppress(DataError):  # other tickers of the run may have failed
        runs.report(dag_run_id, settings=settings, answered=ticker)
    folder = unit_folder(settings.store_url, ticker, planned)
    rows = {one.ticker: one for one in read_results(run_folder(settings.store_url, planned.run))}
    if rows[ticker].reason and Answer.from_json(folder.read(ANSWER)).accepted:
        raise DataError(
            "An accepted ticker must pass every step.",
            f"{ticker} failed in {rows[ticker].step}. {rows[ticker].reason}",
            "See the report of its run.",
        )


def _planned(settings: Settings, dag_run_id: str, ticker: str) -> Plan:
    """Return the plan of a run that asks about a ticker. Both names come from a form of Airflow."""
    planned = read_plan(settings.store_url, folder_name(dag_run_id))
    if planned.dag_run_id == dag_run_id and ticker in planned.tickers:
        return planned
    raise UsageError(
        "A decision is about a ticker of a run.",
        f"{ticker[:40]!r} in {dag_run_id[:80]!r}",
        "Leave it to the task `report` of `retrain` to start this DAG.",
    )
