"""The step `ingest`: the snapshot, and the comparison with the last one."""

import json

import pandas as pd
import pytest

from pipeline import runner, runs
from pipeline.errors import DataError
from pipeline.prices import archive
from pipeline.prices.pieces import rows_sha256
from pipeline.prices.snapshot import SnapshotRecord
from pipeline.settings import load_settings
from pipeline.steps import FLOW
from tests.support.nights import folder_of, logged_runs, night, sample_prices


def plan_night(name, prices, as_of, **changed):
    """Plan a night of files, and return its batch and the folder of its one ticker."""
    settings = load_settings(source="files", prices=prices, as_of=as_of, **changed)
    (batch,) = runs.plan(settings, f"manual__{name}")
    return batch, folder_of(settings, batch, settings.tickers[0])


def take(settings, batch):
    """Run the first two steps."""
    for step in ("ingest", "validate"):
        runner.run(step, batch, settings=settings)


def findings_of(folder):
    """Return the findings of `ingest`."""
    return folder.manifest("ingest").outcome.findings


def test_a_restated_history_is_explained_refused_or_accepted(tiny, test_data, tmp_path):
    """Netflix after its 10:1 split against the snapshot before it; then with one close altered."""
    new = pd.read_csv(test_data / "restated" / "NFLX_asof_2026-01-23_after_10for1.csv")
    altered = tmp_path / "altered" / "NFLX.csv"
    altered.parent.mkdir()
    row = new.index[new["Date"].str.startswith("2021-11-17")][0]
    new.loc[row, ["Close", "High"]] *= 1.01
    new.to_csv(altered, index=False)
    netflix = {"tickers": ("NFLX",), "start": "2010-04-01"}

    batch, folder = plan_night("before", test_data / "NFLX.csv", "2023-10-27", **netflix)
    take(tiny, batch)
    assert findings_of(folder) == ()
    assert not folder.exists("restatement.json")

    (explained,) = {file.name for file in (test_data / "restated").iterdir() if "2026" in file.name}
    batch, folder = plan_night("split", test_data / "restated" / explained, "2026-01-23", **netflix)
    take(tiny, batch)
    (finding,) = findings_of(folder)
    assert (finding.severity, finding.rows) == ("warning", ())
    assert "10:1" in finding.observed
    restatement = json.loads(folder.read("restatement.json"))
    assert (restatement["kind"], restatement["factor"]) == ("explained", 0.1)

    batch, folder = plan_night("altered", altered, "2026-01-23", **netflix)
    with pytest.raises(DataError, match="NFLX failed"):
        take(tiny, batch)
    (finding,) = findings_of(folder)
    assert finding.severity == "critical"
    assert [words[:10] for words in finding.rows] == ["2021-11-17"]
    assert not folder.exists("validated.parquet")

    batch, folder = plan_night("accepted", altered, "2026-01-23", accept_restated=True, **netflix)
    take(tiny, batch)
    (finding,) = findings_of(folder)
    assert finding.severity == "warning"
    assert folder.exists("validated.parquet")

    found = logged_runs(tiny).runs
    tags = {run.data.tags["dag_run_id"]: run.data.tags.get("restatement") for run in found if run.data.tags["ticker"]}
    assert tags["manual__split"] == "explained"
    assert tags["manual__altered"] == "unexplained"


def test_a_lost_history_and_a_revised_last_bar_are_warnings(tiny, tmp_path):
    """Both are alerted; neither stops the ticker."""
    prices = sample_prices("AAA")
    revised = prices.assign(close=prices["close"].where(prices.index != prices.index[-2], 1.001 * prices["close"]))
    found = {}
    for name, frame, as_of in (
        ("before", prices.iloc[:-1], "2025-11-20"),
        ("revised", revised, "2025-11-21"),
        ("lost", prices.iloc[-600:], "2025-11-21"),
    ):
        file = tmp_path / f"{name}.csv"
        frame.to_csv(file)
        batch, folder = plan_night(name, file, as_of, tickers=("AAA",))
        take(tiny, batch)
        found[name] = [(one.severity, one.observed) for one in findings_of(folder)]
    assert found["before"] == []
    assert found["revised"] == [("warning", "1 of 976 closes differs")]
    assert found["lost"] == [("warning", "377 of 976 are gone, the last on 2023-07-05")]


def test_a_newest_bar_in_another_unit_stops_its_night_and_is_no_history(tiny, tmp_path):
    """The bar comes in pounds for pence; the next night brings it right, and is compared with the night before it."""
    prices = sample_prices("AAA")
    wrong = prices.iloc[:-1].copy()
    wrong.loc[wrong.index[-1], ["open", "high", "low", "close", "adj_close"]] /= 100
    found = {}
    for name, frame in (("right", prices.iloc[:-2]), ("wrong", wrong), ("corrected", prices)):
        file = tmp_path / f"{name}.csv"
        frame.to_csv(file)
        batch, folder = plan_night(name, file, str(frame.index[-1].date()), tickers=("AAA",))
        if name == "wrong":
            with pytest.raises(DataError, match=r"one unit: 1 bar\(s\) about 100 or 1,000 times"):
                take(tiny, batch)
        else:
            take(tiny, batch)
        found[name] = findings_of(folder)
    assert found == {"right": (), "wrong": (), "corrected": ()}


def test_the_snapshot_is_described_by_its_tags(tiny):
    """Source, fault, hash and first session are in MLflow; later steps and the gate read them there."""
    folder = night("1", "2025-11-21", steps=FLOW[:1], fault="partial_bar")
    outcome = folder.manifest("ingest").outcome
    tags = {name: outcome.tags[name] for name in ("source", "fault", "first_session")}
    assert tags == {"source": "sample", "fault": "partial_bar", "first_session": "2022-01-03"}
    record = SnapshotRecord.of(folder)
    taken = archive.load(tiny.store_url, "AAA", record.name).prices
    assert outcome.tags["data_sha256"] == record.sha256 == rows_sha256(taken)
    assert outcome.metrics["step/rows_raw"] == len(taken) == 977
    (run,) = (run for run in logged_runs(tiny).runs if run.data.tags["ticker"] == "AAA")
    assert tags.items() <= run.data.tags.items()


@pytest.mark.usefixtures("tiny")
def test_a_source_without_rows_since_the_start_is_refused(tmp_path):
    """The message names the ticker, both dates and the way out."""
    sample_prices("AAA").iloc[:300].to_csv(tmp_path / "AAA.csv")
    with pytest.raises(DataError, match="prices of AAA up to 2025-11-21"):
        night("1", "2025-11-21", steps=FLOW[:1], source="files", prices=tmp_path, start="2024-01-02")
