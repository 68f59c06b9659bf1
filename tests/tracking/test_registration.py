"""Registering a logged model, in a real MLflow registry on SQLite."""

import pytest
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

from pipeline.tracking.registration import register
from pipeline.tracking.registry import Registry
from pipeline.tracking.runs import Runs
from tests.support.released import NOON, continued, decision, release, trained

TAGS = {"ticker": "NFLX", "as_of": "2025-11-21"}


@pytest.fixture
def registry(tiny):
    """Return an empty registry."""
    Runs(tiny)
    return Registry(tiny)


def requests_of(monkeypatch):
    """Return the list to which each request to the registry adds its name."""
    names = []

    def counting(name):
        inner = getattr(SqlAlchemyStore, name)

        def counted(self, *given, **named):
            names.append(name)
            return inner(self, *given, **named)

        monkeypatch.setattr(SqlAlchemyStore, name, counted)

    changing = ("create_registered_model", "create_model_version", "set_model_version_tag", "update_model_version")
    for name in (*changing, "search_model_versions", "get_model_version_by_alias", "set_registered_model_alias"):
        counting(name)
    return names


def test_the_first_version_makes_the_registered_model_with_its_ticker(registry):
    """With tags and description, which cost no requests of their own."""
    model, run = trained(registry)
    assert register(registry._client, "NFLX", model, run, TAGS, "| table |") == (1, True)
    assert registry._client.get_registered_model("closecast-NFLX").tags == {"ticker": "NFLX"}
    version = registry._client.get_model_version("closecast-NFLX", "1")
    assert (version.tags, version.description) == (TAGS | {"model_id": model}, "| table |")


def test_a_model_is_registered_once_and_takes_the_tags_of_the_newest_decision(registry):
    """A cleared task decides again on the same model."""
    model, run = trained(registry)
    register(registry._client, "NFLX", model, run, TAGS | {"decision": "refused"}, "old")
    assert register(registry._client, "NFLX", model, run, TAGS | {"decision": "promoted"}, "new") == (1, False)
    (version,) = registry.versions("NFLX")
    assert version.tags["decision"] == "promoted"
    assert registry._client.get_model_version("closecast-NFLX", "1").description == "new"


def test_a_second_version_of_one_model_is_deleted(registry):
    """The answer to the first request was lost, and MLflow's client repeated it."""
    model, run = trained(registry)
    register(registry._client, "NFLX", model, run, TAGS, "")
    ghost = registry._client.create_model_version("closecast-NFLX", f"models:/{model}", run, model_id=model)
    assert int(ghost.version) == 2
    assert register(registry._client, "NFLX", model, run, TAGS, "") == (1, False)
    assert [one.number for one in registry.versions("NFLX")] == [1]


def test_the_requests_of_a_night_do_not_depend_on_the_number_of_versions(registry, monkeypatch):
    """A promotion and a champion that stays: the same few requests, and each search reads one version at most."""
    read = []
    search = SqlAlchemyStore.search_model_versions

    def counted(self, *given, **named):
        found = search(self, *given, **named)
        read.append(len(found))
        return found

    monkeypatch.setattr(SqlAlchemyStore, "search_model_versions", counted)
    release(registry)
    counts = []
    for hour in range(1, 6):
        model = trained(registry)
        with monkeypatch.context() as patch:
            names = requests_of(patch)
            champion = registry.champion("NFLX").number
            read.clear()
            decided = decision(champion=champion, run=f"run-{hour}")
            released = registry.release("NFLX", *model, decided, NOON)
            counts.append(sorted(names))
        assert released.version == champion + 1
        assert max(read) == 1
        continued(registry, 10 + hour)
    assert counts[0] == counts[-1]
    assert counts[0].count("set_model_version_tag") == 1  # the move
