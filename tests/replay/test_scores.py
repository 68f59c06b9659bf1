"""The scores of a replay are those that the store's last night gave its served forecasts."""

import numpy as np
import pandas as pd

from pipeline.evaluation import live
from pipeline.settings import load_settings
from pipeline.store.formats import frame_of
from tests.support.nights import folder_of_run
from tests.support.replays import NIGHTS, replay_of


def test_each_scored_forecast_is_that_of_the_store(seven_nights):
    """`scored.parquet` of the last night, column by column; the summary is that of `live`."""
    settings = load_settings()
    done = replay_of(settings)
    real = frame_of(folder_of_run(settings, "manual__6").read("scored.parquet"))
    scored = {one.contender: one for one in done.made.scored}
    mine = scored["unless_worse"].rows
    assert len(real) == len(mine) == len(NIGHTS) - 1
    for name in ("session", "forecast", "close", "error", "inside_95", "interval_score_95_pct", "rival_score_95_pct"):
        np.testing.assert_array_equal(mine[name].to_numpy(), real[name].to_numpy())
    summary = live.summary(real, 1000)
    assert scored["unless_worse"].live_skill == summary.skill
    assert scored["unless_worse"].interval_skill_95 == summary.interval_skill_95
    assert scored["unless_worse"].coverage_95 == summary.coverage_95
    assert seven_nights.decisions


def test_trainings_are_counted_and_the_ledger_is_written(tiny):
    """Three trainings for a policy, one for the baseline that never trains again."""
    done = replay_of(tiny)
    counts = {one.contender: (one.trained, one.promoted + one.refused, one.forecasts) for one in done.made.scored}
    assert counts == {"unless_worse": (3, 3, 7), "never": (1, 1, 7), "reference": (3, 3, 7)}
    written = pd.read_parquet(done.home / "ledger" / "never" / "AAA.parquet")
    assert list(written["as_of"].dt.strftime("%Y-%m-%d")) == list(NIGHTS)
    assert (written["created"].dt.date == written["as_of"].dt.date).all()
