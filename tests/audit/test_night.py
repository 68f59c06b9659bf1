"""A night of its own gives the figures of a run, and leaves nothing behind."""

from pipeline.audit import night
from pipeline.prices.pieces import rows_sha256
from pipeline.store.formats import frame_of, json_of
from tests.support.markets import prepared


def test_a_night_has_the_files_of_a_run(tiny):
    """Up to the step that is asked for; prices as the source has them up to the night."""
    plan, prices, settings = prepared(tiny)
    made = night.made(plan, prices, settings, until="window")
    assert list(made.outcomes["BBB"]) == ["ingest", "validate", "split_scale", "window"]
    kept = frame_of(made.file("BBB", "validated.parquet"))
    assert kept["close"].tolist() == prices["BBB"]["close"].tolist()
    assert json_of(made.file("BBB", "snapshot.json"))["sha256"] == rows_sha256(prices["BBB"])
    assert not (tiny.var_dir / "store").exists()


def test_the_plan_is_that_of_a_night_that_trains(tiny):
    """Without a champion, with the refit of the preset, and with a gate that never replaces the network."""
    plan = prepared(tiny).plan
    assert (plan.source, plan.retrain_every, plan.preset.refit) == ("files", 1, True)
    assert plan.gate.max_coverage_95 == 1.0
