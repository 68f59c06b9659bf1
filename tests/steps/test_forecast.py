"""Forecast, score and ledger through the real steps: night after night."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import runs
from pipeline.errors import DataError
from pipeline.prices.sources import sample
from pipeline.reporting.results import results_of
from pipeline.serving import ledger
from pipeline.settings import load_settings
from pipeline.store.runs import run_folder
from pipeline.tracking.registry import Registry
from tests.support.alert_channels import webhook
from tests.support.nights import folder_of_run, forecast_record, json_in, live_points, night, sample_prices
from tests.support.tiny import WIDE_GATE, set_network


def write_forecast(place, *, created, version=1, currency=""):
    """Write the forecast of the close of 2025-11-21 that a night before would have written, and return it."""
    closes = sample_prices("AAA")["close"]
    last = closes["2025-11-20"]
    row = forecast_record(
        ticker="AAA", session=dt.date(2025, 11, 21), version=version, run="before", as_of=dt.date(2025, 11, 20),
        created=created, source="sample", synthetic=True, currency=currency, last_close=last, forecast=last,
        anchor_session=closes.index[0].date(), anchor_close=closes.iloc[0],
    )  # fmt: skip
    return ledger.write(place, row)


def test_the_second_night_scores_the_first_ones_forecast(two_nights):
    """Error and interval against the close that came; the forecast after it is by the new champion."""
    first = json_in(folder_of_run(two_nights, "manual__1"), "forecast")
    assert (first["forecast"]["session"], first["forecast"]["version"]) == ("2025-11-21", 1)
    assert first["scored"] is first["live"]["20"] is None
    folder = folder_of_run(two_nights, "manual__2")
    second = json_in(folder, "forecast")
    close = pd.read_parquet(folder.path("validated.parquet"))["close"].iloc[-1]
    assert (second["scored"]["session"], second["scored"]["version"]) == ("2025-11-21", 1)
    assert second["scored"]["error"] == pytest.approx(first["forecast"]["forecast"] - close)
    assert second["live"]["60"]["rows"] == 1
    made = first["forecast"]
    width = made["high_95"] - made["low_95"]
    outside = max(made["low_95"] - close, close - made["high_95"], 0)
    live = second["live"]["60"]
    assert live["interval_score_95_pct"] == pytest.approx(100 * (width + 40 * outside) / made["last_close"])
    assert live["interval_skill_95"] < 1
    metrics = folder.manifest("forecast").outcome.metrics
    assert metrics["live/interval_skill_95_60"] == live["interval_skill_95"]
    assert (second["forecast"]["session"], second["forecast"]["version"]) == ("2025-11-24", 2)
    assert len(live_points(two_nights)) == 1


def test_prices_damaged_on_purpose_are_not_forecast_from(one_night):
    """A champion is there: what was written down once would count, and a clean run could not replace it."""
    folder = night("fault", "2025-11-21", fault="unadjusted_split")
    assert "the injected fault unadjusted_split" in json_in(folder, "forecast")["why_not"]
    assert json_in(night("2", "2025-11-21"), "forecast")["forecast"]["run"] == "manual__2"
    assert ledger.read(one_night.ledger_place, "AAA")["run"].tolist() == ["manual__1", "manual__2"]


def test_a_forecast_written_after_its_close_is_marked(two_nights):
    """Both nights run long after their sessions have closed."""
    live = json_in(folder_of_run(two_nights, "manual__2"), "forecast")["live"]["20"]
    assert (live["rows"], live["late"]) == (1, 1)
    runs.report("manual__2", settings=load_settings(tickers=("AAA",)))
    page = run_folder(two_nights.store_url, "manual__2").read("report.html").decode()
    assert "(1 written after the close)" in page


def test_a_forecast_written_before_its_close_is_not_late(tiny):
    """It was written in the evening before."""
    write_forecast(tiny.ledger_place, created=dt.datetime(2025, 11, 20, 23, tzinfo=dt.UTC))
    forecast = json_in(night("1", "2025-11-21"), "forecast")
    assert (forecast["live"]["20"]["rows"], forecast["live"]["20"]["late"]) == (1, 0)
    assert not forecast["scored"]["late"]


@pytest.mark.usefixtures("tiny")
def test_a_split_between_forecast_and_score_is_no_error(tmp_path):
    """The pending forecast is rescaled; a champion that knows price levels forecasts in the new dollars."""
    frame = sample_prices("BBB")
    frame.loc[:"2025-11-20"].to_csv(tmp_path / "AAA.csv")
    levels = {"source": "files", "prices": tmp_path, "preset": "tutorial"}
    patch = pytest.MonkeyPatch()
    set_network(patch, "tutorial", epochs=60)
    patch.setenv("CLOSECAST_GATE", WIDE_GATE)
    before = json_in(night("before", "2025-11-20", **levels), "forecast")["forecast"]
    split = frame.copy()
    split[["open", "high", "low", "close"]] /= 10
    split["volume"] *= 10
    split["splits"] = np.where(split.index == "2025-11-21", 10.0, 0.0)
    split.to_csv(tmp_path / "AAA.csv")
    folder = night("after", "2025-11-21", **levels)
    patch.undo()
    scored, decision = json_in(folder, "forecast")["scored"], json_in(folder, "decision")
    assert scored["forecast"] == pytest.approx(before["forecast"] / 10)
    assert scored["high_95"] == pytest.approx(before["high_95"] / 10)
    assert scored["last_close"] == pytest.approx(before["last_close"] / 10)
    rmse = folder.manifest("evaluate").outcome.metrics["rmse"]
    assert decision["champion_rmse"] == pytest.approx(rmse, rel=0.25)  # and not ten times as large


def test_forecasts_that_decayed_are_a_finding_and_an_alert(tiny, monkeypatch):
    """30 served forecasts, each 10 % off: each score is named with its limit, in the alert too."""
    closes = sample_prices("AAA")["close"]
    for session, before in zip(closes.index[-31:-1], closes.index[-32:-2], strict=True):
        made, last = 1.1 * closes[session], closes[before]
        row = forecast_record(
            ticker="AAA", session=session.date(), version=1, run="old", as_of=before.date(),
            created=before.to_pydatetime().replace(tzinfo=dt.UTC), source="sample", synthetic=True,
            last_close=last, forecast=made, anchor_session=before.date(), anchor_close=last,
        )  # fmt: skip
        ledger.write(tiny.ledger_place, row)
    with webhook() as hook:
        monkeypatch.setenv("CLOSECAST_ALERT_URLS", hook.url)
        folder = night("1", "2025-11-21")
        runs.report("manual__1", settings=load_settings(tickers=("AAA",)))
    findings = folder.manifest("forecast").outcome.findings
    assert [(one.rule, one.severity) for one in findings] == [("Served forecasts should not decay", "warning")] * 3
    assert "over 30 served forecasts (limit: at least -0.0200)" in findings[0].observed
    assert "0.0% of 30 closes inside their 95 % interval (limit: at least 85.0%)" in findings[1].observed
    assert "over 30 forecasts (limit: at least -0.250)" in findings[2].observed
    (alert,) = (one for one in hook.told if "decay" in one.body)
    assert "closecast champion rollback AAA" in alert.body
    assert b"Served forecasts should not decay" in run_folder(tiny.store_url, "manual__1").read("report.html")


def test_old_weights_are_a_finding_and_the_results_name_them(one_night):
    """A champion that stays is registered again; its age counts from the night that trained it."""
    folder = night("2", "2025-11-24", gate={"max_coverage_95": 0, "max_champion_age": 1})
    assert json_in(folder, "forecast")["champion"] == {
        "version": 3, "trained": "2025-11-20", "cutoff": "2025-11-20",
    }  # fmt: skip
    (finding,) = folder.manifest("forecast").outcome.findings
    assert (finding.severity, finding.limit) == ("warning", "at most 1 sessions")
    assert finding.observed == "v3 has weights of 2025-11-20, 2 sessions ago"
    runs.report("manual__2", settings=load_settings(tickers=("AAA",)))
    (row,) = results_of(run_folder(one_night.store_url, "manual__2").read("results.json"))
    assert (row.served_version, row.served_trained, row.served_cutoff) == (3, "2025-11-20", "2025-11-20")
    assert row.live_coverage_95_60 == 1.0  # one forecast was served and scored


def test_the_ledger_can_be_a_table_of_a_database(tiny, tmp_path, monkeypatch):
    """A night scores the row that is there, writes its own, and leaves no folder."""
    monkeypatch.setenv("CLOSECAST_LEDGER", f"sqlite:///{tmp_path / 'ledger.db'}")
    place = load_settings().ledger_place
    before = write_forecast(place, created=dt.datetime(2025, 11, 20, 23, tzinfo=dt.UTC))
    scored = json_in(night("1", "2025-11-21"), "forecast")["scored"]
    assert (scored["session"], scored["run"], scored["forecast"]) == ("2025-11-21", "before", before.forecast)
    assert ledger.read(place, "AAA")["session"].dt.day.tolist() == [21, 24]
    assert not Path(tiny.ledger_place).exists()


def test_a_change_of_currency_stops_the_ticker_and_begins_a_new_record_once_accepted(one_night, monkeypatch):
    """The same closes under another name: the forecast in dollars is not scored by a close in yen."""
    monkeypatch.setattr(sample, "CURRENCY", "JPY")
    with pytest.raises(DataError, match=r"Prices must be in the currency of the last snapshot: JPY \(limit: USD\)"):
        night("2", "2025-11-21")
    folder = night("3", "2025-11-21", accept_restated=True)
    served = json_in(folder, "forecast")
    assert served["forecast"]["currency"] == "JPY"
    assert served["scored"] is None
    assert ledger.read(one_night.ledger_place, "AAA")["currency"].tolist() == ["USD", "JPY"]
    assert [one.tags["currency"] for one in Registry(one_night).versions("AAA")] == ["USD", "JPY"]
    assert json_in(folder, "decision")["changes"]["data"]["currency"] == ["USD", "JPY"]


def test_a_row_in_another_currency_is_not_shown_as_this_runs_forecast(tiny):
    """The ledger's row of this session and version stays, and the run says why it has no forecast."""
    write_forecast(tiny.ledger_place, created=dt.datetime(2025, 11, 20, 23, tzinfo=dt.UTC), currency="JPY")
    served = json_in(night("1", "2025-11-20"), "forecast")
    assert served["why_not"] == "the ledger has a forecast of 2025-11-21 by v1 in JPY"
    assert served["forecast"] is None
