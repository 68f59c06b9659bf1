"""Which nights are kept: tiny stores checked by hand, and properties of random ones."""

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from pipeline.pruning.retention import Key, Limits, Row, Served, Unit, VersionFacts, choose

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
FIRST = dt.date(2026, 1, 1)


def unit(day, ticker="AAA", source="yahoo", **changed):
    """Return the unit of a night; the number of the day names the run."""
    as_of = FIRST + dt.timedelta(days=day)
    created = dt.datetime.combine(as_of, dt.time(22), dt.UTC)
    return Unit(ticker, f"run-{day}", f"run+{day}", as_of, created, source)._replace(**changed)


def version(number, day, weights_of=None, ticker="AAA"):
    return VersionFacts(ticker, number, f"run+{day}", weights_of or number)


def row(version, day, champion_before=None):
    return Row("AAA", FIRST + dt.timedelta(days=day + 1), version, f"run-{day}", champion_before)


def days(choice):
    """Return the days of the nights that are kept."""
    return sorted(int(key.run.removeprefix("run-")) for key in choice.kept)


def test_the_last_nights_of_each_source_are_kept():
    """A session that ran twice is one night, and another source has its own count."""
    units = [*map(unit, range(6)), unit(5, run="again"), unit(0, source="files", run="run-100")]
    choice = choose(units, [], {}, [], [], Limits(2, NOW))
    assert set(choice.kept) == {
        Key("AAA", "run-4"), Key("AAA", "run-5"), Key("AAA", "again"), Key("AAA", "run-100")
    }  # fmt: skip
    assert [one.run for one in choice.deleted] == ["run-0", "run-1", "run-2", "run-3"]


def test_a_champion_keeps_its_night_and_the_night_of_its_weights():
    """v9 continues v2; a rollback would serve v1. The version between them goes."""
    units = [unit(day) for day in range(10)]
    versions = [version(1, 0), version(2, 1), version(3, 2), version(9, 6, weights_of=2), version(10, 9)]
    served = {"AAA": Served({"champion": 9, "challenger": 10}, 1)}
    choice = choose(units, versions, served, [], [], Limits(1, NOW))
    assert days(choice) == [0, 1, 6, 9]
    assert choice.kept["AAA", "run-6"] == ("champion v9",)
    assert choice.kept["AAA", "run-1"] == ("weights of v9",)
    assert choice.kept["AAA", "run-0"] == ("v1, which a rollback would serve",)
    assert choice.versions == {("AAA", 1), ("AAA", 2), ("AAA", 9), ("AAA", 10)}


def test_a_row_keeps_all_that_made_it():
    """Its night, the version that forecast, the weights of that version, and the champion it was decided against."""
    units = [unit(day) for day in range(10)]
    versions = [version(1, 0), version(2, 1), version(3, 3, weights_of=1)]
    choice = choose(units, versions, {}, [row(3, 5, champion_before=2)], [], Limits(1, NOW))
    assert days(choice) == [0, 1, 3, 5, 9]
    assert choice.kept["AAA", "run-5"] == ("forecast of 2026-01-07 in the ledger",)


def test_a_run_of_the_past_that_was_planned_now_is_kept():
    """Such as a backfill."""
    units = [*map(unit, range(5)), unit(0, run="run-50", created=NOW - dt.timedelta(days=6))]
    assert days(choose(units, [], {}, [], [], Limits(1, NOW))) == [4, 50]


def test_the_snapshot_that_the_next_night_needs_is_kept():
    """Although all later nights failed before validation."""
    choice = choose([*map(unit, range(5))], [], {}, [], [Key("AAA", "run-1")], Limits(1, NOW))
    assert choice.kept["AAA", "run-1"] == ("newest snapshot of its source",)


def test_versions_of_another_store_stay_and_those_of_a_begun_deletion_go():
    """A version is ours to delete only with its night."""
    versions = [version(1, 77), version(2, 88)]
    choice = choose([unit(1)], versions, {}, [], [], Limits(1, NOW), gone={("AAA", "run+88")})
    assert choice.versions == {("AAA", 1)}


def test_a_person_may_serve_a_version_of_a_begun_deletion():
    """The version stays then."""
    served = {"AAA": Served({"champion": 2}, None)}
    choice = choose([unit(1)], [version(2, 88)], served, [], [], Limits(1, NOW), gone={("AAA", "run+88")})
    assert choice.versions == {("AAA", 2)}


def test_a_kept_night_keeps_the_weights_of_every_version_it_registered():
    """v3 was refused in the night of the champion's weights... and it continues v1, which must load."""
    units = [unit(day) for day in range(5)]
    versions = [version(1, 0), version(2, 2), version(3, 2, weights_of=1), version(4, 4, weights_of=2)]
    choice = choose(units, versions, {"AAA": Served({"champion": 4}, None)}, [], [], Limits(1, NOW))
    assert days(choice) == [0, 2, 4]
    assert choice.versions == {("AAA", number) for number in (1, 2, 3, 4)}


@st.composite
def stores(draw):
    """Return the arguments of `choose` for a random store of two tickers."""
    nights = draw(st.integers(1, 12))
    units = [unit(day, ticker) for ticker in ("AAA", "BBB") for day in range(nights)]
    versions = []
    served = {}
    rows = []
    for ticker in ("AAA", "BBB"):
        mine = []
        for number in range(1, draw(st.integers(0, 12)) + 1):
            day = draw(st.integers(0, nights - 1))
            mine.append(version(number, day, draw(st.integers(1, number)), ticker))
        numbers = [one.number for one in mine]
        if numbers:
            chosen = st.sampled_from(numbers)
            served[ticker] = Served({"champion": draw(chosen), "mine": draw(chosen)}, draw(st.none() | chosen))
            nights_of_rows = draw(st.lists(st.integers(0, nights - 1), max_size=3))
            rows += [row(draw(chosen), day, draw(st.none() | chosen))._replace(ticker=ticker) for day in nights_of_rows]
        versions += mine
    return units, versions, served, rows, [], Limits(draw(st.integers(1, 5)), NOW)


@given(stores())
def test_nothing_that_is_needed_is_deleted_and_a_second_time_deletes_nothing(store):
    """Whatever is kept has all that it needs; each unit is kept with a reason or deleted, never both."""
    units, versions, served, rows, newest, limits = store
    choice = choose(*store)
    deleted = {one.key for one in choice.deleted}
    assert deleted.isdisjoint(choice.kept)
    assert deleted | set(choice.kept) == {one.key for one in units}
    assert all(choice.kept.values())
    known = {one.name: one for one in versions}
    for ticker, its in served.items():
        assert {(ticker, number) for number in (*its.aliased.values(), its.rollback) if number} <= choice.versions
    for name in choice.versions:
        one = known[name]
        assert (one.ticker, one.weights_of) in choice.versions
        assert Key(one.ticker, one.dag_run_id.replace("+", "-")) in choice.kept
    assert all(Key(one.ticker, one.run) in choice.kept for one in rows)
    left = [one for one in units if one.key in choice.kept]
    still = [one for one in versions if one.name in choice.versions]
    again = choose(left, still, served, rows, newest, limits)
    assert not again.deleted
    assert again.versions == choice.versions
