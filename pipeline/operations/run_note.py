"""Puts the counts of a finished run into its note on Airflow's page, such as "3 promoted, 1 kept".

A task cannot write a note: Airflow 3 gives tasks no access to its tables. So `report` leaves the text as an XCom, and
this listener, which runs where the scheduler ends the run, moves it into the note.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

DAG = "retrain"
TASK = "report"
KEY = "note"


class RunNotes:
    """The listener."""

    @hookimpl  # type: ignore[untyped-decorator]  # Airflow's types are not read, see pyproject.toml
    def on_dag_run_success(self, dag_run: DagRun) -> None:
        """Write the note of a green run."""
        _write_note(dag_run)

    @hookimpl  # type: ignore[untyped-decorator]  # as above
    def on_dag_run_failed(self, dag_run: DagRun) -> None:
        """Write the note of a red run."""
        _write_note(dag_run)


class RunNotesPlugin(AirflowPlugin):  # type: ignore[misc]  # as above
    """The plugin that Airflow loads from this package."""

    name = "closecast-notes"
    listeners: ClassVar[list[object]] = [RunNotes()]


def write_note(run_id: str) -> None:
    """Write the note of a run that Airflow's `dag.test` has ended: there the listener gets it outside a session."""
    from airflow.models import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        dag_run = session.scalar(select(DagRun).where(DagRun.dag_id == DAG, DagRun.run_id == run_id))
        if dag_run:
            _write_note(dag_run)


def _write_note(dag_run: DagRun) -> None:
    """Move the text into the note, in the transaction of the run. A note of a person stays."""
    from airflow.models.xcom import XComModel
    from sqlalchemy import select
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is None or dag_run.dag_id != DAG or dag_run.note:
        return
    found = select(XComModel.value).where(
        XComModel.dag_id == DAG,
        XComModel.run_id == dag_run.run_id,
        XComModel.task_id == TASK,
        XComModel.key == KEY,
    )
    text = session.scalar(found)
    if text:
        dag_run.note = str(text)
