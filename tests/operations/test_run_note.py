"""The listener that writes a run's note. tests/programs/test_dag_runs.py runs a DAG with it."""

import importlib.metadata

from airflow.models import DagRun

from pipeline.operations import run_note


def test_a_run_outside_a_session_is_left_alone():
    """`dag.test` passes such a run to its listeners; a lazy read of its note would raise."""
    dag_run = DagRun(dag_id="retrain", run_id="manual__1", run_type="manual")
    run_note.RunNotes().on_dag_run_success(dag_run)
    assert dag_run.note is None


def test_airflow_finds_the_plugin():
    """By its entry point, in every process."""
    (found,) = importlib.metadata.entry_points(group="airflow.plugins", name="closecast-notes")
    assert found.load() is run_note.RunNotesPlugin
