"""Old nights go from store and MLflow; whatever is needed stays, also when each deletion is the last one."""

import datetime as dt
import shutil

import mlflow
import pytest
from mlflow.entities import ViewType

from pipeline import runs
from pipeline.errors import UsageError
from pipeline.operations import pruning
from pipeline.operations.retry import run_to_retry
from pipeline.prices import archive, snapshot
from pipeline.settings import load_settings
from pipeline.steps import FLOW
from pipeline.store import deleted
from pipeline.store.folder import Folder
from pipeline.store.runs import run_folder
from pipeline.tracking import champion_record
from pipeline.tracking.registry import Registry
from tests.support.commands import say
from tests.support.nights import json_in, night
from tests.support.old_nights import folder_of_night, leave_nights, whole_nights
from tests.support.tiny import tiny_settings

TICKERS = ("AAA", "BBB")
PROMOTED = (3, 6)  # of eight nights: v6 has the weights of v6 to v8, a rollback serves v5, which has those of v3
KEPT = {3, 5, 6, 7, 8}  # the last two nights, champion v8, its weights, the rollback with its weights


@pytest.fixture(scope="module")
def _left(tmp_path_factory):
    home = tmp_path_factory.mktemp("old-nights")
    with pytest.MonkeyPatch.context() as patch:
        plans = leave_nights(tiny_settings(patch, home), TICKERS, 8, promoted=PROMOTED)
    return home, plans


@pytest.fixture
def old(_left, tmp_path, monkeypatch):
    """Return settings that keep two nights of eight, and the plans of the eight."""
    home, plans = _left
    shutil.copytree(home / "var", tmp_path / "var")
    monkeypatch.setenv("CLOSECAST_KEEP_NIGHTS", "2")
    monkeypatch.setenv("CLOSECAST_KEEP_ROWS", "1")
    return tiny_settings(monkeypatch, tmp_path), plans


def artifact_folders(settings):
    """Return the names of the folders of runs and models in MLflow's artifacts that hold a file."""
    root = settings.mlflow_artifacts
    return {str(file.relative_to(root)).split("/artifacts")[0] for file in root.rglob("*") if file.is_file()}


def mlflow_nights(settings, kind=ViewType.ALL):
    client = mlflow.MlflowClient(settings.mlflow_uri)
    experiment = client.get_experiment_by_name("closecast").experiment_id
    return [run.data.tags["dag_run_id"] for run in client.search_runs([experiment], run_view_type=kind)]


def test_a_look_changes_nothing(old):
    """Its numbers are those of the deletion."""
    settings, plans = old
    seen = pruning.look(settings).pruned
    assert whole_nights(settings, plans) == set(range(1, 9))
    done = pruning.prune(settings).pruned
    assert (seen.units, seen.nights, seen.snapshots) == (done.units, done.nights, done.snapshots)
    assert done.units == 2 * 3
    assert done.mlflow == (6, 6, 6 + 3)  # versions, models, runs: those of tickers and of whole nights
    assert done.collected == 9


def test_what_is_needed_stays_and_all_else_goes(old):
    """In the store, in its archive of snapshots, in the registry, among runs and artifacts."""
    settings, plans = old
    before = artifact_folders(settings)
    pruning.prune(settings)
    for ticker in TICKERS:
        assert whole_nights(settings, plans, ticker) == KEPT
        assert {one.number for one in Registry(settings).versions(ticker)} == KEPT
        files = archive.folder(settings.store_url, ticker)
        named = [snapshot.SnapshotRecord.of(folder_of_night(settings, plans[night - 1], ticker)) for night in KEPT]
        needed = set().union(*(archive.files_of(settings.store_url, ticker, one.name) for one in named))
        assert set(files.names()) == needed
    kept_runs = sorted(plans[night - 1].dag_run_id for night in KEPT)
    assert sorted(mlflow_nights(settings)) == sorted(kept_runs * 3)
    assert len(before) - len(artifact_folders(settings)) == 6 + 6  # of runs and of models
    gone = plans[0]
    assert folder_of_night(settings, gone).names() == ["decision.json"]
    assert run_folder(settings.store_url, gone.run).names() == ["deleted.json", "plan.json", "results.json"]
    record = deleted.read(settings.store_url, gone.run)
    assert record.unfinished == ()
    assert record.units["AAA"].versions == (1,)
    assert '"reason": "promoted"' in next(iter(record.units["AAA"].moves.values()))


def test_a_second_time_deletes_nothing(old):
    """Not even a mark in the store is left."""
    settings, _ = old
    pruning.prune(settings)
    again = pruning.prune(settings).pruned
    assert (again.units, again.nights.files, again.snapshots.files, again.collected) == (0, 0, 0, 0)
    assert again.mlflow == (0, 0, 0)
    assert [name for name in Folder(settings.store_url).names() if "upkeep" in name] == []


def test_every_command_works_afterwards(old, monkeypatch):
    """Those that name a deleted night say when and why it was deleted."""
    settings, plans = old
    pruning.prune(settings)
    monkeypatch.setenv("CLOSECAST_TICKERS", "AAA,BBB")
    gone = plans[0].dag_run_id
    for words in (
        ("runs",), ("champion", "show", "AAA"), ("ledger", "verify"), ("forecast", "--all"),
        ("diff", plans[6].dag_run_id, plans[7].dag_run_id), ("diff", "AAA@7", "AAA@8"), ("prune",),
    ):  # fmt: skip
        code, text = say(*words)
        assert "Traceback" not in text
        assert "bug" not in text
        assert code in {0, 1} if words[0] == "diff" else code == 0, (words, text)
    _, status = say("status", "--json")
    assert '"champion":' in status.replace(" :", ":")
    for words in (("diff", gone, plans[7].dag_run_id), ("diff", "AAA@1", "AAA@8"), ("retry", gone)):
        code, text = say(*words)
        assert code == 2, text
        assert "deleted on 20" in text
        assert "not one of the last 2 nights" in text
    code, text = say("diff", f"AAA@{plans[0].as_of}", f"AAA@{plans[7].as_of}")
    assert (code, "deleted on 20" in text) == (2, True)
    with pytest.raises(UsageError, match="deleted on 20"):
        run_to_retry(settings.store_url, gone)


def test_a_rollback_serves_other_weights_afterwards(old):
    """The moves between were of versions that are gone; v5 is what a rollback served before."""
    settings, _ = old
    before = Registry(settings).earlier_champion("AAA")
    pruning.prune(settings)
    registry = Registry(settings)
    assert registry.champion("AAA").number == 8
    assert registry.roll_back("AAA", "test") == before == 5


def test_the_next_night_finds_its_last_snapshot(old):
    """And shares its files."""
    settings, plans = old
    pruning.prune(settings)
    later = plans[7].model_copy(update={"as_of": plans[7].as_of.replace(year=2025)})
    last = snapshot.last_snapshot(settings.store_url, "AAA", later)
    assert last.folder == folder_of_night(settings, plans[7])
    assert len(snapshot.keep("AAA", last.prices, last.stored).files) == 1


class Killed(BaseException):
    """The end of the process."""


def killed_after(monkeypatch, verb, changes):
    """Prune; die before a change of the store, the renewals of the mark not counted. Return whether it died."""
    real = getattr(Folder, verb)
    left = [changes]

    def dying(*args):
        if args[1] == "_upkeep.json":
            return real(*args)
        if not left[0]:
            raise Killed
        left[0] -= 1
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, verb, dying)
        try:
            pruning.prune(load_settings())
        except Killed:
            return True
    return False


def test_a_kill_before_each_removal_leaves_no_half_night(old, monkeypatch):
    """Each start removes one file and dies; the last one finds nothing more to do."""
    settings, plans = old
    monkeypatch.setenv("CLOSECAST_KEEP_NIGHTS", "6")
    kills = 0
    while killed_after(monkeypatch, "remove", 1):
        kills += 1
        assert kills < 100
        assert whole_nights(settings, plans) >= set(range(3, 9))
        names = folder_of_night(settings, plans[0]).names()
        steps = [f"{step.name}.manifest.json" in names for step in FLOW]
        assert steps == sorted(steps, reverse=True)
    assert kills >= 4 * len(FLOW)
    assert whole_nights(settings, plans) == set(range(3, 9))
    assert folder_of_night(settings, plans[0]).names() == ["decision.json"]
    record = deleted.read(settings.store_url, plans[0].run)
    assert (set(record.units), record.unfinished) == (set(TICKERS), ())
    assert plans[0].dag_run_id not in mlflow_nights(settings)


def test_a_kill_before_each_write_leaves_no_half_night(old, monkeypatch):
    """The record is written before the first file goes, and again after the last."""
    settings, plans = old
    kills = 0
    while killed_after(monkeypatch, "write", kills):
        kills += 1
        assert whole_nights(settings, plans) >= KEPT
    assert kills >= 3
    assert whole_nights(settings, plans) == KEPT
    assert sorted(mlflow_nights(settings)) == sorted([plans[night - 1].dag_run_id for night in KEPT] * 3)
    records = [deleted.read(settings.store_url, plans[night - 1].run) for night in {*range(1, 9)} - KEPT]
    assert [(set(one.units), one.unfinished) for one in records] == [(set(TICKERS), ())] * 3


def test_a_kill_between_deletion_and_garbage_collection_is_finished(old, monkeypatch):
    """The runs are marked as deleted in MLflow; the next start frees their files."""
    settings, _ = old
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.tracking.deletion.collect_garbage", lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            pruning.prune(settings)
    assert len(mlflow_nights(settings, ViewType.DELETED_ONLY)) == 9
    done = pruning.prune(settings).pruned
    assert (done.units, done.collected) == (0, 9)
    assert mlflow_nights(settings, ViewType.DELETED_ONLY) == []


def test_what_a_person_deleted_in_mlflow_can_still_be_restored(old):
    """An experiment, and the run of a kept night: `mlflow gc` would remove the experiment."""
    settings, plans = old
    client = mlflow.MlflowClient(settings.mlflow_uri)
    other = client.create_experiment("other")
    client.delete_experiment(other)
    experiment = client.get_experiment_by_name("closecast").experiment_id
    (run, *_) = client.search_runs([experiment], f"tags.dag_run_id = '{plans[6].dag_run_id}' and tags.ticker = 'AAA'")
    client.delete_run(run.info.run_id)
    pruning.prune(settings)
    client.restore_experiment(other)
    client.restore_run(run.info.run_id)


def test_a_version_that_a_person_serves_stays(old):
    """With its night, and although it is old."""
    settings, plans = old
    Registry(settings).set_champion("AAA", 2, "by hand")
    pruning.prune(settings)
    assert 2 in whole_nights(settings, plans)
    assert Registry(settings).champion("AAA").number == 2


def test_an_unreadable_snapshot_of_a_kept_night_keeps_all_snapshots(old):
    """Nothing is deleted that could mend it; the other ticker is pruned."""
    settings, plans = old
    folder_of_night(settings, plans[7]).write(snapshot.FILE, b"x")
    files = archive.folder(settings.store_url, "AAA").names()
    done = pruning.prune(settings).pruned
    assert [one.partition(":")[0] for one in done.unread] == ["AAA"]
    assert archive.folder(settings.store_url, "AAA").names() == files
    assert done.snapshots.files > 0


def test_weights_that_no_kept_night_met_are_deleted(old):
    """Those that a kept night names stay."""
    settings, plans = old
    weights = Folder(f"{settings.store_url}/{champion_record.ROOT}/AAA")
    for name in ("kept.keras", "lost.keras"):
        weights.write(name, b"network")
    network = champion_record.NetworkRecord(weights=f"{champion_record.ROOT}/AAA/kept.keras", recipe="{}")
    met = champion_record.ChampionRecord(number=6, served=network)
    folder_of_night(settings, plans[7]).write(champion_record.FILE, met.to_json())
    pruning.prune(settings)
    assert weights.names() == ["kept.keras"]


def test_a_deleted_night_cannot_be_planned_again(old):
    """Clearing `plan` in Airflow gives the same three lines."""
    settings, plans = old
    pruning.prune(settings)
    with pytest.raises(UsageError, match="deleted on 20"):
        runs.plan(load_settings(), plans[0].dag_run_id)


def test_the_next_real_night_goes_on(two_nights_copied, monkeypatch):
    """It compares prices with the newest snapshot, meets the champion, forecasts, and scores the forecast before."""
    monkeypatch.setenv("CLOSECAST_KEEP_NIGHTS", "1")
    monkeypatch.setenv("CLOSECAST_KEEP_ROWS", "0")
    night("3", "2025-11-24")
    for run in ("manual__1", "manual__2", "manual__3"):
        run_folder(two_nights_copied.store_url, run).write("results.json", b"[]")
    monkeypatch.setattr(pruning, "_now", lambda: dt.datetime.now(dt.UTC) + dt.timedelta(days=30))
    assert [unit.run for unit in pruning.prune(load_settings()).facts.choice.deleted] == ["manual__1"]
    folder = night("4", "2025-11-25")
    assert folder.manifest("ingest").outcome.tags["restatement"] == "unchanged"
    assert json_in(folder, "decision")["champion"] == 3
    made = json_in(folder, "forecast")
    assert made["forecast"]["session"] == "2025-11-26"
    assert made["scored"]["session"] == "2025-11-25"
