"""Artefacts that are not as they were written: each is named by its hash, and nothing is made from it."""

import itertools
import shutil
from pathlib import Path

import pytest

from pipeline import runner, runs
from pipeline.errors import Damaged, DataError
from pipeline.prices.snapshot import last_snapshot
from pipeline.steps import FLOW, Unit
from pipeline.store.folder import Folder
from pipeline.store.runs import read_plan, run_folder, unit_folder
from pipeline.tracking.registry import Registry
from pipeline.tracking.runs import Runs
from pipeline.tracking.step_log import log_step
from tests.support.tiny import tiny_settings

READERS = {name: step.name for step in reversed(FLOW) for name in step.reads}  # each file and its first reader
READERS["snapshot.json"] = "validate"


def flipped(data):
    """Return the bytes with one bit in their middle turned."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


DAMAGES = {
    "flipped": flipped,
    "truncated": lambda data: data[: len(data) // 2],
    "emptied": lambda _: b"",
    "swapped": lambda _: b"{}",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return settings, batch and a copy of the folder of a unit that has been through every step."""
    with pytest.MonkeyPatch.context() as patch:
        settings = tiny_settings(patch, tmp_path_factory.mktemp("damage")).model_copy(update={"tickers": ("AAA",)})
        (batch,) = runs.plan(settings, "manual__1")
        for step in FLOW:
            runner.run(step.name, batch, settings=settings)
        folder = Path(unit_folder(settings.store_url, "AAA", read_plan(settings.store_url, batch["run"])).url)
        copy = folder.with_name("copy")
        shutil.copytree(folder, copy)
        yield settings, batch, folder, copy


@pytest.fixture
def unit(whole):
    """Return the same, with every file as it was written."""
    settings, batch, folder, copy = whole
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)
    return settings, batch, folder


@pytest.mark.parametrize(("name", "damage"), list(itertools.product(READERS, DAMAGES)))
def test_a_step_makes_nothing_of_a_damaged_file(unit, name, damage):
    """Its first reader ends the ticker and names the file, and no step writes a file; its writer restores it."""
    settings, batch, folder = unit
    path, reader = folder / name, READERS[name]
    good = path.read_bytes()
    path.write_bytes(DAMAGES[damage](good))
    _forget(folder, reader)
    before = _content(folder)
    with pytest.raises(DataError, match=r"An artefact must be as it was written"):
        runner.run(reader, batch, settings=settings)
    for step in FLOW[_position(reader) + 1 :]:
        with pytest.raises(DataError, match=f"Step {step.name} must leave at least one ticker"):
            runner.run(step.name, batch, settings=settings)
    after = _content(folder)
    assert set(after) - set(before) == {f"{reader}.manifest.json"}
    assert {one: after[one] for one in before} == before
    manifest = _manifest(folder, reader)
    assert manifest.outputs == {}
    (finding,) = manifest.outcome.findings
    assert str(path) in finding.observed
    assert finding.severity == "critical"
    earlier = FLOW[: _position(reader)]
    (writer,) = (step.name for step in earlier if name in _manifest(folder, step.name).outputs)
    if writer == "train":
        return  # trained again it would be as good, not byte for byte the same file
    runner.run(writer, batch, settings=settings)
    assert path.read_bytes() == good
    runner.run(reader, batch, settings=settings)


def _manifest(folder, step):
    return Folder(str(folder)).manifest(step)


def _position(name):
    return [step.name for step in FLOW].index(name)


def _forget(folder, name):
    """Remove what a step and all steps after it wrote."""
    for step in FLOW[_position(name) :]:
        for output in _manifest(folder, step.name).outputs:
            (folder / output).unlink()
        (folder / f"{step.name}.manifest.json").unlink()


def _content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("step", ["ingest", "train", "evaluate"])
def test_a_damaged_manifest_counts_as_not_finished(unit, step):
    """The step itself does its work again; the one after it says what is missing."""
    settings, batch, folder = unit
    path = folder / f"{step}.manifest.json"
    path.write_bytes(path.read_bytes()[:100])
    after = FLOW[[one.name for one in FLOW].index(step) + 1].name
    with pytest.raises(DataError, match=rf"no whole {step}\.manifest\.json"):
        runner.run(after, batch, settings=settings)
    runner.run(step, batch, settings=settings)
    assert not _manifest(folder, step).failed


def test_a_damaged_plan_is_named(unit):
    """Nothing runs by half a plan."""
    settings, batch, _ = unit
    place = Path(run_folder(settings.store_url, batch["run"]).path("plan.json"))
    good = place.read_bytes()
    place.write_bytes(good[: len(good) // 2])
    try:
        with pytest.raises(Damaged, match=r"plan\.json"):
            runner.run("ingest", batch, settings=settings)
    finally:
        place.write_bytes(good)


def test_a_damaged_snapshot_is_never_compared_with(unit):
    """The next night takes a whole one, of another run, rather than a wrong history."""
    settings, batch, folder = unit
    plan = read_plan(settings.store_url, batch["run"])
    tomorrow = plan.model_copy(update={"as_of": plan.as_of.replace(day=24)})
    assert last_snapshot(settings.store_url, "AAA", tomorrow).folder.url == str(folder)
    (folder / "snapshot.json").write_bytes(flipped((folder / "snapshot.json").read_bytes()))
    found = last_snapshot(settings.store_url, "AAA", tomorrow)
    assert found.folder.url == str(folder.with_name("copy"))  # the same night of another run, which is whole


def test_a_damaged_file_is_not_logged(unit):
    """MLflow gets what was written or nothing: the step is not shown as done."""
    settings, batch, folder = unit
    (folder / "evaluate.manifest.json").unlink()
    runner.run("evaluate", batch, settings=settings)
    manifest = _manifest(folder, "evaluate")
    (folder / "forecast.png").write_bytes(b"no picture")
    tracker = Runs(settings)
    plan = read_plan(settings.store_url, batch["run"])
    changed = manifest.model_copy(update={"key": "another"})
    with pytest.raises(Damaged, match=r"forecast\.png"):
        log_step(tracker, plan, "AAA", changed, Folder(str(folder)), last=False)
    run = tracker.unit_run(plan, "AAA")
    assert run.data.tags["step.evaluate"] != "another"


def test_of_two_attempts_at_once_the_first_publishes(unit):
    """An attempt that Airflow had given up, and that ends while the other still works, is taken as it is."""
    settings, batch, folder = unit
    (folder / "window.manifest.json").unlink()
    step, inside = runner.STEPS["window"], []

    def slow(unit):
        inside.append(1)
        runner.run("window", batch, settings=settings)  # the other attempt, from start to end
        return step.function(unit)

    slow.__name__ = "window"
    plan = read_plan(settings.store_url, batch["run"])
    before = tuple(one.name for one in FLOW[: FLOW.index(step)])
    made = Unit("AAA", plan, Folder(str(folder)), settings, Registry(settings), step, before)
    ((manifest, reused),) = runner._called_and_saved(step._replace(function=slow), [made])
    assert (len(inside), reused) == (1, True)
    assert manifest == _manifest(folder, "window")
