"""Versions, aliases and their history, in a real MLflow registry on SQLite."""

import datetime as dt

import mlflow
import pytest

from pipeline.errors import PipelineError, UsageError
from pipeline.outcome import Released
from pipeline.tracking.registry import Registry
from pipeline.tracking.runs import Runs
from tests.support.released import NOON, continuation, continued, release, trained


@pytest.fixture
def registry(tiny):
    """Return an empty registry."""
    Runs(tiny)
    return Registry(tiny)


def test_the_first_promoted_version_is_served(registry):
    """With its tags, its table, and both aliases."""
    assert registry.champion("NFLX") is None
    assert release(registry) == 1
    champion = registry.champion("NFLX")
    assert (champion.number, champion.as_of, champion.cutoff) == (1, dt.date(2025, 11, 21), dt.date(2023, 1, 3))
    assert not champion.synthetic
    version = registry._client.get_model_version_by_alias("closecast-NFLX", "challenger")
    assert (int(version.version), version.description) == (1, "| table |")


def test_the_model_card_is_that_of_the_version_that_is_served(registry):
    """The first version has one, even if it is refused; later only a promotion renews it, unless it came too late."""

    def card():
        return registry._client.get_registered_model("closecast-NFLX").description

    release(registry, promoted=False, card="first")
    assert card() == "first"
    release(registry, 1, promoted=False, card="refused")
    assert card() == "first"
    release(registry, 2, card="promoted")
    assert card() == "promoted"
    release(registry, 3, champion=1, card="too late")  # its decision has never seen v3
    assert card() == "promoted"


def test_a_refused_version_is_kept_and_not_served(registry):
    """The champion stays."""
    release(registry)
    assert release(registry, 1, promoted=False, champion=1) == 2
    assert registry.champion("NFLX").number == 1
    assert [one.number for one in registry.versions("NFLX")] == [1, 2]


def test_carrying_out_a_decision_again_changes_nothing(registry):
    """One version per training, one move, whatever is repeated."""
    release(registry)
    model = trained(registry)
    for _ in range(3):
        assert release(registry, 1, model=model, champion=1) == 2
    assert [one.number for one in registry.versions("NFLX")] == [1, 2]
    assert [(move.before, move.to) for move in registry.history("NFLX")] == [(1, 2), (None, 1)]


def test_killed_between_registering_and_moving_the_alias(registry, monkeypatch):
    """The old champion stays; the same run tried again moves it, another run in between wins over it."""
    release(registry)
    model = trained(registry)
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "_move", lambda *_args, **_kwargs: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            release(registry, 1, model=model, champion=1)
    assert registry.champion("NFLX").number == 1
    assert release(registry, 2, champion=1) == 3  # the next night
    assert registry.champion("NFLX").number == 3
    assert release(registry, 1, model=model, champion=1) == 2  # the killed one comes back, too late
    assert registry.champion("NFLX").number == 3
    assert registry.versions("NFLX")[1].tags["decision"].startswith("superseded: v3 became champion")
    newest = registry._client.get_model_version_by_alias("closecast-NFLX", "challenger")
    assert int(newest.version) == 3  # and not what came back late


def test_killed_between_writing_the_move_down_and_moving(registry, monkeypatch):
    """History follows the alias back, so a move that never came is not in it; tried again, it comes once."""
    release(registry)
    model = trained(registry)
    real = mlflow.MlflowClient.set_registered_model_alias

    def dies(self, name, alias, version):
        if alias == "champion":
            raise KeyboardInterrupt
        real(self, name, alias, version)

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "set_registered_model_alias", dies)
        with pytest.raises(KeyboardInterrupt):
            release(registry, 1, model=model, champion=1)
    assert [move.to for move in registry.history("NFLX")] == [1]
    release(registry, 1, model=model, champion=1)
    assert [move.to for move in registry.history("NFLX")] == [2, 1]


def test_a_person_sets_and_rolls_back(registry):
    """Each rollback goes one champion further back, and says why."""
    for number in range(3):
        release(registry, number, champion=number or None)
    assert registry.roll_back("NFLX", "bad week") == 2
    assert registry.roll_back("NFLX", "still bad") == 1
    assert registry.champion("NFLX").number == 1
    with pytest.raises(UsageError, match="no earlier champion"):
        registry.roll_back("NFLX", "further")
    registry.set_champion("NFLX", 3, "good again")
    assert [(move.before, move.to, move.reason) for move in registry.history("NFLX")][:3] == [
        (1, 3, "good again"),
        (2, 1, "still bad"),
        (3, 2, "bad week"),
    ]
    with pytest.raises(UsageError, match="Use one of: 1, 2, 3"):
        registry.set_champion("NFLX", 7, "?")


def test_a_rollback_after_a_version_was_set_goes_back_to_what_was_served(registry):
    """1, 2, 3, then 2 by hand: one back is 3, then 2, then 1, and not 3 and 2 forever."""
    for number in range(3):
        release(registry, number, champion=number or None)
    registry.set_champion("NFLX", 2, "by hand")
    assert [registry.roll_back("NFLX", "bad") for _ in range(3)] == [3, 2, 1]
    with pytest.raises(UsageError, match="no earlier champion"):
        registry.roll_back("NFLX", "further")


def test_a_champion_that_continues_is_one_step_of_a_rollback(registry):
    """1, 2, then 2 on two more nights: the run that trained 2 is named, and one back is 1."""
    release(registry)
    release(registry, 1, champion=1)
    weights = registry.champion("NFLX")
    assert (continued(registry, 2), continued(registry, 3)) == (3, 4)
    champion = registry.champion("NFLX")
    assert (champion.number, champion.weights_of, champion.run_id) == (4, 2, weights.run_id)
    newest = registry._client.get_model_version_by_alias("closecast-NFLX", "challenger")
    assert int(newest.version) == 2
    assert registry.roll_back("NFLX", "bad week") == 1
    assert continued(registry, 4) == 5
    with pytest.raises(UsageError, match="no earlier champion"):
        registry.roll_back("NFLX", "further")


def test_a_champion_that_was_replaced_meanwhile_does_not_continue(registry):
    """A person went back while the night ran; and the effect of a task that is tried again adds nothing."""
    release(registry)
    release(registry, 1, champion=1)
    model = trained(registry)
    decided = continuation(registry, 2)
    assert registry.continue_champion("NFLX", model[0], decided, NOON + dt.timedelta(hours=2)).version == 3
    assert registry.continue_champion("NFLX", model[0], decided, NOON + dt.timedelta(hours=2)) == Released(version=3)
    late = continuation(registry, 3)
    registry.roll_back("NFLX", "bad week")
    released = registry.continue_champion("NFLX", trained(registry)[0], late, NOON + dt.timedelta(hours=3))
    assert (released.superseded, released.superseded_by) == (True, 1)
    assert registry.champion("NFLX").number == 1


def test_a_decision_carried_out_again_does_not_undo_a_rollback(registry):
    """A task whose last request failed is cleared after a person has gone back."""
    release(registry)
    model = trained(registry)
    release(registry, 1, model=model, champion=1)
    assert registry.roll_back("NFLX", "bad week") == 1
    release(registry, 1, model=model, champion=1)
    assert registry.champion("NFLX").number == 1
    assert next(move.reason for move in registry.history("NFLX")) == "bad week"


def test_a_run_that_trains_again_may_follow_itself(registry):
    """Its decision was made against the champion before it, and that is what is compared with once more."""
    release(registry)
    release(registry, 1, champion=1)
    assert release(registry, 2, champion=1, run="run-1") == 3
    assert registry.champion("NFLX").number == 3
    assert registry.champion_before("NFLX", "run-1").number == 1
    assert registry.champion_before("NFLX", "run-9").number == 3
    assert registry.champion_before("NFLX", "run-0").number == 3
    assert [(move.before, move.to) for move in registry.history("NFLX")] == [(2, 3), (1, 2), (None, 1)]


@pytest.mark.parametrize(("failure", "retryable"), [("database is locked", True), ("no such model", False)])
def test_a_champion_that_cannot_be_read_for_now_is_not_given_up(registry, monkeypatch, failure, retryable):
    """A locked database passes; files that are gone need a person."""
    release(registry)

    def fails(*_args, **_kwargs):
        raise mlflow.exceptions.MlflowException(failure)

    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", fails)
    with pytest.raises(PipelineError) as caught:
        registry.load("NFLX", registry.champion("NFLX"))
    assert caught.value.retryable is retryable
    assert ("rollback NFLX" in str(caught.value)) is not retryable


@pytest.mark.parametrize("ticker", ["^GSPC", "BTC-USD", "ES=F", "RDS.A"])
def test_every_kind_of_ticker_has_a_model_of_its_own(registry, ticker):
    """Signs included."""
    release(registry, ticker=ticker)
    release(registry, ticker="NFLX")
    assert registry.champion(ticker).number == registry.champion("NFLX").number == 1


@pytest.mark.parametrize("deleted", ["alias", "version", "model"])
def test_a_champion_that_a_person_deleted_is_not_brought_back(registry, deleted):
    """A decision that was made against it comes too late and says why. The next one starts anew."""
    release(registry)
    name = "closecast-NFLX"
    if deleted == "alias":
        registry._client.delete_registered_model_alias(name, "champion")
    elif deleted == "version":
        registry._client.delete_model_version(name, "1")
    else:
        registry._client.delete_registered_model(name)
    assert registry.champion("NFLX") is None
    assert registry.history("NFLX") == []
    late = release(registry, 1, champion=1)
    assert registry.champion("NFLX") is None
    tags = registry._client.get_model_version(name, str(late)).tags
    assert tags["decision"] == (
        "superseded: the champion of the decision was deleted, or lost its alias, before it was carried out"
    )
    anew = release(registry, 2, champion=None)
    assert registry.champion("NFLX").number == anew


def test_facts_of_a_deleted_run_are_still_there_and_those_of_an_unknown_run_are_empty(registry):
    """MLflow keeps a deleted run until it is purged."""
    release(registry)
    champion = registry.champion("NFLX")
    registry._client.delete_run(champion.run_id)
    assert registry.facts(champion) == registry.facts(champion._replace())
    assert registry.facts(champion._replace(run_id="0" * 32)) == ({}, {})
