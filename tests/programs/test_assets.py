"""Assets through a running Airflow: a DAG that waits for two tickers runs once per session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.operations import stack
from pipeline.settings import load_settings
from tests.support import downstream_dag
from tests.support.dag_file import DAG_FILE
from tests.support.running import Running, set_tiny
from tests.support.stacks import eventually, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(1800)
FIRST, SECOND, THIRD = "2025-11-19", "2025-11-20", "2025-11-21"
PATIENCE = 900
QUIET = 15  # seconds in which Airflow would start a run: its scheduler looks every few seconds


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Start a stack with `retrain` and the example; the schedule starts a run of the first session at once."""
    home = tmp_path_factory.mktemp("assets")
    dags = home / "dags"
    dags.mkdir()
    for file in (DAG_FILE, Path(downstream_dag.__file__)):
        (dags / file.name).symlink_to(file)
    (home / "expectations").symlink_to(DAG_FILE.parents[1] / "expectations")
    (home / "closecast.toml").symlink_to(DAG_FILE.parents[1] / "closecast.toml")
    ports = {f"{name}_PORT": str(free_port()) for name in ("AIRFLOW", "MLFLOW")}
    with pytest.MonkeyPatch.context() as patch:
        settings = set_tiny(
            patch, home / "var", HOME=str(home), TICKERS='["AAA", "BBB"]', AS_OF=FIRST, BATCH_SIZE="1", **ports
        )
        try:
            stack.up(settings, print)
            yield Running(load_settings())
        finally:
            stack.down(settings, print)


@pytest.fixture(scope="module")
def first_night(running: Running) -> str:
    """Wait until the scheduled run of both tickers has ended."""
    run = running.scheduled_run()
    assert running.end_of(run, PATIENCE) == "success"
    return run


def night(running: Running, ticker: str, session: str) -> None:
    """Run one ticker on one session."""
    name = f"{ticker}_{session}"
    conf = {"tickers": [ticker], "as_of": session}
    running.ask("dags/retrain/dagRuns", {"dag_run_id": name, "logical_date": None, "conf": conf})
    assert running.end_of(name, PATIENCE) == "success"


def sessions(running: Running) -> list[str]:
    """Return the sessions for which the example was started, in order."""
    runs = running.ask("dags/orders/dagRuns?order_by=run_after")["dag_runs"]
    return [str(run["partition_key"]) for run in runs]


def events(running: Running) -> list[tuple[str, str]]:
    """Return ticker and session of every event, in order."""
    found = running.ask("assets/events?order_by=timestamp&limit=100")["asset_events"]
    return [(str(one["name"]).removeprefix("closecast-"), str(one["partition_key"])) for one in found]


def stays(running: Running, expected: list[str]) -> bool:
    """Return whether the example is started for no other session within some seconds."""
    return not eventually(lambda: sessions(running) != expected, QUIET)


def test_two_tickers_of_one_session_start_one_run(running: Running, first_night: str) -> None:
    """Two batches forecast; each ticker has one event, and the task of the example knows the session."""
    del first_night
    assert sorted(events(running)) == [("AAA", FIRST), ("BBB", FIRST)]
    assert eventually(lambda: sessions(running) == [FIRST], 60)
    (run,) = running.ask("dags/orders/dagRuns")["dag_runs"]
    assert running.ask(f"dags/orders/dagRuns/{run['dag_run_id']}")["partition_key"] == FIRST
    name = f"dags/orders/dagRuns/{run['dag_run_id']}"
    assert eventually(lambda: running.ask(name)["state"] == "success", 120)
    assert running.ask(f"{name}/taskInstances/size_orders/xcomEntries/return_value")["value"] == FIRST


def test_a_cleared_task_starts_no_second_run(running: Running, first_night: str) -> None:
    """Airflow does not deduplicate events; `announce` looks for those of the session first."""
    before = events(running)
    body = {"dry_run": False, "dag_run_id": first_night, "task_ids": ["serve.forecast", "announce", "report"]}
    body |= {"only_failed": False, "reset_dag_runs": True}
    running.ask("dags/retrain/clearTaskInstances", body)
    assert eventually(lambda: running.run(first_night)["state"] != "success", 60)
    assert running.end_of(first_night, PATIENCE) == "success"
    assert tries(running, first_night, "announce") == 2
    assert events(running) == before
    assert stays(running, [FIRST])


def tries(running: Running, run: str, task: str) -> int:
    """Return how often a task of a run was started."""
    (found,) = (one for one in running.tasks(run) if one["task_id"] == task)
    return int(found["try_number"])


def test_sessions_do_not_mix(running: Running, first_night: str) -> None:
    """AAA of the second session and BBB of the third are two tickers, and no session is complete."""
    del first_night
    night(running, "AAA", SECOND)
    night(running, "BBB", THIRD)
    assert events(running)[-2:] == [("AAA", SECOND), ("BBB", THIRD)]
    assert stays(running, [FIRST])
    night(running, "AAA", THIRD)
    assert eventually(lambda: sessions(running) == [FIRST, THIRD], 60)


def test_a_session_without_a_new_forecast_has_no_event(running: Running, first_night: str) -> None:
    """The champion of BBB knows the third session, so it forecasts nothing after the second."""
    del first_night
    night(running, "BBB", SECOND)
    assert ("BBB", SECOND) not in events(running)
    assert stays(running, [FIRST, THIRD])


def test_a_person_starts_the_session_again_by_its_events(running: Running, first_night: str) -> None:
    """Airflow takes events by hand, and then starts a second run of the session."""
    del first_night
    known = running.ask("assets?name_pattern=closecast-")["assets"]
    assets: dict[str, Any] = {str(one["name"]): one["id"] for one in known}
    for ticker in ("AAA", "BBB"):
        running.ask("assets/events", {"asset_id": assets[f"closecast-{ticker}"], "partition_key": FIRST, "extra": {}})
    assert eventually(lambda: sessions(running) == [FIRST, THIRD, FIRST], 60)
