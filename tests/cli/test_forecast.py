"""`closecast forecast`, after two real nights or two versions without a training."""

import csv
import datetime as dt
import io
import json

import pytest

from pipeline.tracking.registry import Registry
from pipeline.tracking.runs import Runs
from tests.support.commands import say
from tests.support.released import release, two_versions_of, write_forecast


@pytest.fixture
def two_versions(tiny):
    """Return settings of two promoted versions of AAA without a training; the second has forecast 2025-11-24."""
    return two_versions_of(tiny)


@pytest.mark.usefixtures("two_nights")
def test_forecast_prints_the_ledgers_newest_row():
    """In words and as JSON; it says that prices are made up and when its session has closed."""
    code, text = say("forecast", "AAA")
    assert code == 0
    for words in (
        "close of Monday 2025-11-24",
        "SYNTHETIC",
        "50 % interval",
        "95 % interval",
        "Made by v2",
        "That session has closed",
    ):
        assert words in text
    told = json.loads(say("forecast", "AAA", "--json")[1])
    assert f"{told['forecast']:,.2f} USD" in text
    assert told["currency"] == "USD"
    assert (told["ticker"], told["version"], told["session"][:10]) == ("AAA", 2, "2025-11-24")


@pytest.mark.usefixtures("two_versions")
def test_forecast_says_that_another_version_is_served_now():
    """After a rollback the newest row is still that of the version that was served."""
    assert "Champion today" not in say("forecast", "AAA")[1]
    say("champion", "rollback", "AAA")
    text = say("forecast", "AAA")[1]
    assert "Made by v2" in text
    assert "Champion today is v1" in text
    told = json.loads(say("forecast", "AAA", "--json")[1])
    assert (told["version"], told["champion"]) == (2, 1)


def test_forecast_is_that_of_the_champions_market(tiny):
    """A champion of real prices, and a later session that was forecast for synthetic ones."""
    Runs(tiny)
    registry = Registry(tiny)
    release(registry, ticker="AAA", synthetic="true")
    release(registry, 1, ticker="AAA", synthetic="false", champion=1)
    write_forecast(tiny, 1, dt.date(2025, 11, 24), synthetic=True)
    write_forecast(tiny, 2, dt.date(2024, 11, 22), synthetic=False)
    code, text = say("forecast", "AAA")
    assert code == 0
    assert "close of Friday 2024-11-22" in text
    assert "SYNTHETIC" not in text
    for file in (tiny.var_dir / "store" / "_ledger" / "AAA").glob("2024*"):
        file.unlink()
    code, text = say("forecast", "AAA")
    assert (code, "no forecast from real prices in the ledger" in text) == (1, True)


@pytest.fixture
def two_tickers(two_versions):
    """Add BBB, whose champion has forecast without quantiles, as an earlier version did, and CCC without a forecast."""
    registry = Registry(two_versions)
    release(registry, ticker="BBB", synthetic="false")
    release(registry, ticker="CCC", synthetic="false")
    write_forecast(two_versions, 1, dt.date(2025, 11, 24), ticker="BBB", synthetic=False, quantiles=(), low_50=None)
    write_forecast(two_versions, 2, dt.date(2025, 11, 21), ticker="AAA", synthetic=True)
    return two_versions


@pytest.mark.usefixtures("two_tickers")
def test_the_whole_night_in_one_file():
    """The newest row of each champion as lines, JSON and CSV, and a word about the one that has none."""
    code, text = say("forecast", "--all")
    assert code == 0
    assert [line[:14] for line in text.splitlines()[-2:]] == ["AAA 2025-11-24", "BBB 2025-11-24"]
    assert "No forecast in the ledger for the champion's prices: CCC." in text
    rows = list(csv.DictReader(io.StringIO(say("forecast", "--all", "--csv")[1].split("CCC.\n")[-1])))
    assert [(row["ticker"], row["version"], row["champion"]) for row in rows] == [("AAA", "2", "2"), ("BBB", "1", "1")]
    objects = json.loads(say("forecast", "--all", "--json")[1].split("CCC.\n")[-1])
    assert [one["ticker"] for one in objects] == ["AAA", "BBB"]
    assert [float(row["forecast"]) for row in rows] == [one["forecast"] for one in objects]
    levels = [f"q{level:02d}" for level in range(5, 100, 5)]
    assert [float(rows[0][name]) for name in levels] == objects[0]["quantiles"]
    assert [rows[1][name] for name in levels] == [""] * 19
    assert rows[1]["low_50"] == ""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("forecast", "ZZZ"), 1),
        (("forecast", "--all"), 1),
        (("forecast", "../../etc"), 2),
        (("forecast",), 2),
        (("forecast", "AAA", "--all"), 2),
        (("forecast", "AAA", "--json", "--csv"), 2),
    ],
)
@pytest.mark.usefixtures("tiny")
def test_what_cannot_be_printed_is_three_lines(words, code):
    """Rule, what was received, what to do."""
    said = say(*words)
    assert (said[0], len(said[1].strip().splitlines())) == (code, 3)
