"""Nights between two trainings."""

import datetime as dt

import mlflow
import numpy as np
import pytest

from pipeline.forecasting import inference, training
from pipeline.serving import ledger
from pipeline.steps import FLOW, Unit, carry
from pipeline.store.runs import read_plan
from pipeline.tracking.registry import Registry
from tests.support.nights import json_in, night

EVERY = {"retrain_every": 3}


@pytest.fixture
def trainings(monkeypatch):
    """Return a list that grows with each network that is trained."""
    done = []
    train = training.train

    def counted(*given, **words):
        done.append(len(given[0]))
        return train(*given, **words)

    monkeypatch.setattr(training, "train", counted)
    return done


def test_the_network_is_trained_every_third_session(one_night, trainings):
    """On the nights between, the next version has the weights of the first; each night has a forecast of its own."""
    registry = Registry(one_night)
    first = registry.champion("AAA")
    for name, day in (("b", "2025-11-21"), ("c", "2025-11-24")):
        folder = night(name, day, **EVERY)
        version = registry.champion("AAA")
        assert (trainings, version.weights_of, version.tags["trained"]) == ([], first.number, "2025-11-20")
        assert (version.cutoff, version.as_of) == (first.cutoff, dt.date.fromisoformat(day))
        assert version.evaluation_cutoff == first.evaluation_cutoff
        mine, other = (inference.to_bytes(registry.load("AAA", one).network) for one in (first, version))
        assert mine == other
    rows, cut = json_in(folder, "rows")["split"], json_in(folder, "split")
    assert (rows["test"], rows["end"]) == (cut["test"] - 2, cut["end"])  # 80 % of two more sessions, rounded
    night("d", "2025-11-25", **EVERY)
    assert len(trainings) == 2  # for the evaluation and for serving
    last = registry.champion("AAA")
    assert (last.weights_of, last.tags["trained"]) == (last.number, "2025-11-25")
    assert len(ledger.read(one_night.ledger_place, "AAA")) == 4


def test_a_training_that_the_gate_refused_counts(one_night, trainings):
    """Else a champion that stays would have a training every night from then on."""
    stays = {"gate": {"policy": "if_better"}}  # both networks forecast as naive: no challenger is better
    first = Registry(one_night).champion("AAA")
    night("b", "2025-11-21", **stays)
    assert len(trainings) == 2  # for the evaluation and for serving
    for name, day, number in (("c", "2025-11-24", 2), ("d", "2025-11-25", 2), ("e", "2025-11-26", 4)):
        night(name, day, **stays, **EVERY)
        served = Registry(one_night).champion("AAA")
        assert (served.weights_of, served.trained) == (first.number, first.trained)
        assert len(trainings) == number
    assert str(served.last_training) == "2025-11-26"


def test_the_served_model_of_such_a_night_gives_the_ledgers_quantiles(one_night):
    """Its intervals are those of tonight."""
    folder = night("b", "2025-11-21", **EVERY)
    version = Registry(one_night).champion("AAA")
    mlflow.set_tracking_uri(one_night.mlflow_uri)
    model = mlflow.pyfunc.load_model(f"models:/{version.model_id}")
    from pipeline.store.formats import frame_of

    prices = frame_of(folder.read("validated.parquet"))[["open", "high", "low", "close"]]
    made = model.predict(prices.tail(200))
    said = json_in(folder, "forecast")["forecast"]
    assert said["version"] == version.number
    np.testing.assert_allclose(made.filter(regex=r"^q\d\d$").iloc[0], said["quantiles"], rtol=1e-6)


def old_and_unit(settings):
    """Return the champion as `carry` finds it on a second night, and that night's unit."""
    train = [step.name for step in FLOW].index("train")
    folder = night("b", "2025-11-21", steps=FLOW[:train], **EVERY)
    plan = read_plan(settings.store_url, "manual__b")
    before = tuple(step.name for step in FLOW[:train])
    unit = Unit("AAA", plan, folder, settings, Registry(settings), FLOW[train], before)
    return carry._recorded(unit), unit


def test_news_trains_the_network_sooner(one_night, monkeypatch):
    """Each reason alone; without one the network is carried."""
    old, unit = old_and_unit(one_night)

    def reason(old=old, **plan):
        changed = unit.plan.model_copy(update=plan)
        return carry.reason_to_train(
            Unit("AAA", changed, unit.folder, unit.settings, unit.registry, unit.step, unit.before), old
        )

    assert reason() == ""
    assert reason(retrain_every=2) == ""
    other = "do not continue those of the champion"
    assert other in reason(fault="gap")
    assert "walk-forward" in reason(walk_forward=2)
    assert other in reason(as_of=dt.date(2025, 11, 19))
    assert "preset has changed" in reason(preset=unit.plan.preset.model_copy(update={"seed": 1}))
    assert other in reason(source="yahoo")
    assert "which rows" in reason(old._replace(tags={}))
    week_ago = old.version._replace(tags=dict(old.version.tags) | {"trained": "2025-11-14"})
    assert "5 sessions ago" in reason(old._replace(version=week_ago))
    monkeypatch.setattr(carry.live_record, "decay", lambda *_: ("skill -0.3",))
    assert reason() == ""  # one session after a training a decay says nothing about it
    assert "decayed" in reason(old._replace(version=week_ago), retrain_every=20)


def test_one_ticker_that_must_be_trained_trains_all_of_its_network(one_night, monkeypatch):
    """They share it."""
    _, unit = old_and_unit(one_night)
    assert carry.carry([unit, unit]) is not None
    reasons = iter(["", "the preset has changed"])
    monkeypatch.setattr(carry, "reason_to_train", lambda *_: next(reasons))
    assert carry.carry([unit, unit]) is None


def test_a_restated_past_trains_the_network(one_night):
    """A split alone does not: the recipe follows it."""
    old, unit = old_and_unit(one_night)
    ingested = unit.manifests["ingest"]
    for kind, expected in (
        ("explained", ""),
        ("basis", "the past was restated"),
        ("unexplained", "the past was restated"),
    ):
        outcome = ingested.outcome.model_copy(update={"tags": ingested.outcome.tags | {"restatement": kind}})
        unit.manifests["ingest"] = ingested.model_copy(update={"outcome": outcome})
        assert carry.reason_to_train(unit, old) == expected
