"""A snapshot beside the last one, through the real steps and a real store."""

import contextlib
import datetime as dt
import json

import pandas as pd
import pytest

from pipeline import runner, runs
from pipeline.errors import DataError, UnknownTicker
from pipeline.outcome import Answer, Finding
from pipeline.prices.comparison import compared_with, judged
from pipeline.prices.snapshot import SnapshotRecord, fetch, last_snapshot
from pipeline.prices.sources import Quoted
from pipeline.store.formats import frame_bytes, sha256
from pipeline.store.runs import read_plan, unit_folder

FIRST = dt.date(2025, 11, 20)


def compared_with_last(ticker, plan, settings, quoted):
    """Return the comparison of prices with the last snapshot in the store."""
    return compared_with(last_snapshot(settings.store_url, ticker, plan), plan, quoted)


@pytest.fixture(scope="module")
def two_nights(tmp_path_factory):
    """Return settings, the plan of the second night, and its prices; the first night has passed validation."""
    from pipeline.settings import load_settings

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLOSECAST_VAR", str(tmp_path_factory.mktemp("nights")))
        patch.setenv("CLOSECAST_START", "2022-01-03")
        settings = load_settings(tickers=("AAA",), source="sample")
        first = settings.model_copy(update={"as_of": FIRST})
        (batch,) = runs.plan(first, "manual__first")
        for step in ("ingest", "validate"):
            runner.run(step, batch, settings=first)
        second = settings.model_copy(update={"as_of": dt.date(2025, 11, 21)})
        (batch,) = runs.plan(second, "manual__second")
        plan = read_plan(second.store_url, batch["run"])
        yield second, plan, fetch("AAA", plan, second).prices


def test_the_first_snapshot_has_nothing_to_compare_with(two_nights):
    """Neither a file nor a finding."""
    settings, plan, raw = two_nights
    assert compared_with_last("BBB", plan, settings, Quoted(raw, "USD")) == ({}, {}, (), "")


def test_one_more_session_leaves_the_history_unchanged(two_nights):
    """The comparison is recorded without a finding."""
    settings, plan, raw = two_nights
    compared = compared_with_last("AAA", plan, settings, Quoted(raw, "USD"))
    assert compared.findings == ()
    assert compared.tags == {"restatement": "unchanged"}
    assert json.loads(compared.files["restatement.json"])["overlap"] == len(raw) - 1


def test_a_split_is_a_warning_with_its_factor(two_nights):
    """All earlier prices are halved, and the split is reported for the new session."""
    settings, plan, raw = two_nights
    restated = raw.assign(close=raw["close"] / 2)
    restated.loc[restated.index[-1], "splits"] = 2.0
    compared = compared_with_last("AAA", plan, settings, Quoted(restated, "USD"))
    (finding,) = compared.findings
    assert finding.severity == "warning"
    assert "0.5" in finding.todo
    assert compared.tags == {"restatement": "explained", "restatement.factor": "0.5"}


@pytest.mark.parametrize(("row", "severity"), [(-100, "critical"), (-2, "warning")])
def test_an_altered_close_is_critical_unless_it_is_the_newest_of_the_last_night(two_nights, row, severity):
    """Sources correct the newest bar; ACCEPT_RESTATED=1 accepts any change."""
    settings, plan, raw = two_nights
    altered = raw.copy()
    altered.iloc[row, altered.columns.get_loc("close")] *= 1.1
    (finding,) = compared_with_last("AAA", plan, settings, Quoted(altered, "USD")).findings
    assert finding.severity == severity
    assert len(finding.rows) == 1
    assert ("ACCEPT_RESTATED" in finding.todo) == (severity == "critical")
    accepting = plan.model_copy(update={"accept_restated": True})
    (accepted,) = compared_with_last("AAA", accepting, settings, Quoted(altered, "USD")).findings
    assert accepted.severity == "warning"


def test_more_than_one_percent_of_lost_sessions_is_a_warning(two_nights):
    """Of 974 sessions 9 may be lost, 10 may not."""
    settings, plan, raw = two_nights
    allowed = int(0.01 * (len(raw) - 1))

    def lost(stop):
        return compared_with_last("AAA", plan, settings, Quoted(raw.drop(raw.index[5:stop]), "USD")).findings

    assert lost(5 + allowed) == ()
    (finding,) = lost(6 + allowed)
    assert finding.severity == "warning"
    assert finding.observed.startswith(f"{allowed + 1} of {len(raw) - 1} are gone")
    assert len(finding.rows) == min(10, allowed + 1)


def test_the_source_of_the_plan_is_asked(two_nights, tmp_path):
    """A plan with files reads the file; an unknown ticker is an error of that source."""
    settings, plan, raw = two_nights
    (tmp_path / "AAA.csv").write_text("Date,Close\n2025-11-20,3.5\n2025-11-24,4.5\n")
    planned = plan.model_copy(update={"source": "files", "prices": tmp_path, "currency": "JPY"})
    read = fetch("AAA", planned, settings)
    assert (read.prices["close"].tolist(), read.currency) == ([3.5], "JPY")
    with pytest.raises(UnknownTicker):
        fetch("BBB", planned, settings)
    assert len(raw) == len(pd.DatetimeIndex(raw.index).unique())


def test_a_change_of_currency_is_critical_until_it_is_accepted(two_nights):
    """The closes are the same: only the name tells yen from dollars."""
    settings, plan, raw = two_nights
    (finding,) = compared_with_last("AAA", plan, settings, Quoted(raw, "JPY")).findings
    assert (finding.severity, finding.observed, finding.limit) == ("critical", "JPY", "USD")
    assert "ACCEPT_RESTATED=1" in finding.todo
    accepting = plan.model_copy(update={"accept_restated": True})
    (accepted,) = compared_with_last("AAA", accepting, settings, Quoted(raw, "JPY")).findings
    assert accepted.severity == "warning"


def test_a_currency_that_is_no_longer_named_is_a_warning_and_not_forgotten(two_nights, tmp_path):
    """USD, then unknown, then JPY: the third night is compared with the first."""
    settings, plan, raw = two_nights
    compared = compared_with_last("AAA", plan, settings, Quoted(raw, ""))
    (finding,) = compared.findings
    assert (finding.severity, finding.observed, finding.limit) == ("warning", "unknown", "USD")
    assert compared.last_currency == "USD"
    stated = settings.model_copy(update={"source": "files", "prices": tmp_path, "var": tmp_path / "var"})
    raw.to_csv(tmp_path / "AAA.csv")
    ended = {}
    for day, currency in (("18", "USD"), ("19", ""), ("20", ""), ("21", "jpy")):
        night = stated.model_copy(update={"as_of": dt.date(2025, 11, int(day)), "currency": currency})
        (batch,) = runs.plan(night, f"manual__{day}")
        with contextlib.suppress(DataError):
            for step in ("ingest", "validate"):
                runner.run(step, batch, settings=night)
        folder = unit_folder(night.store_url, "AAA", read_plan(night.store_url, batch["run"]))
        ended[day] = folder.manifest("ingest").outcome
    severities = {day: [finding.severity for finding in outcome.findings] for day, outcome in ended.items()}
    assert severities == {"18": [], "19": ["warning"], "20": ["warning"], "21": ["critical"]}
    assert {day: outcome.tags["currency"] for day, outcome in ended.items()} == {
        "18": "USD",
        "19": "unknown",
        "20": "unknown",
        "21": "JPY",
    }
    assert ended["19"].findings[0].todo == "Set CURRENCY=USD."


def test_the_snapshot_of_an_earlier_version_has_no_currency(two_nights):
    """It has a raw.parquet and no snapshot.json: its prices are compared, and no currency contradicts it."""
    settings, plan, raw = two_nights
    folder = last_snapshot(settings.store_url, "AAA", plan).folder
    assert SnapshotRecord.of(folder)[:2] == ("USD", "USD")
    manifest = folder.manifest("ingest")
    folder.write("raw.parquet", frame_bytes(raw.iloc[:-1]))
    outputs = {"raw.parquet": sha256(folder.read("raw.parquet"))}
    folder.write_manifest(manifest.model_copy(update={"outputs": outputs}))
    try:
        assert SnapshotRecord.of(folder) == ("", "", "", "")
        assert compared_with_last("AAA", plan, settings, Quoted(raw, "JPY")).findings == ()
    finally:
        folder.write_manifest(manifest)


def test_an_unexplained_change_is_a_question_where_the_plan_asks(two_nights):
    """`validate` judges it; a split, a corrected newest bar and an accepted history are no question."""
    settings, plan, raw = two_nights
    asking = plan.model_copy(update={"ask_hours": 2.0})
    altered = raw.copy()
    altered.iloc[-100, altered.columns.get_loc("close")] *= 1.1
    (finding,) = compared_with_last("AAA", asking, settings, Quoted(altered, "USD")).findings
    assert (finding.severity, finding.asks) == ("info", True)
    accepting = asking.model_copy(update={"accept_restated": True})
    newest = raw.copy()
    newest.iloc[-2, newest.columns.get_loc("close")] *= 1.1
    for given, prices in ((accepting, altered), (asking, newest), (asking, raw)):
        assert not [
            one for one in compared_with_last("AAA", given, settings, Quoted(prices, "USD")).findings if one.asks
        ]
    assert plan.ask_hours == 0


def test_a_restatement_is_judged_by_the_answer():
    """Without one the ticker waits. Each answer is in the finding."""
    asked = Finding(rule="Past prices", severity="info", observed="1 of 9 closes differs", asks=True)
    waiting = judged(asked, None, 2)
    assert (waiting.severity, waiting.asks) == ("critical", True)
    assert "within 2 hours" in waiting.todo
    given = Answer(
        accepted=True, data_sha256="", by="admin", when=dt.datetime(2025, 11, 22, tzinfo=dt.UTC), reason="ok"
    )
    accepted = judged(asked, given, 2)
    assert (accepted.severity, accepted.asks) == ("warning", False)
    assert accepted.observed == "1 of 9 closes differs; accepted by admin on 2025-11-22 00:00 UTC: ok"
    rejected = judged(asked, given.model_copy(update={"accepted": False}), 2)
    assert (rejected.severity, rejected.asks) == ("critical", False)
    assert "ACCEPT_RESTATED=1" in rejected.todo
