"""The plan of a run, and what is refused before anything starts."""

import datetime as dt

import pytest

from pipeline.calendar import exchange
from pipeline.errors import UsageError
from pipeline.plan import checked_tickers, covers_universe, folder_name, make_plan
from pipeline.settings import load_settings
from tests.support.calendars import set_today

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)  # Monday morning: Friday was the last session


def plan(settings=None, **given):
    """Make a plan with these settings."""
    overrides = given.pop("overrides", {})
    return make_plan(settings or load_settings(**given), "manual__x", now=NOW, moment=NOW, overrides=overrides)


def test_without_as_of_the_last_closed_session_is_meant():
    """Friday, on Monday morning."""
    assert plan().as_of == dt.date(2026, 11, 20)


def test_tickers_are_cut_into_batches_in_order():
    """Five tickers by two are three batches, which carry all that travels through XCom."""
    made = plan(tickers=("A", "B", "C", "D", "E"), batch_size=2)
    assert [batch["tickers"] for batch in made.batches()] == [["A", "B"], ["C", "D"], ["E"]]
    assert made.batches()[0] == {"run": "manual__x", "as_of": "2026-11-20", "tickers": ["A", "B"]}


@pytest.mark.parametrize(("batch_size", "most", "sizes"), [(1, 1024, {2, 1}), (100, 1024, {100}), (1, 7, {286, 284})])
def test_a_large_universe_has_no_more_batches_than_airflow_maps(batch_size, most, sizes):
    """2,000 tickers: each once, in order."""
    tickers = tuple(f"T{number}" for number in range(2000))
    batches = plan(tickers=tickers, batch_size=batch_size).batches(most)
    assert len(batches) <= most
    assert {len(batch["tickers"]) for batch in batches} <= sizes
    assert [ticker for batch in batches for ticker in batch["tickers"]] == list(tickers)


def test_a_calendar_that_has_ended_stops_the_plan_and_not_one_of_the_past(monkeypatch):
    """No date was given, so none is to be corrected. Closed sessions of the settings are in the plan."""
    last = exchange("XSHG").bound_max().date()
    set_today(monkeypatch, str(last + dt.timedelta(days=4)))
    now = dt.datetime.combine(last + dt.timedelta(days=4), dt.time(12), dt.UTC)
    settings = load_settings(calendar="XSHG", closed_sessions=("2025-11-21",))
    with pytest.raises(UsageError, match=f"XSHG ends on {last}") as error:
        make_plan(settings, "manual__x", now=now, moment=now, overrides={})
    assert "Correct" not in error.value.todo
    past = load_settings(calendar="XSHG", closed_sessions=("2025-11-21",), as_of="2025-11-20")
    made = make_plan(past, "manual__x", now=now, moment=now, overrides={})
    assert made.closed_sessions == (dt.date(2025, 11, 21),)


def test_overrides_change_the_preset_of_this_run_only():
    """And a field that does not exist is refused by name."""
    assert plan(overrides={"epochs": 3}).preset.epochs == 3
    with pytest.raises(UsageError, match="epoch_count"):
        plan(overrides={"epoch_count": 3})
    assert load_settings().presets["daily"].epochs == 80


@pytest.mark.parametrize("ticker", ["M&M.NS", "NIFTY_FIN_SERVICE.NS", "^GSPC", "BRK-B", "EURUSD=X", "0700.HK"])
def test_symbols_are_taken_as_yahoo_has_them(ticker):
    """In capitals or not."""
    assert checked_tickers((ticker.lower(),)) == (ticker,)


@pytest.mark.parametrize("ticker", ["../../etc/x", "NFLX\n", "A B", "", "_RUNS", "A" * 33, "ÄÖ", "A/B", "..", "\x00"])
def test_what_is_no_ticker_is_refused(ticker):
    """Nothing that could leave its folder, break a line or hide gets through."""
    with pytest.raises(UsageError, match="ticker"):
        checked_tickers((ticker,))


def test_tickers_are_upper_case_and_unique():
    """`nflx` is NFLX; a repeat is the same ticker."""
    assert checked_tickers(("nflx", " NFLX", "^GSPC", "BRK-B")) == ("NFLX", "^GSPC", "BRK-B")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"preset": "weekly"}, ["'weekly'", "daily, gru, lstm, point, tutorial"]),
        ({"start": "2026-11-23", "as_of": "2026-11-20"}, ["START=2026-11-23", "AS_OF=2026-11-20"]),
        ({"start": "2026-11-23"}, ["START=2026-11-23; 2026-11-20", "Move START."]),
        ({"as_of": "2026-11-22"}, ["2026-11-22", "AS_OF=2026-11-20"]),
        ({"as_of": "2027-01-04"}, ["2027-01-04", "AS_OF=2026-11-20"]),
        ({"source": "files"}, ["PRICES"]),
        ({"source": "files", "prices": "/no/such/file.csv"}, ["/no/such/file.csv"]),
        (
            {"source": "files", "prices": __file__, "tickers": ("NFLX", "ZZZZ")},
            ["one ticker", "NFLX, ZZZZ", "test_plan.py"],
        ),
        ({"tickers": ()}, ["at least one ticker"]),
    ],
)
def test_wrong_usage_says_what_was_received_and_what_would_do(given, words):
    """Three lines and exit code 2."""
    with pytest.raises(UsageError) as error:
        plan(**given)
    assert error.value.exit_code == 2
    assert len(str(error.value).splitlines()) == 3
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("given", [{"source": "bloomberg"}, {"as_of": "tomorrow"}, {"batch_size": 0}])
def test_a_setting_out_of_its_bounds_is_named(given):
    """The name of the setting and the value that was received."""
    name, value = next(iter(given.items()))
    with pytest.raises(UsageError) as error:
        load_settings(**given)
    assert name in error.value.rule
    assert repr(value) in error.value.received


@pytest.mark.parametrize("name", ["manual__2026-11-23T01:00:00+00:00", "../../x", "a/b", "..", "~"])
def test_a_runs_folder_is_one_plain_name(name):
    """Whatever a run is called in Airflow, its folder stays in its place."""
    assert set(folder_name(name)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


@pytest.fixture
def folder(tmp_path):
    """Return a folder with three price files, a file of another kind and a hidden one."""
    for name in ("MSFT.csv", "aapl.CSV", "NFLX.parquet", "notes.txt", "._MSFT.csv"):
        (tmp_path / name).touch()
    return tmp_path


def test_a_star_means_every_price_file_of_the_folder(folder):
    """In alphabetical order of the files, in upper case; other files are left out."""
    made = plan(tickers=("*",), source="files", prices=folder)
    assert made.tickers == ("MSFT", "NFLX", "AAPL")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"source": "sample"}, "SOURCE=sample"),
        ({"source": "files", "prices": __file__}, "needs a folder"),
        ({"source": "files", "prices": "empty"}, "no TICKER.csv"),
    ],
)
def test_a_star_without_price_files_is_refused(tmp_path, monkeypatch, given, words):
    """For another source, for one file and for an empty folder."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=words):
        plan(tickers=("*",), **given)


@pytest.mark.parametrize(
    ("tickers", "covered"),
    [
        (("*",), True),
        (("msft", "nflx", "aapl"), True),
        (("MSFT",), True),
        (("MSFT", "TSLA"), False),
        (("not a ticker",), False),
    ],
)
def test_a_run_covers_the_settings_however_they_write_their_tickers(folder, tickers, covered):
    """The plan has upper-case names; the settings may have `*` or lower case."""
    made = plan(tickers=("*",), source="files", prices=folder)
    assert covers_universe(made, load_settings(tickers=tickers, source="files", prices=folder)) is covered
    assert not covers_universe(plan(tickers=("MSFT",)), load_settings(tickers=("*",), source="files", prices=folder))


@pytest.mark.parametrize(("stated", "planned"), [("GBp", "GBp"), ("usd", "USD"), ("GBX", "GBp"), ("", "")])
def test_the_currency_of_files_is_the_stated_one(tmp_path, stated, planned):
    """Without one it is unknown."""
    (tmp_path / "AAA.csv").write_text("Date,Close\n2025-11-20,3.5\n")
    files = load_settings(source="files", prices=tmp_path, currency=stated, tickers=("AAA",))
    assert plan(files).currency == planned
    assert plan(load_settings(currency="JPY", tickers=("AAA",))).currency == ""  # the sample names its own


def test_a_currency_that_is_no_code_is_refused(tmp_path):
    (tmp_path / "AAA.csv").write_text("Date,Close\n2025-11-20,3.5\n")
    with pytest.raises(UsageError, match="such as USD, JPY, or GBp") as caught:
        plan(load_settings(source="files", prices=tmp_path, currency="US dollars", tickers=("AAA",)))
    assert "'US dollars'" in str(caught.value)
