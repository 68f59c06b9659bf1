"""A program that deletes and a run exclude each other, and a killed one keeps no run from starting for long."""

import datetime as dt

import pytest

from pipeline import runner, runs
from pipeline.errors import Unavailable
from pipeline.store import upkeep
from pipeline.store.folder import Folder
from pipeline.store.runs import run_folder
from pipeline.store.upkeep import alone, require_no_upkeep


@pytest.fixture
def clock(monkeypatch):
    """Return a function that moves the clock of `upkeep` by minutes."""
    times = [dt.datetime(2026, 3, 1, tzinfo=dt.UTC)]
    monkeypatch.setattr(upkeep, "_now", lambda: times[-1])
    return lambda minutes: times.append(times[-1] + dt.timedelta(minutes=minutes))


def test_a_run_waits_until_it_has_ended(tiny):
    """Its plan and each of its steps raise an error that Airflow tries again; afterwards they work."""
    with alone(tiny.store_url):
        with pytest.raises(Unavailable, match="at the same time"):
            runs.plan(tiny, "manual__1")
        with pytest.raises(Unavailable, match="at the same time"):
            runner.run("ingest", {"run": "manual__1", "as_of": "2025-11-21", "tickers": ["AAA"]}, settings=tiny)
    assert Folder(tiny.store_url).names() == []
    assert runs.plan(tiny, "manual__1")


def test_it_does_not_start_beside_a_run(tiny):
    """The run is named, and the mark is gone; once the run has results it starts."""
    runs.plan(tiny, "manual__1")
    with pytest.raises(Unavailable, match="no results yet of manual__1"), alone(tiny.store_url):
        pass
    require_no_upkeep(tiny.store_url)
    run_folder(tiny.store_url, "manual__1").write("results.json", b"[]")
    with alone(tiny.store_url):
        pass


def test_a_run_that_was_planned_at_the_same_time_waits(tiny, monkeypatch):
    """It looks again after it has written its plan."""
    begun = []
    real = upkeep.require_no_upkeep

    def look(store_url):
        real(store_url)
        if not begun:  # the deletion begins after the first look
            begun.append(alone(store_url))
            begun[0].__enter__()

    monkeypatch.setattr(runs, "require_no_upkeep", look)
    with pytest.raises(Unavailable, match="at the same time"):
        runs.plan(tiny, "manual__1")
    begun[0].__exit__(None, None, None)


def test_only_one_at_a_time(tmp_path):
    """The second names the first."""
    with alone(str(tmp_path)), pytest.raises(Unavailable, match="pruning since"), alone(str(tmp_path)):
        pass


def test_a_mark_of_a_killed_program_counts_for_ten_minutes(tmp_path, clock):
    """A mark that is renewed counts longer."""
    store = str(tmp_path)
    work = alone(store)
    renew = work.__enter__()
    clock(4)
    renew()
    clock(9)
    with pytest.raises(Unavailable):
        require_no_upkeep(store)
    clock(2)
    require_no_upkeep(store)
    # The first one was killed. If it was only stopped, it must not go on.
    with alone(store), pytest.raises(Unavailable, match="keep its mark"):
        renew()
    work.__exit__(None, None, None)


def test_an_unreadable_mark_keeps_nobody_out(tmp_path):
    """A mark is written atomically, so this one is not ours."""
    Folder(str(tmp_path)).write(upkeep.NAME, b"x")
    require_no_upkeep(str(tmp_path))
