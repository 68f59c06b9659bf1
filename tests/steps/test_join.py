"""A ticker that comes after the shared training of its night. tests/operations/test_decisions.py serves one."""

import datetime as dt

import pytest

from pipeline import runner, runs
from pipeline.outcome import ANSWER, Answer
from pipeline.prices import snapshot
from pipeline.settings import load_settings
from pipeline.steps import FLOW, Unit
from pipeline.steps.join import JOINED, join
from pipeline.store.formats import json_of
from pipeline.store.runs import read_plan, unit_folder
from pipeline.tracking.versions import LAST_TRAINING
from tests.support.tiny import tiny_settings

AT = [step.name for step in FLOW].index("train")
BEFORE = tuple(step.name for step in FLOW[:AT])


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Train a network for AAA and BBB, and prepare LATE, whose prices a person has accepted since."""
    with pytest.MonkeyPatch.context() as patch:
        tiny_settings(patch, tmp_path_factory.mktemp("late"), scope="universe")
        settings = load_settings(tickers=("AAA", "BBB", "LATE"), batch_size=3)
        (batch,) = runs.plan(settings, "manual__1")
        for step in FLOW[:AT]:
            runner.run(step.name, batch, settings=settings)
        unit = unit_of(settings, "LATE")
        assert join([unit]) is None  # no training yet
        runner.run("train", {**batch, "tickers": ["AAA", "BBB"]}, settings=settings)
        yield settings


def unit_of(settings, ticker, *, accepted=True):
    """Return the unit of a ticker before `train`, with an answer."""
    plan = read_plan(settings.store_url, "manual__1")
    folder = unit_folder(settings.store_url, ticker, plan)
    rows = snapshot.identity(folder.manifest("ingest"))
    answer = Answer(accepted=True, data_sha256=rows, by="admin", when=dt.datetime(2025, 11, 22, tzinfo=dt.UTC))
    if accepted:
        folder.write(ANSWER, answer.to_json())
    return Unit(ticker, plan, folder, settings, None, FLOW[AT], BEFORE)


def test_it_takes_tonights_network_with_a_recipe_of_its_own(shared):
    """Both networks, byte for byte; the same borders; nothing is trained."""
    (outcome,) = join([unit_of(shared, "LATE")])
    other = unit_of(shared, "AAA", accepted=False).folder
    trained = other.manifest("train")
    for name in ("model.keras", "refitted.keras"):
        assert outcome.files[name] == other.read(name)
    assert json_of(outcome.files["recipe.json"])["ticker"] == "LATE"
    assert json_of(outcome.files["recipe.json"])["half_width_95"] > 0
    for name in ("first_validation_session", "first_test_session", "device", "cutoff", "evaluation_cutoff"):
        assert outcome.tags[name] == trained.outcome.tags[name]
    assert (outcome.tags[JOINED], outcome.metrics["fit_seconds"]) == ("AAA", 0.0)
    assert set(outcome.files) == set(trained.outputs)
    assert outcome.params == trained.outcome.params


def test_it_takes_the_last_training_of_a_network_that_the_others_carried(shared):
    """Else `retrain_every` would count from tonight."""
    unit = unit_of(shared, "LATE")
    folder = unit_of(shared, "AAA", accepted=False).folder
    trained = folder.manifest("train")
    (outcome,) = join([unit])
    assert LAST_TRAINING not in outcome.tags
    tags = trained.outcome.tags | {LAST_TRAINING: "2025-11-18"}
    folder.write_manifest(trained.model_copy(update={"outcome": trained.outcome.model_copy(update={"tags": tags})}))
    (outcome,) = join([unit])
    folder.write_manifest(trained)
    assert outcome.tags[LAST_TRAINING] == "2025-11-18"


def test_a_ticker_without_an_answer_does_not_join(shared):
    """A retry of the training trains."""
    unit = unit_of(shared, "BBB", accepted=False)
    assert join([unit]) is None
    assert join([unit, unit_of(shared, "LATE")]) is None


def test_a_ticker_with_a_network_of_its_own_is_trained(shared):
    """Nothing is shared tonight."""
    unit = unit_of(shared, "LATE")
    alone = unit.plan.model_copy(update={"preset": unit.plan.preset.model_copy(update={"scope": "ticker"})})
    assert join([Unit("LATE", alone, unit.folder, shared, None, FLOW[AT], BEFORE)]) is None
