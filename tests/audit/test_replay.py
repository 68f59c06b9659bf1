"""Past nights are replayed as the store ran them, an interrupted replay ends as a whole one, and leaks are named."""

import datetime as dt

import pytest

from pipeline.audit import replay_work
from pipeline.audit.night_ledger import records
from pipeline.audit.replay import replay, training_nights
from pipeline.audit.replay_folder import parts
from pipeline.errors import UsageError
from pipeline.plan import make_plan
from pipeline.serving.promotion import Decision
from pipeline.settings import load_settings
from pipeline.store.formats import frame_of
from tests.support.nights import night
from tests.support.tiny import tiny_settings

NIGHTS = ("2025-11-12", "2025-11-13", "2025-11-14", "2025-11-17", "2025-11-18", "2025-11-19", "2025-11-20")
NOW = dt.datetime(2025, 11, 22, tzinfo=dt.UTC)
EVERY = 3


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Return the home of a store that ran AAA for seven nights, training every third session, and each decision."""
    home = tmp_path_factory.mktemp("seven-nights")
    decisions = {}
    with pytest.MonkeyPatch.context() as patch:
        tiny_settings(patch, home)
        for at, day in enumerate(NIGHTS):
            folder = night(str(at), day, retrain_every=EVERY)
            decisions[day] = Decision.from_json(folder.read("decision.json"))
    return home, decisions


def made(settings, first, last, *, every=EVERY, policies=("unless_worse",), workers=1, say=lambda _line: None):
    """Return a finished replay."""
    given = settings.model_copy(update={"tickers": ("AAA",), "as_of": dt.date.fromisoformat(last)})
    plan = make_plan(given, "replay", now=NOW, moment=NOW, overrides={})
    day = dt.date.fromisoformat(first)
    return replay(plan, given, first=day, every=every, policies=policies, workers=workers, say=say)


def figures(rows):
    """Return what a row of the ledger forecasts, without the run and the time."""
    return [row.model_dump(exclude={"run", "created"}) for row in sorted(rows, key=lambda one: one.session)]


@pytest.mark.parametrize("first", [NIGHTS[0], NIGHTS[2]])
def test_a_replay_decides_and_forecasts_as_the_store_did(store, monkeypatch, first):
    """From its first night, and from a later one with the champion that the store had by then: to the last bit."""
    home, decisions = store
    settings = tiny_settings(monkeypatch, home)
    done = made(settings, first, NIGHTS[-1])
    days = NIGHTS[NIGHTS.index(first) :]
    (part,) = parts(done.home, "AAA", len(days))
    real = [row for row in records(settings.ledger_place, "AAA") if str(row.as_of) in days]
    assert len(real) == len(days)
    assert figures(part.records["unless_worse"]) == figures(real)
    replayed = {str(one.as_of): (one.promoted, one.reason) for one in part.decisions["unless_worse"]}
    assert replayed == {day: (decisions[day].promoted, decisions[day].reason) for day in days}
    assert done.made.from_snapshots == len(days)
    assert done.made.leak == ""
