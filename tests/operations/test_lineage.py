"""The data sets of steps. tests/programs/test_lineage.py sends the events of a run."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.operations import lineage
from pipeline.operations.lineage import DataSet, Flow
from pipeline.outcome import Finding, Results
from pipeline.plan import Batch
from pipeline.store.runs import unit_folder
from tests.support.ledger_rows import ROW
from tests.support.past_runs import leave_plan
from tests.support.report_units import write

BROKEN = Finding(rule="Each close must lie above 0", severity="critical", observed="-1")


@pytest.fixture
def unit(tiny):
    """Return the plan and the folder of a ticker that was ingested and forecast."""
    plan = leave_plan(tiny, "manual__1", "2025-11-21")
    folder = unit_folder(tiny.store_url, "AAA", plan)
    write(folder, "ingest", tags={"data_sha256": "abc"})
    write(folder, "forecast", results=Results(recorded=ROW))
    return plan, folder


def flow(unit, step, store_url="/store"):
    """Return the data sets of a step."""
    plan, folder = unit
    manifests = {name: folder.manifest(name) for name in ("ingest", step)}
    return lineage.flow_of(step, "AAA", plan, store_url, manifests)


def test_ingest_reads_the_source_and_writes_the_snapshot(unit):
    """The version of a snapshot is the hash of its rows."""
    assert flow(unit, "ingest") == Flow((DataSet("sample", "AAA"),), (DataSet("file", "/store/_snapshots/AAA", "abc"),))


def test_forecast_reads_the_snapshot_and_writes_the_night(unit):
    """Without a row in the ledger it writes nothing. The steps between only read."""
    snapshot = DataSet("file", "/store/_snapshots/AAA", "abc")
    assert flow(unit, "forecast") == Flow((snapshot,), (DataSet("file", "/store/AAA", "manual__1"),))
    plan, folder = unit
    write(folder, "forecast", results=Results(no_forecast="no champion yet"))
    assert flow(unit, "forecast") == Flow((snapshot,))
    write(folder, "validate")
    assert flow((plan, folder), "validate") == Flow((snapshot,))


def test_a_step_that_failed_has_no_data_sets(unit):
    """The event of its task names those of the other tickers."""
    _, folder = unit
    write(folder, "validate", findings=(BROKEN,))
    assert flow(unit, "validate") == Flow()
    assert flow(unit, "train") == Flow()


def test_files_and_buckets_have_their_names_in_openlineage(unit, tmp_path):
    """A folder of price files, a price file, a store by URL. A login never leaves."""
    plan, folder = unit
    in_folder = plan.model_copy(update={"source": "files", "prices": tmp_path})
    assert flow((in_folder, folder), "ingest").read == (DataSet("file", str(tmp_path / "AAA")),)
    (tmp_path / "AAA.csv").touch()
    one_file = plan.model_copy(update={"source": "files", "prices": tmp_path / "AAA.csv"})
    assert flow((one_file, folder), "ingest").read == (DataSet("file", str(tmp_path / "AAA.csv")),)
    (written,) = flow(unit, "ingest", "s3://user:secret@bucket/nights").written
    assert written == DataSet("s3://bucket", "nights/_snapshots/AAA", "abc")


def test_without_a_transport_a_task_stays_as_it_is(tiny, unit, monkeypatch):
    """The extra is installed here; it is off by default."""
    for name in [name for name in os.environ if name.startswith("OPENLINEAGE")]:
        monkeypatch.delenv(name)
    task = SimpleNamespace(inlets=[], outlets=["declared"])
    lineage.name_data_sets(task, "ingest", Batch(run=unit[0].run, as_of="2025-11-21", tickers=["AAA"]), tiny)
    assert task.outlets == ["declared"]


def test_a_task_gets_the_data_sets_of_its_batch(tiny, unit, monkeypatch):
    """A damaged store is logged: an event fails no step."""
    pytest.importorskip("openlineage", reason="the extra `lineage` is not installed")
    monkeypatch.setattr(lineage, "is_on", lambda: True)
    task = SimpleNamespace(inlets=[], outlets=[])
    batch = Batch(run=unit[0].run, as_of="2025-11-21", tickers=["AAA"])
    lineage.name_data_sets(task, "ingest", batch, tiny)
    assert [(one.namespace, one.name) for one in task.inlets] == [("sample", "AAA")]
    (snapshot,) = task.outlets
    assert snapshot.facets["version"].datasetVersion == "abc"
    assert Path(snapshot.name).name == "AAA"
    lineage.name_data_sets(task, "ingest", Batch(run="gone", as_of="2025-11-21", tickers=["AAA"]), tiny)
    assert task.outlets == [snapshot]
