"""The name of a night is a run, a version, or the session of a ledger's row."""

import pytest

from pipeline.audit.night_names import named
from pipeline.errors import UsageError


def test_each_name_means_one_night(two_nights):
    """The row of a session is that of the night before; its ledger is not asked."""
    store = two_nights.store_url
    assert named(store, "manual__1").run.run == "manual__1"
    assert named(store, "AAA@1").run.run == "manual__1"
    assert named(store, "aaa@2025-11-21").run.run == "manual__1"
    assert named(store, "AAA@2025-11-24").run.run == "manual__2"
    assert named(store, "AAA@2025-11-24").tickers == ("AAA",)


@pytest.mark.parametrize("name", ["AAA@2025-11-20", "AAA@2025-13-40", "BBB@2025-11-21", "../x@2025-11-21", "no-run"])
def test_other_names_are_wrong_usage(two_nights, name):
    """In three lines."""
    with pytest.raises(UsageError):
        named(two_nights.store_url, name)
