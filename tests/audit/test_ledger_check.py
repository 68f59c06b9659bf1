"""The ledger against results.json of every run and against the tags in MLflow."""

import datetime as dt

import pytest

from pipeline import runs
from pipeline.audit import ledger_check
from pipeline.outcome import LedgerHead
from pipeline.reporting import results
from pipeline.reporting.closing import closing, results_json
from pipeline.serving import chain, ledger
from pipeline.settings import load_settings
from pipeline.store.folder import Folder
from pipeline.tracking.runs import LEDGER_HEAD, Runs
from tests.support import tampering
from tests.support.tampering import DAYS, TICKER, five_rows, row


def result(head):
    """Return the results of a run of `TICKER` that recorded the newest row."""
    blank = dict.fromkeys(("rows", "test_rows", "rmse", "naive_rmse", "skill"))
    return results.Result(
        ticker=TICKER, **blank, seconds=1.0, mlflow_run="", step="forecast", reason="", warnings=(),
        ledger_position=head.position, ledger_row=head.row, ledger_hash=head.hash,
    )  # fmt: skip


def record(settings, run):
    """Write results.json of a run that ends now."""
    head = ledger.head(settings.ledger_place, TICKER)
    rows = [result(head)]
    written = results_json(closing(run, rows, {}), rows)
    Folder(f"{settings.store_url}/_runs/{run}").write("results.json", written)


@pytest.fixture
def recorded(tiny):
    """Return settings of a store of five rows; the runs of the last two recorded their heads."""
    place = tiny.ledger_place
    for number, day in enumerate(DAYS, start=1):
        ledger.write(place, row(day, run=f"night {number}"))
        if number > 3:
            record(tiny, f"night {number}")
    return tiny


def checked(settings):
    """Return the verification of `TICKER`."""
    (one,) = ledger_check.verify(settings, [TICKER]).tickers
    return one


def test_a_whole_ledger_agrees_with_its_copies(recorded):
    """All tickers without a name."""
    found = ledger_check.verify(recorded)
    assert (found.broken, found.without_mlflow) == ((), "")
    (one,) = found.tickers
    assert (one.ticker, one.rows, one.copies, one.hashed_later, one.unhashed) == (TICKER, 5, 2, 0, 0)
    assert one.head == ledger.head(recorded.ledger_place, TICKER)


def test_removed_newest_rows_are_named(recorded):
    """The row and its link are gone, and the chain that is left is whole."""
    for number in (4, 5):
        tampering._rows(recorded.ledger_place).remove(tampering.NAMES[number - 1])
        tampering._links(recorded.ledger_place).remove(f"{number:07d}.json")
    assert tampering.found(recorded.ledger_place) is None
    broken = checked(recorded).broken
    assert (broken.kind, broken.position, broken.row) == ("removed", 4, "2025-11-20 v1")
    # A night after it does not hide it: every copy counts, not only the newest.
    ledger.write(recorded.ledger_place, row(dt.date(2025, 11, 24), run="night 6"))
    record(recorded, "night 6")
    broken = checked(recorded).broken
    assert (broken.kind, broken.position) == ("changed", 4)


def test_a_ticker_whose_folder_is_gone_is_named(recorded):
    """A run recorded it."""
    place = recorded.ledger_place
    for number, name in enumerate(tampering.NAMES, start=1):
        tampering._rows(place).remove(name)
        tampering._links(place).remove(f"{number:07d}.json")
    (one,) = ledger_check.verify(recorded).tickers
    assert (one.ticker, one.broken.kind, one.broken.position) == (TICKER, "removed", 1)


def test_a_row_after_the_end_of_its_run_is_named(recorded):
    """With a right hash; a run in progress may have written its row."""
    ledger.write(recorded.ledger_place, row(dt.date(2025, 11, 24), run="night 6"))
    assert checked(recorded).broken is None
    ledger.write(recorded.ledger_place, row(dt.date(2025, 11, 25), run="night 5"))
    broken = checked(recorded).broken
    assert (broken.kind, broken.position, broken.row) == ("added", 7, "2025-11-25 v1")


def test_mlflow_has_a_copy_too(tiny):
    """Without any results.json, and for a chain of which every hash was computed again."""
    five_rows(tiny.ledger_place)
    tracking = Runs(tiny)
    links = ledger.contents(tiny.ledger_place, TICKER).links
    head = chain.linked(row(DAYS[4], forecast=1.0), links[3]).head
    tags = {"ticker": TICKER, "dag_run_id": "night 5", LEDGER_HEAD: head.model_dump_json()}
    tracking.client.create_run(tracking.experiment, tags=tags)
    broken = checked(tiny).broken
    assert (broken.kind, broken.position, broken.row) == ("changed", 5, "2025-11-21 v1")
    assert "MLflow of night 5" in broken.why


def test_without_mlflow_the_reason_is_given(recorded, monkeypatch):
    """The copies of the store still count."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    found = ledger_check.verify(recorded.model_copy(update={"tracking_uri": "http://127.0.0.1:1"}), [TICKER])
    assert "127.0.0.1" in found.without_mlflow
    assert found.tickers[0].copies == 2
    assert found.broken == ()


def test_a_file_that_cannot_be_read_is_the_row_of_its_ticker(recorded):
    """Other tickers are still checked."""
    ledger.write(recorded.ledger_place, row(DAYS[0], ticker="NFLX"))
    tampering._rows(recorded.ledger_place).write(tampering.NAMES[2], b"nothing")
    first, second = ledger_check.verify(recorded).tickers
    assert "2025-11-19-v1.parquet" in str(first.broken)
    assert second.broken is None


@pytest.mark.usefixtures("two_nights")
def test_a_night_leaves_its_newest_hash_outside():
    """In the manifest, in results.json, in the report, and as a tag in MLflow."""
    settings = load_settings()
    runs.report("manual__2", settings=load_settings(tickers=("AAA",)))
    head = ledger.head(settings.ledger_place, "AAA")
    folder = runs.run_folder(settings.store_url, "manual__2")
    (one,) = results.results_of(folder.read("results.json"))
    assert LedgerHead(position=one.ledger_position, hash=one.ledger_hash, row=one.ledger_row) == head
    assert head.hash.encode() in folder.read("report.html")
    assert Runs(settings).ledger_heads("AAA")["manual__2"] == head
    verified = ledger_check.verify(settings)
    assert verified.broken == ()
    assert verified.tickers[0].copies == 3  # MLflow of two nights, results.json of one
