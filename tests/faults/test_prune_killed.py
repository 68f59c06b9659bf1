"""kill -9 of `prune` right after each of its deletions, in the store and in MLflow: the next start goes on."""

from __future__ import annotations

import os
import signal
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
from mlflow.entities import ViewType

from pipeline.operations import pruning
from pipeline.store import deleted
from pipeline.store.folder import Folder
from pipeline.store.runs import read_plan
from pipeline.tracking.registry import Registry
from tests.support.old_nights import folder_of_night, leave_nights, whole_nights
from tests.support.tiny import tiny_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.settings import Settings

TICKERS = ("AAA", "BBB")
KEPT = {3, 5, 6, 7, 8}  # of eight: the last two, the champion's weights, the rollback with its weights
MARK = "_upkeep.json"
DELETIONS = {
    "remove": Folder, "delete_model_version": mlflow.MlflowClient, "delete_logged_model": mlflow.MlflowClient,
    "delete_run": mlflow.MlflowClient,
}  # fmt: skip


def in_child(work: Callable[[], object]) -> int:
    """Do it in a process of its own, and return its exit code; negative: the signal that killed it.

    No connection to a database may cross a fork, so this process opens none before the last look.
    """
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - a child must not go on as a second pytest
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def prune_and_die(settings: Settings, log: Path) -> None:
    """Prune, log the kind of the first deletion, and die."""

    def dying(kind: str, delete: Callable[..., None]) -> Callable[..., None]:
        def delete_and_die(*given: object, **named: object) -> None:
            delete(*given, **named)
            if MARK in given:
                return
            with log.open("a") as file:
                file.write(f"{kind}\n")
            os.kill(os.getpid(), signal.SIGKILL)

        return delete_and_die

    for kind, owner in DELETIONS.items():
        setattr(owner, kind, dying(kind, getattr(owner, kind)))
    pruning.prune(settings)


def test_kill_9_after_each_deletion(tmp_path, monkeypatch):
    """Each start makes one more deletion and dies: no kept night loses a file, and the last start finishes."""
    monkeypatch.setenv("CLOSECAST_KEEP_NIGHTS", "2")
    monkeypatch.setenv("CLOSECAST_KEEP_ROWS", "1")
    settings = tiny_settings(monkeypatch, tmp_path)
    assert in_child(lambda: leave_nights(settings, TICKERS, 8, promoted=(3, 6))) == 0
    runs = sorted(path.name for path in Path(settings.store_url, "_runs").iterdir())
    plans = sorted((read_plan(settings.store_url, run) for run in runs), key=lambda plan: plan.as_of)
    log = tmp_path / "log"
    while (code := in_child(lambda: prune_and_die(settings, log))) == -signal.SIGKILL:
        Path(settings.store_url, MARK).unlink()  # that of a killed program counts for 10 minutes
        for ticker in TICKERS:
            assert whole_nights(settings, plans, ticker) >= KEPT
    assert code == 0
    killed = Counter(log.read_text().split())
    print(dict(killed))  # noqa: T201 - for the record
    assert set(killed) == set(DELETIONS)
    assert (killed["delete_model_version"], killed["delete_logged_model"], killed["delete_run"]) == (6, 6, 9)
    for ticker in TICKERS:
        assert whole_nights(settings, plans, ticker) == KEPT
        assert {one.number for one in Registry(settings).versions(ticker)} == KEPT
    for number in {*range(1, 9)} - KEPT:
        assert folder_of_night(settings, plans[number - 1]).names() == ["decision.json"]
        assert deleted.read(settings.store_url, plans[number - 1].run).unfinished == ()
    client = mlflow.MlflowClient(settings.mlflow_uri)
    experiment = client.get_experiment_by_name(settings.experiment).experiment_id
    left = [run.data.tags["dag_run_id"] for run in client.search_runs([experiment], run_view_type=ViewType.ALL)]
    assert sorted(left) == sorted([plans[number - 1].dag_run_id for number in KEPT] * 3)
