"""A night that is watched from outside: what is replaced is one message, what stays down is an alarm."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pipeline import calendar
from pipeline.operations import stack
from pipeline.operations.processes import is_alive, members
from pipeline.settings import load_settings
from tests.faults.conftest import IMPATIENT
from tests.support.alert_channels import Webhook, dead_mans_switch, webhook
from tests.support.disks import Disk, disk
from tests.support.running import Running, check, set_tiny
from tests.support.signals import kill
from tests.support.stacks import eventually, free_port, processes_of
from tests.support.trainings import LONG, PATIENCE, SCHEDULER, training

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(1800)
DELAY_MINUTES, LATE_MINUTES = 1, 4  # a busy machine needs more than 3 minutes for a night, with the start of Airflow
REPLACED = "airflow-scheduler was replaced"
AIRFLOW = (SCHEDULER, "airflow-api-server", "airflow-dag-processor", "airflow-triggerer")


class Watched(NamedTuple):
    """A stack, the webhook of its alerts, the heartbeats of its nights, and the disk of its store."""

    running: Running
    hook: Webhook
    heartbeats: list[str]
    store: Disk


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Start a stack for the night of the last session, which is late already: the guard looks 6 minutes after `up`."""
    home = tmp_path_factory.mktemp("watched")
    now = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=LATE_MINUTES + 3)
    with (
        webhook() as hook,
        dead_mans_switch() as switch,
        disk(home / "store") as store,
        pytest.MonkeyPatch.context() as patch,
    ):
        given = {
            "AS_OF": str(calendar.last_closed_session("XNYS", now, ())),
            "STORE": str(store.place),
            "ALERT_URLS": hook.url,
            "HEARTBEAT_URL": switch.url,
            "LATE_MINUTES": str(LATE_MINUTES),
            "DELAY_MINUTES": str(DELAY_MINUTES),
            "AIRFLOW_PORT": str(free_port()),
            "MLFLOW_PORT": str(free_port()),
        }
        settings = set_tiny(patch, home, **given)
        for name, value in IMPATIENT.items():
            patch.setenv(name, value)
        try:
            stack.up(settings, print)
            patch.setenv("CLOSECAST_TRACKING_URI", f"http://127.0.0.1:{settings.mlflow_port}")
            yield Watched(Running(load_settings()), hook, switch.asked, store)
        finally:
            stack.down(settings, print)


def test_a_scheduler_that_hangs_is_replaced_with_one_message(watched):
    """The night before it is good: one heartbeat and no message. The run in which it hangs completes."""
    # A run of other tickers than those of the settings is no night, so it has no heartbeat.
    running = watched.running
    assert running.end_of(running.scheduled_run(), PATIENCE) == "success"
    assert watched.heartbeats == ["/night"]
    late = f"No finished run for {running.settings.as_of}"
    # Soon after a close the DAG `watch` is due too, and may look before this first night has ended.
    assert watched.hook.titles in ([], [late, f"Recovered: {late}"])
    before = len(watched.hook.told)
    run = running.trigger("hangs", ["HANGS"], LONG)
    training(running)
    scheduler = min(running.processes(SCHEDULER), key=lambda one: one.create_time())
    scheduler.suspend()
    assert eventually(lambda: not is_alive(scheduler), 400)
    assert running.end_of(run, PATIENCE) == "success"
    check(running.settings, run, ["HANGS"])
    (one,) = watched.hook.told[before:]
    assert REPLACED in one.title
    assert "its heartbeat has stopped" in one.body
    assert watched.heartbeats == ["/night"]


def test_all_of_airflow_killed_is_replaced_with_one_message(watched):
    """Supervisord starts every program again, and the run completes."""
    running = watched.running
    before = len(watched.hook.told)
    run = running.trigger("killed", ["KILLED"], LONG)
    training(running)
    killed = [process for program in AIRFLOW for process in running.processes(program)]
    kill(killed)
    assert not [process for process in killed if is_alive(process)]
    assert running.end_of(run, PATIENCE) == "success"
    check(running.settings, run, ["KILLED"])
    (one,) = watched.hook.told[before:]
    assert REPLACED in one.title
    assert "something killed it" in one.body


def test_airflow_that_stays_down_beside_a_full_disk_is_an_alarm(watched):
    """Within five minutes after the limit, once, though nothing can be written."""
    running = watched.running
    settings = running.settings
    stack.down(settings, print)
    for path in Path(settings.store_url).rglob("*"):
        if path.is_file():
            path.unlink()
    before = len(watched.hook.told)
    asked = len(watched.heartbeats)
    stack.up(settings, print)
    began = dt.datetime.now(dt.UTC)
    for program in AIRFLOW:
        running.control("stop", f"closecast:{program}")
    watched.store.fill()
    assert eventually(lambda: len(watched.hook.told) > before, (LATE_MINUTES + 5) * 60)
    print(f"alarm after {(dt.datetime.now(dt.UTC) - began).total_seconds():.0f} s")  # noqa: T201 - for the record
    (alarm,) = watched.hook.told[before:]
    assert f"No finished run for {settings.as_of}" in alarm.title
    assert len(watched.heartbeats) == asked


def test_without_supervisord_the_heartbeat_is_silent(watched):
    """Everything ends with it, so no night can be good: only the service outside can say so."""
    asked = len(watched.heartbeats)
    (supervisord,) = members(str(watched.running.settings.var_dir), "")
    kill([supervisord])
    assert eventually(lambda: processes_of(watched.running.settings.var_dir) == {}, 120)
    assert len(watched.heartbeats) == asked
