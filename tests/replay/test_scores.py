"""The counts and the ledger of a replay; test_replay.py compares its scores with those of a store."""

import pandas as pd

from tests.support.replays import NIGHTS, replay_of


def test_trainings_are_counted_and_the_ledger_is_written(tiny):
    """Three trainings for a policy, one for the baseline that never trains again."""
    done = replay_of(tiny)
    counts = {one.contender: (one.trained, one.promoted + one.refused, one.forecasts) for one in done.made.scored}
    assert counts == {"unless_worse": (3, 3, 7), "never": (1, 1, 7), "reference": (3, 3, 7)}
    written = pd.read_parquet(done.home / "ledger" / "never" / "AAA.parquet")
    assert list(written["as_of"].dt.strftime("%Y-%m-%d")) == list(NIGHTS)
    assert (written["created"].dt.date == written["as_of"].dt.date).all()
