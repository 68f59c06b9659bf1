"""Past nights are replayed as the store ran them; an interrupted replay ends as a whole one."""

import datetime as dt

import numpy as np
import pytest

from pipeline.audit.night_ledger import records
from pipeline.errors import UsageError
from pipeline.evaluation import live
from pipeline.replay.folder import parts
from pipeline.replay.replay import contenders_of, training_nights
from pipeline.settings import load_settings
from pipeline.store.formats import frame_of, sha256
from tests.support.nights import folder_of_run
from tests.support.replays import EVERY, NIGHTS, files_of, plan_to, replay_of


def figures(rows):
    """Return what rows of a ledger forecast, without the run and the time."""
    return [row.model_dump(exclude={"run", "created"}) for row in sorted(rows, key=lambda one: one.session)]


@pytest.mark.parametrize("first", [NIGHTS[0], NIGHTS[2]])
def test_a_replay_decides_and_forecasts_as_the_store_did(seven_nights, first):
    """From its first night, and from a later one with the champion that the store had by then: to the last bit."""
    settings = load_settings()
    before = {path: sha256(path.read_bytes()) for path in (seven_nights.home / "var/store").rglob("*.*")}
    done = replay_of(settings, first)
    days = NIGHTS[NIGHTS.index(first) :]
    (part,) = parts(done.home, "AAA", len(days))
    real = [row for row in records(settings.ledger_place, "AAA") if str(row.as_of) in days]
    assert len(real) == len(days)
    assert figures(part.records["unless_worse"]) == figures(real)
    replayed = {str(one.as_of): (one.promoted, one.reason) for one in part.decisions["unless_worse"]}
    decisions = seven_nights.decisions
    assert replayed == {day: (decisions[day].promoted, decisions[day].reason) for day in days}
    assert (done.made.from_snapshots, done.made.from_history) == (len(days), 0)
    assert (done.made.leak, done.made.checked) == ("", 1)
    assert bool(done.made.started) == (first != NIGHTS[0])
    assert before == {path: sha256(path.read_bytes()) for path in (seven_nights.home / "var/store").rglob("*.*")}


@pytest.mark.usefixtures("seven_nights")
def test_each_scored_forecast_is_that_of_the_store():
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


@pytest.mark.usefixtures("seven_nights")
def test_a_store_without_these_nights_gives_the_same_from_the_history(tiny):
    """The synthetic market restates nothing, so that the cut history equals the snapshots."""
    with_store = replay_of(load_settings())
    alone = tiny.model_copy(update={"store": str(tiny.var_dir / "empty"), "var": tiny.var_dir / "other"})
    without = replay_of(alone)
    assert (without.made.from_snapshots, without.made.from_history) == (0, len(NIGHTS))
    for (pair,) in zip(parts(with_store.home, "AAA", 7), strict=True):
        assert parts(without.home, "AAA", 7)[0].decisions == pair.decisions


def test_interrupted_and_resumed_gives_the_same_result(tiny, monkeypatch):
    """After a training and after two of seven nights; the second call says what was done."""
    monkeypatch.setattr("pipeline.replay.work.NIGHTS", 2)
    whole = replay_of(tiny.model_copy(update={"var": tiny.var_dir / "whole"}), policies=("unless_worse", "if_better"))
    said = []

    def interrupt(line):
        said.append(line)
        if line.startswith(("training 1 of", "nights 2 of")):
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            replay_of(tiny, policies=("unless_worse", "if_better"), say=interrupt)
    done = replay_of(tiny, policies=("unless_worse", "if_better"), say=said.append)
    assert "Continues: 1 of 3 training(s) are done." in said
    assert "Continues: 2 of 7 ticker-nights are done." in said
    assert files_of(done.home) == files_of(whole.home)
    assert {path.split("/")[1] for path in files_of(done.home) if path.startswith("ledger")} == {
        "unless_worse", "if_better", "never", "reference",
    }  # fmt: skip


def test_a_changed_setting_begins_anew_and_says_so(tiny):
    """Its name is in the line; the parts of before are gone."""
    replay_of(tiny)
    said = []
    gate = tiny.gate.model_copy(update={"tolerance": 0.5})
    replay_of(tiny.model_copy(update={"gate": gate}), say=said.append)
    assert said[0].startswith("Begins anew: ")
    assert said[0].endswith(" differs in tolerance.")
    assert any(line.startswith("training 1 of 3") for line in said)
    again = []
    replay_of(tiny.model_copy(update={"gate": gate}), say=again.append)
    assert again == ["Continues: 3 of 3 training(s) are done."]


def test_a_history_that_is_too_short_is_wrong_usage(tiny):
    """Before anything is trained."""
    with pytest.raises(UsageError, match="255 sessions") as refused:
        replay_of(tiny.model_copy(update={"start": dt.date(2025, 9, 1)}))
    assert "AAA on 2025-11-12: 52 rows, the last on 2025-11-12" in str(refused.value)
    with pytest.raises(UsageError, match="needs a session"):
        replay_of(tiny, "2025-11-21", "2025-11-20")


@pytest.mark.parametrize(
    ("before", "trained"),
    [
        ([None], [0, 3, 6]),
        ([dt.date(2025, 11, 10)], [1, 4]),  # two sessions old on the first night
        ([dt.date(2025, 10, 1)], [0, 3, 6]),
        ([dt.date(2025, 11, 10), None], [0, 3, 6]),  # one ticker of a universe has no champion
        ([dt.date(2025, 11, 11), dt.date(2025, 11, 10)], [1, 4]),
    ],
)
def test_the_clock_of_trainings(tiny, before, trained):
    """At once without a champion, else when the oldest training is three sessions old."""
    nights = [dt.date.fromisoformat(one) for one in NIGHTS]
    found = training_nights(nights, EVERY, before, plan_to(tiny, NIGHTS[-1], "AAA"))
    assert [nights.index(one) for one in found] == trained


def test_a_preset_without_intervals_has_no_reference(tiny):
    """Policies come first, without repeats."""
    plan = plan_to(tiny, NIGHTS[-1], "AAA")
    names = [one.name for one in contenders_of(["if_better", "if_better", "unless_worse"], plan)]
    assert names == ["if_better", "unless_worse", "never", "reference"]
    point = plan.model_copy(update={"preset": tiny.presets["point"]})
    assert [one.name for one in contenders_of(["if_better"], point)] == ["if_better", "never"]
