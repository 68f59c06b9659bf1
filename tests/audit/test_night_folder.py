"""The folder of a night holds what the night knew: plan, suite, snapshot, champion, and the ledger before it."""

from pipeline.audit.night_folder import ended_of, prepare, weights_before
from pipeline.audit.night_ledger import records
from pipeline.audit.remake import REQUEST, Request
from pipeline.prices import snapshot
from pipeline.steps import FLOW
from pipeline.store import night_record
from pipeline.store.history import past_run
from pipeline.store.runs import read_plan, run_folder, unit_folder


def test_a_night_finds_its_record_in_its_own_store(two_nights, tmp_path):
    """And no step of its own: each of them is made again."""
    run = past_run(two_nights.store_url, "manual__2")
    place = run_folder(two_nights.store_url, run.run)
    record = night_record.read(place)
    files = {name: night_record.file_of(place, record, name) for name in record.files}
    ended = ended_of(two_nights.store_url, run, "AAA")
    assert list(ended.manifests) == [step.name for step in FLOW]
    prepare(tmp_path, run, record, files, {"AAA": ended}, ["AAA"], two_nights)

    store = str(tmp_path / "store")
    plan = read_plan(store, run.run)
    assert plan == read_plan(two_nights.store_url, run.run)
    assert (tmp_path / "expectations" / "prices.json").read_bytes() == two_nights.suite_path.read_bytes()
    made = unit_folder(store, "AAA", plan)
    assert made.manifest("ingest") == ended.manifests["ingest"]
    assert made.manifest("validate") is None
    then = snapshot.read(two_nights.store_url, "AAA", ended.folder, ended.manifests["ingest"]).prices
    assert snapshot.read(store, "AAA", made, ended.manifests["ingest"]).prices.equals(then)
    assert [one.run for one in records(f"{store}/_ledger", "AAA")] == ["manual__1"]

    asked = Request.model_validate_json((tmp_path / REQUEST).read_bytes()).tickers["AAA"]
    assert (asked.until, asked.champion.number, asked.released) == ("forecast", 1, 2)
    assert asked.forecast_by == records(two_nights.ledger_place, "AAA")[-1].version
    for path, data in weights_before(two_nights.store_url, ended).items():
        assert (tmp_path / "store" / path).read_bytes() == data


def test_a_ticker_that_only_shares_the_network_ends_with_it(two_nights, tmp_path):
    """Its scores and its forecast are not asked for, and its ledger is not copied."""
    run = past_run(two_nights.store_url, "manual__1")
    place = run_folder(two_nights.store_url, run.run)
    record = night_record.read(place)
    files = {name: night_record.file_of(place, record, name) for name in record.files}
    prepare(tmp_path, run, record, files, {"AAA": ended_of(two_nights.store_url, run, "AAA")}, [], two_nights)
    asked = Request.model_validate_json((tmp_path / REQUEST).read_bytes()).tickers["AAA"]
    assert (asked.until, asked.champion.number) == ("train", None)
    assert not (tmp_path / "store" / "_ledger").exists()
