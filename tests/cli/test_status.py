"""`closecast status`: the verdict first, one line per ticker, the exit code; and its speed with 500 tickers."""

import datetime as dt
import json

import pytest

from pipeline.alerting.alerts import Alert
from pipeline.alerting.memory import Memory, SentAlert
from pipeline.cli.status import reasons, verdict
from pipeline.reporting.fleet import fleet
from pipeline.settings import load_settings
from pipeline.store.folder import Folder
from tests.support.commands import say
from tests.support.fleets import IMPORTS, leave_fleet, leave_forecast, leave_night, measured, row

NIGHT = dt.datetime(2025, 11, 22, 2, tzinfo=dt.UTC)


@pytest.mark.usefixtures("tiny")
def test_a_fleet_in_order_is_one_line_and_a_table(monkeypatch):
    """Exit code 0."""
    names = leave_fleet(load_settings(), tickers=3, nights=2, failed=0)
    monkeypatch.setenv("CLOSECAST_TICKERS", ",".join(names))
    code, text = say("status")
    assert (code, text.splitlines()[0]) == (0, "All 3 ticker(s) are in order.")
    assert "SYNTHETIC" in text.splitlines()[1]
    lines = [line for line in text.splitlines() if line.strip().startswith("T00")]
    assert [line.split()[0] for line in lines] == list(names)
    assert all("promoted" in line and "v7" in line and "105.25 USD" in line for line in lines)


@pytest.mark.usefixtures("tiny")
def test_a_problem_is_exit_code_1_with_its_reason_and_json_has_the_same(monkeypatch):
    """The counts come first; a ticker that never ran names the command that runs it."""
    names = leave_fleet(load_settings(), tickers=2, nights=2, failed=1)
    monkeypatch.setenv("CLOSECAST_TICKERS", ",".join([*names, "NEW"]))
    code, text = say("status")
    assert (code, text.splitlines()[0]) == (1, "2 of 3 ticker(s) need you: 1 stale, 1 failed.")
    assert "T000 (failed): The file has no close column." in text
    assert "closecast run --tickers NEW" in text
    code, text = say("status", "--json")
    found = json.loads(text)
    assert code == 1
    assert found["counts"]["in_order"] == 1
    assert [one["ticker"] for one in found["tickers"]] == ["T000", "T001", "NEW"]
    assert found["tickers"][0]["problems"] == ["failed"]


def test_many_problems_are_cut_and_counted(tiny):
    """A night without the source fails every ticker."""
    names = [f"T{number:02d}" for number in range(30)]
    leave_night(tiny, "2025-11-21", [row(name, reason="HTTP 429", step="ingest") for name in names])
    found = fleet(load_settings(tickers=tuple(names)), NIGHT)
    assert verdict(found) == "30 of 30 ticker(s) need you: 30 failed."
    lines = reasons(found)
    assert len(lines) == 11
    assert lines[-1] == "... and 20 more: closecast status --json has all reasons."


@pytest.mark.parametrize(
    ("changes", "gate", "words"),
    [
        ({"served_trained": "2025-11-03"}, {"max_champion_age": 5}, "v7 has weights of 2025-11-03"),
        ({"no_forecast": "no champion of this market", "forecast_session": ""}, {}, "no champion of this market"),
    ],
)
def test_an_age_beyond_its_limit_has_a_reason(tiny, changes, gate, words):
    """Also where the last night found nothing else."""
    leave_night(tiny, "2025-11-21", [row("AAA", **changes)])
    leave_forecast(tiny, "AAA", "2025-11-18", "2025-11-17")
    (line,) = reasons(fleet(load_settings(tickers=("AAA",), gate=gate), NIGHT))
    assert words in line


def test_open_alerts_about_whole_runs_are_shown(tiny):
    """Not those that recovered, and not those of a ticker, which its findings name."""
    leave_night(tiny, "2025-11-21", [row("AAA")])
    book = Memory(Folder(f"{tiny.store_url}/_alerts"))
    for kind, title, channels in (
        ("failed", "Task plan of retrain failed", {"c": "x"}),
        ("late", "No finished run for 2025-11-20", {}),
        ("critical", "AAA validate: stale", {"c": "x"}),
    ):
        alert = Alert(key=title, identity="x", kind=kind, title=title, body="")
        book.write(SentAlert(key=alert.key, kind=kind, title=title, when=NIGHT, channels=channels))
    assert fleet(load_settings(tickers=("AAA",)), NIGHT).alerts == ("Task plan of retrain failed",)


@pytest.mark.usefixtures("tiny")
def test_settings_that_break_a_rule_are_exit_code_2(monkeypatch):
    """Rule, what was received, what to do."""
    monkeypatch.setenv("CLOSECAST_TICKERS", "../../etc")
    code, text = say("status")
    assert (code, len(text.strip().splitlines())) == (2, 3)


def test_500_tickers_take_2_seconds_beyond_imports_and_6_in_all(tiny):
    """In seconds of processor: other programs of the machine do not count."""
    names = leave_fleet(tiny, tickers=500, nights=3, failed=50)
    variables = {"CLOSECAST_TICKERS": ",".join(names), "PYTHONDONTWRITEBYTECODE": ""}
    measured("-m", "pipeline", "status", variables=variables)  # compiles what it imports
    imports = measured("-c", IMPORTS, variables=variables)
    whole = measured("-m", "pipeline", "status", variables=variables)
    assert whole.processor < 6
    assert whole.processor - imports.processor < 2
