"""The newest snapshot is final and equal to the earlier ones; a restated past and an unfinished bar are named."""

import datetime as dt

import pytest

from pipeline.audit import snapshots
from pipeline.errors import UsageError
from pipeline.outcome import Finding
from tests.support.nights import folder_of_run


@pytest.fixture
def two(two_nights):
    """Return the two snapshots of AAA."""
    return snapshots.snapshots(two_nights.store_url, "AAA")


def test_the_newest_snapshot_is_that_of_the_last_night(two_nights, two):
    """With its plan."""
    assert [one.run for one in two] == ["manual__1", "manual__2"]
    plan, prices, leak = snapshots.newest(two_nights.store_url, ["AAA"])
    assert (str(plan.as_of), str(prices["AAA"].index[-1].date()), leak) == ("2025-11-21", "2025-11-21", "")


def test_a_restated_past_is_named(two):
    """One close of the past is another one tonight."""
    now = two[1].prices.copy()
    now.iloc[100, now.columns.get_loc("close")] *= 1.01
    named = snapshots.snapshot_leak([two[0], two[1]._replace(prices=now)], "XNYS")
    assert named.startswith("AAA the past was restated since 2025-11-20: ")


def test_an_unfinished_last_bar_is_named(two):
    """It was taken an hour before the close."""
    early = dt.datetime(2025, 11, 21, 20, tzinfo=dt.UTC)
    ingested = two[1].ingested.model_copy(update={"started": early})
    named = snapshots.snapshot_leak([two[0], two[1]._replace(ingested=ingested)], "XNYS")
    assert "AAA the bar of 2025-11-21 is unfinished: it was taken at 2025-11-21 20:00 UTC" in named


def test_a_ticker_without_a_snapshot_is_named(two_nights):
    """With the command that makes one."""
    with pytest.raises(UsageError, match="no snapshot of NFLX"):
        snapshots.newest(two_nights.store_url, ["NFLX"])


def test_a_snapshot_that_no_person_accepted_does_not_count(two_nights_copied, two):
    """The ticker waited, or was rejected: the next night is not compared with it either."""
    folder = folder_of_run(two_nights_copied, "manual__2")
    asked = Finding(rule="Past prices", severity="info", observed="2 closes", asks=True)
    for step, finding in (("ingest", asked), ("validate", asked.model_copy(update={"severity": "critical"}))):
        manifest = folder.manifest(step)
        outcome = manifest.outcome.model_copy(update={"findings": (finding,)})
        folder.write_manifest(manifest.model_copy(update={"outcome": outcome}))
    found = snapshots.snapshots(two_nights_copied.store_url, "AAA")
    assert [one.run for one in found] == ["manual__1"]
    folder.write_manifest(manifest)
    assert [one.run for one in snapshots.snapshots(two_nights_copied.store_url, "AAA")] == [one.run for one in two]
