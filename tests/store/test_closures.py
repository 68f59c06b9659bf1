"""Presumed closures in the store: read by the plans of later runs, removed when bars come."""

import datetime as dt

from pipeline import runs
from pipeline.settings import load_settings
from pipeline.store.closures import presumed_closures, remove_closures, write_closures
from pipeline.store.runs import read_plan

DAYS = (dt.date(2025, 11, 19), dt.date(2025, 11, 20))


def test_closures_are_kept_by_calendar_and_source(tiny):
    """Another source or exchange has its own; writing and removing again changes nothing."""
    settings = load_settings(calendar="24/7")  # a name with a slash
    runs.plan(settings, "manual__1")
    plan = read_plan(tiny.store_url, "manual__1")
    assert presumed_closures(tiny.store_url, "24/7", "sample") == ()
    for _ in range(2):
        write_closures(tiny.store_url, plan, DAYS)
    assert presumed_closures(tiny.store_url, "24/7", "sample") == DAYS
    assert (
        presumed_closures(tiny.store_url, "XNYS", "sample") == presumed_closures(tiny.store_url, "24/7", "files") == ()
    )
    for _ in range(2):
        remove_closures(tiny.store_url, plan, DAYS[:1])
    assert presumed_closures(tiny.store_url, "24/7", "sample") == DAYS[1:]
