"""Past runs in the store: found by name, by version and by session, also those that older code planned."""

import datetime as dt
import json

import pytest

from pipeline.errors import UsageError
from pipeline.store.history import newest_first, past_run, run_of_snapshot, run_of_version
from pipeline.store.runs import run_folder
from tests.support.nights import sample_prices
from tests.support.past_runs import leave_plan, leave_unit


def test_a_plan_is_read_field_by_field(tiny):
    """An older plan lacks fields and has others; names and the data of the night are no parameters."""
    plan = leave_plan(tiny, "manual__2025-11-20T01:00", "2025-11-20")
    folder = run_folder(tiny.store_url, plan.run)
    fields = json.loads(folder.read("plan.json"))
    del fields["until"], fields["retrain_every"]
    folder.write("plan.json", json.dumps(fields | {"of_old_code": [1, 2]}).encode())
    found = past_run(tiny.store_url, "manual__2025-11-20T01:00")
    assert (found.as_of, found.preset, found.until, found.tickers) == (
        dt.date(2025, 11, 20),
        "daily",
        "forecast",
        ("AAA",),
    )
    assert (found.parameters["preset.lookback"], found.parameters["of_old_code"]) == ("5", "1, 2")
    assert not {"as_of", "created", "run", "retrain_every"} & set(found.parameters)


def test_the_run_planned_last_comes_first(tiny):
    """Names do not sort by time, and a folder without a plan is left out."""
    leave_plan(tiny, "scheduled__1", "2025-11-20", hour=1)
    leave_plan(tiny, "local__2", "2025-11-19", hour=2)
    run_folder(tiny.store_url, "empty").write("report.html", b"")
    run_folder(tiny.store_url, "damaged").write("plan.json", b"{")
    assert [one.run for one in newest_first(tiny.store_url)] == ["local__2", "scheduled__1"]


def test_a_version_and_a_snapshot_lead_to_their_run(tiny):
    """Of several runs of one session the latest counts."""
    for hour, version in enumerate((3, 4)):
        leave_unit(
            tiny, leave_plan(tiny, f"manual__{version}", "2025-11-20", hour), sample_prices("AAA"), version=version
        )
    assert run_of_version(tiny.store_url, "AAA", 3).run == "manual__3"
    assert run_of_snapshot(tiny.store_url, "AAA", dt.date(2025, 11, 20)).run == "manual__4"
    with pytest.raises(UsageError, match="AAA@5"):
        run_of_version(tiny.store_url, "AAA", 5)
    with pytest.raises(UsageError, match="The last session before it is 2025-11-20"):
        run_of_snapshot(tiny.store_url, "AAA", dt.date(2025, 11, 21))


def test_an_unknown_run_is_wrong_usage(tiny):
    """A name never leaves its folder."""
    for name in ("manual__9", "../../etc", ""):
        with pytest.raises(UsageError, match="closecast runs"):
            past_run(tiny.store_url, name)
