"""`closecast champion ...` and `closecast forecast`, after two real nights or two versions without a training."""

import datetime as dt
import json

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.serving import ledger
from pipeline.tracking.registry import Registry
from pipeline.tracking.runs import Runs
from tests.support.ledger_rows import ROW
from tests.support.released import release

TERMINAL = CliRunner()


def say(*words):
    """Return exit code and everything that was said."""
    answer = TERMINAL.invoke(app, list(words))
    return answer.exit_code, answer.output


def write_forecast(settings, version, session, **changes):
    """Write a forecast of AAA for a session, made by a version."""
    changes |= {"ticker": "AAA", "version": version, "session": session}
    ledger.write(settings.ledger_place, ROW.model_copy(update=changes))


@pytest.fixture
def two_versions(tiny):
    """Return settings of two promoted versions without a training; the second has forecast 2025-11-24."""
    Runs(tiny)
    registry = Registry(tiny)
    release(registry, ticker="AAA", synthetic="true")
    release(registry, 1, ticker="AAA", synthetic="true", champion=1)
    write_forecast(tiny, 2, dt.date(2025, 11, 24), synthetic=True)
    return tiny


def test_show_names_the_champion_all_versions_and_the_way_there(two_nights):
    """Verdicts and reasons in words."""
    code, text = say("champion", "show", "aaa")
    assert code == 0
    assert text.startswith("Champion of AAA: v2")
    for words in ("v1", "v2 *", "2025-11-20", "promoted: all 5 rules hold", "none -> v1", "v1 -> v2"):
        assert words in text
    assert Registry(two_nights).champion("AAA").number == 2


def test_a_person_sets_and_rolls_back_with_a_reason(two_versions):
    """The history says who followed whom and why; what cannot be is refused with what can."""
    assert say("champion", "rollback", "AAA", "--reason", "odd forecasts") == (
        0, "Champion of AAA: v1 again. The next forecast is made by it.\n",
    )  # fmt: skip
    assert "v2 -> v1  odd forecasts" in say("champion", "show", "AAA")[1]
    code, text = say("champion", "rollback", "AAA")
    assert (code, len(text.strip().splitlines())) == (2, 3)
    assert say("champion", "set", "AAA", "2", "--reason", "good again")[0] == 0
    assert Registry(two_versions).champion("AAA").number == 2
    code, text = say("champion", "set", "AAA", "9")
    assert (code, "Use one of: 1, 2." in text) == (2, True)


@pytest.mark.usefixtures("two_nights")
def test_forecast_prints_the_ledgers_newest_row():
    """In words and as JSON; it says that prices are made up and when its session has closed."""
    code, text = say("forecast", "AAA")
    assert code == 0
    for words in ("close of Monday 2025-11-24", "SYNTHETIC", "95 % interval", "Made by v2", "That session has closed"):
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


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("champion", "show", "ZZZ"), 2),
        (("champion", "set", "ZZZ", "1"), 2),
        (("champion", "rollback", "ZZZ"), 2),
        (("champion", "show", "../../etc"), 2),
        (("forecast", "ZZZ"), 1),
        (("forecast", "../../etc"), 2),
    ],
)
@pytest.mark.usefixtures("tiny")
def test_a_ticker_that_nobody_trained_is_three_lines(words, code):
    """Rule, what was received, what to do."""
    said = say(*words)
    assert (said[0], len(said[1].strip().splitlines())) == (code, 3)
