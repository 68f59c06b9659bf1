"""forecast.json: one writer and one reader."""

import datetime as dt
import json

import pytest
from pydantic import ValidationError

from pipeline.serving.served import LiveWindow, ScoredForecast, Served
from tests.support.ledger_rows import ROW
from tests.support.old_names import old_json

SCORED = ScoredForecast(
    **ROW.model_dump(), factor=0.1, close=660.0, error=0.35, inside_80=True, inside_95=True, ago=0, late=False
)
LIVE = LiveWindow(rows=20, rmse=2.1, naive_rmse=2.2, skill=0.0455, coverage_80=0.75, coverage_95=1.0, late=1)


def test_a_night_is_read_as_it_was_written():
    """Forecast, score and windows, with dates, the time of writing and every digit."""
    served = Served(forecast=ROW, scored=SCORED, live={"20": LIVE, "60": None})
    read = Served.from_json(served.to_json())
    assert read == served
    assert read.forecast.created == dt.datetime(2025, 11, 21, 22, 30, 0, 123456, tzinfo=dt.UTC)
    assert read.scored.last_close == 6602.99


def test_the_names_in_the_file_are_those_that_readers_know():
    """The store outlives the code."""
    written = json.loads(Served(forecast=ROW, live={"20": LIVE}).to_json())
    assert list(written) == ["champion", "forecast", "why_not", "scored", "live"]
    assert (written["forecast"]["session"], written["forecast"]["forecast"]) == ("2025-11-24", 6603.5)
    assert set(written["live"]["20"]) == set(LiveWindow.model_fields)


def test_a_night_without_a_forecast_has_its_reason():
    """The first night of a refused version has neither a forecast nor a score."""
    read = Served.from_json(Served(why_not="no champion yet").to_json())
    assert (read.forecast, read.scored, read.why_not, read.live) == (None, None, "no champion yet", {})


def test_a_market_that_did_not_move_has_no_skill():
    """Naive made no error, so there is no ratio: JSON has null."""
    still = LIVE.model_copy(update={"naive_rmse": 0.0, "skill": None})
    written = Served(live={"20": still}).to_json()
    assert json.loads(written)["live"]["20"]["skill"] is None
    assert Served.from_json(written).live["20"].skill is None


def test_a_file_without_a_needed_field_is_refused():
    """A score without its close would be shown as one."""
    written = json.loads(Served(scored=SCORED).to_json())
    del written["scored"]["close"]
    with pytest.raises(ValidationError, match="close"):
        Served.from_json(json.dumps(written).encode())


def test_a_night_of_an_earlier_version_is_read():
    """Its amounts are called `..._usd`, and its currency is unknown."""
    served = Served(forecast=ROW, scored=SCORED, live={"20": LIVE, "60": None})
    old = old_json(served.to_json())
    assert json.loads(old)["forecast"]["forecast_usd"] == 6603.5
    assert Served.from_json(old) == served
