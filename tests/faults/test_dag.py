"""Kills and stops parts of the stack of `make up` while the DAG runs: the run completes all the same."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.operations.airflow_api import clear_failed
from pipeline.operations.processes import is_alive
from pipeline.plan import folder_name
from pipeline.store.folder import Folder
from tests.support.dag_file import step_of
from tests.support.running import check
from tests.support.signals import kill, stopped
from tests.support.stacks import eventually
from tests.support.trainings import LONG, PATIENCE, SCHEDULER, trainers, training

pytestmark = pytest.mark.timeout(1500)
HAND_OVER = 5  # seconds that the end of a task and the start of the next may overlap


@pytest.fixture(scope="module")
def night(running):
    """Wait for the end of the run that the schedule started, so that it delays no test."""
    run = running.scheduled_run()
    assert running.end_of(run, PATIENCE) == "success"
    check(running.settings, run, ["NIGHT"])
    return run


@pytest.fixture(autouse=True)
def _timed(night, capsys):
    """Print the seconds of each case."""
    del night
    began = time.monotonic()
    yield
    with capsys.disabled():
        print(f" [{time.monotonic() - began:.0f} s] ", end="")  # noqa: T201 - for the record


@pytest.fixture(autouse=True)
def _writers(running):
    """Count the processes that have loaded TensorFlow: runs of one ticker must not have two at once.

    A task reports its end to Airflow one to three seconds before its process ends; the next task has begun by then.
    """
    over = threading.Event()

    def longest_overlap():
        seen, longest, seconds = 0, 0, 0
        while not over.wait(1):
            count = len(trainers(running))
            seen = max(seen, count)
            seconds = seconds + 1 if count > 1 else 0
            longest = max(longest, seconds)
        return seen, longest

    with ThreadPoolExecutor(1) as watcher:
        watch = watcher.submit(longest_overlap)
        yield
        over.set()
        seen, longest = watch.result()  # raises if the watcher failed
    assert seen, "the watcher saw no process with TensorFlow"
    assert longest < HAND_OVER, "two writers at once"


def tries(running, run) -> dict[str, int]:
    return {step_of(task["task_id"]): task["try_number"] for task in running.tasks(run)}


def ended_well(running, run, ticker) -> dict[str, int]:
    """Wait for the end of a run, check what must hold, and return how often each task was tried."""
    state = running.end_of(run, PATIENCE)
    assert state == "success", running.tasks(run)
    check(running.settings, run, [ticker])
    return tries(running, run)


def die_at(running, boundary: str) -> None:
    """Have the next process at this boundary kill itself, and wait until one has."""
    place = running.settings.var_dir / "die-at"
    done = place.with_name("die-at.done")
    done.unlink(missing_ok=True)
    place.with_name("die-at.new").write_text(boundary)
    place.with_name("die-at.new").rename(place)
    assert eventually(done.exists, PATIENCE), boundary


def test_kill_9_of_a_task_early_and_late(running):
    """`train` before it begins and with its network half moved; `evaluate` with its model half logged; `promote`."""
    run = running.trigger("kill-task", ["TASK"])
    for boundary in ("train: begin", "train: move model.keras", "evaluate: finalize_logged_model"):
        die_at(running, boundary)
    die_at(running, "promote: set alias champion")
    tried = ended_well(running, run, "TASK")
    assert (tried["train"], tried["evaluate"], tried["promote"]) == (3, 2, 2)


def test_kill_9_of_its_supervisor(running):
    """When the supervisor of `train` is killed, `train` dies at once, and the next try completes."""
    run = running.trigger("kill-supervisor", ["SUPER"], LONG)
    task = training(running)
    kill([task.parent()])
    assert eventually(lambda: not is_alive(task), 5), "the orphan continues to train"
    assert ended_well(running, run, "SUPER")["train"] == 2


def test_kill_9_of_an_idle_worker(running):
    """It keeps the lock of the task queue: the guard restarts the scheduler, and the run completes."""
    run = running.trigger("kill-idle", ["IDLE"], LONG)
    task = training(running)
    scheduler = min(running.processes(SCHEDULER), key=lambda one: one.create_time())
    idle = [one for one in scheduler.children() if one != task.parent() and "LocalExecutor" in " ".join(one.cmdline())]
    kill(idle)
    assert eventually(lambda: not is_alive(scheduler), 60), "the guard did not kill the scheduler"
    ended_well(running, run, "IDLE")


def test_kill_9_of_the_scheduler(running):
    """Supervisord starts a new one, which ends the workers of the first, and the run completes."""
    run = running.trigger("kill-scheduler", ["SCHED"], LONG)
    task = training(running)
    kill([min(running.processes(SCHEDULER), key=lambda one: one.create_time())])
    assert eventually(lambda: not is_alive(task), 30), "the orphan continues to train"
    ended_well(running, run, "SCHED")


def test_a_scheduler_that_hangs(running):
    """A stopped scheduler lives and sends no heartbeat: the guard kills it, and the run completes."""
    run = running.trigger("hang-scheduler", ["HANG"], LONG)
    training(running)
    scheduler = min(running.processes(SCHEDULER), key=lambda one: one.create_time())
    scheduler.suspend()
    began = time.monotonic()
    time.sleep(60)
    assert is_alive(scheduler), "the guard did not wait for Airflow's threshold"
    assert eventually(lambda: not is_alive(scheduler), 300), "the guard did not kill the scheduler"
    assert time.monotonic() - began > 4 * 45 - 20
    ended_well(running, run, "HANG")


def test_mlflow_killed(running):
    """When MLflow is killed during a training, supervisord starts it again, and the run completes."""
    run = running.trigger("kill-mlflow", ["KILLED"], LONG)
    training(running)
    killed = running.processes("mlflow")
    kill(killed)
    assert eventually(lambda: bool(set(running.processes("mlflow")) - set(killed)), 60), "MLflow was not restarted"
    ended_well(running, run, "KILLED")


def test_mlflow_silent_for_60_seconds(running):
    """MLflow accepts connections without an answer while `train` logs: `train` waits, and logs once."""
    run = running.trigger("mlflow-silent", ["SILENT"], LONG)
    training(running)
    with stopped(running.processes("mlflow")):
        time.sleep(60)
    ended_well(running, run, "SILENT")


def test_mlflow_down_at_the_start(running):
    """`plan` is tried until MLflow is there."""
    running.control("stop", "closecast:mlflow")
    try:
        run = running.trigger("mlflow-start", ["START"])
        assert eventually(lambda: tries(running, run)["plan"] > 1, 120)
    finally:
        running.control("start", "closecast:mlflow")
    assert ended_well(running, run, "START")["plan"] > 1


def test_mlflow_down_until_after_the_last_try(running):
    """The run fails and keeps its files; cleared later, it logs the same network without a second training."""
    run = running.trigger("mlflow-gone", ["GONE"], LONG)
    training(running)
    running.control("stop", "closecast:mlflow")
    try:
        assert running.end_of(run, PATIENCE) == "failed"
    finally:
        running.control("start", "closecast:mlflow")
    settings = running.settings
    folder = Folder(f"{settings.store_url}/GONE/{settings.as_of}/{folder_name(run)}")
    manifest = folder.read("train.manifest.json")
    cleared = clear_failed(settings, run)  # as `closecast retry` does
    assert cleared is not None
    assert cleared.repeated >= cleared.failed > 0
    ended_well(running, run, "GONE")
    assert folder.read("train.manifest.json") == manifest


@pytest.mark.timeout(3600)
def test_five_triggers_at_once(running):
    """The runs wait for each other: each has one result, and the champion is the last one's."""
    runs = [running.trigger(f"five-{number}", ["FIVE"], {"seed": number}) for number in range(5)]
    states = [running.end_of(run, PATIENCE) for run in runs]
    assert states == ["success"] * 5
    spans = sorted((run["start_date"], run["end_date"]) for run in (running.run(name) for name in runs))
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans)), spans
    last = max(runs, key=lambda name: running.run(name)["start_date"])
    check(running.settings, last, ["FIVE"])
    units = Path(running.settings.store_url) / "FIVE" / str(running.settings.as_of)
    assert len(list(units.iterdir())) == 5
