"""The real yfinance against a Yahoo on this machine."""

from __future__ import annotations

import datetime as dt
import os
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from pipeline import runner, runs
from pipeline.errors import PipelineError, Unavailable, UnknownTicker, UnreadablePrices
from pipeline.prices.sources import COLUMNS, yahoo, yahoo_session
from pipeline.store.runs import read_plan, unit_folder
from tests.support.yahoo_server import NEW_YORK, Answer, YahooServer, chart, no_rows, page, redirect, refusal, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.settings import Settings

# Clocks in New York change between the second and the third session.
SESSIONS = pd.DatetimeIndex(["2024-03-07", "2024-03-08", "2024-03-11", "2024-03-12"], name="session")
FIRST, LAST = dt.date(2024, 3, 7), dt.date(2024, 3, 12)


@pytest.fixture
def prices() -> pd.DataFrame:
    """Return four sessions with a dividend on the second and a 4-for-1 split on the third."""
    rows = [
        [10.0, 12.0, 9.0, 11.0, 10.5, 1000.0, 0.0, 0.0],
        [11.0, 13.0, 10.0, 12.5, 12.25, 2000.0, 0.25, 0.0],
        [12.5, 14.0, 12.0, 13.0, 13.0, 3000.0, 0.0, 4.0],
        [13.0, 13.5, 12.5, 13.25, 13.25, 4000.0, 0.0, 0.0],
    ]
    return pd.DataFrame(rows, index=SESSIONS.astype("datetime64[s]"), columns=list(COLUMNS))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[YahooServer]:
    """Serve on this machine and let yfinance ask there."""
    with serve() as running:
        redirect(monkeypatch, running.url)
        yahoo_session.use_cache_folder.cache_clear()
        yield running


def fetch(
    cache_dir: Path,
    ticker: str = "NFLX",
    start: dt.date | None = FIRST,
    as_of: dt.date = LAST,
    *,
    timeout: float = 5.0,
    wait_seconds: float = 0.001,
) -> pd.DataFrame:
    """Fetch with waits too short to notice."""
    return yahoo.fetch(ticker, start, as_of, cache_dir=cache_dir, timeout=timeout, wait_seconds=wait_seconds).prices


@pytest.mark.parametrize(
    ("named", "currency"), [("USD", "USD"), ("JPY", "JPY"), ("GBp", "GBp"), ("GBP", "GBP"), (None, ""), (7, "")]
)
def test_the_currency_is_the_one_that_yahoo_names(
    server: YahooServer, prices: pd.DataFrame, tmp_path: Path, named: object, currency: str
) -> None:
    """Pence are not pounds; an answer without a currency leaves it unknown."""
    server.script["BARC.L"] = [chart("BARC.L", prices, currency=named)]
    quoted = yahoo.fetch("BARC.L", FIRST, LAST, cache_dir=tmp_path, wait_seconds=0.001)
    assert quoted.currency == currency
    pd.testing.assert_frame_equal(quoted.prices, prices)


def test_values_arrive_as_served(server: YahooServer, prices: pd.DataFrame, tmp_path: Path) -> None:
    """Every price, dividend and split arrives unchanged on its tz-naive session."""
    server.script["NFLX"] = [chart("NFLX", prices)]
    pd.testing.assert_frame_equal(fetch(tmp_path), prices)


def test_range_is_asked_for_in_exchange_time(server: YahooServer, prices: pd.DataFrame, tmp_path: Path) -> None:
    """The question runs from midnight of `start` to midnight after `as_of`, in New York."""
    server.script["NFLX"] = [chart("NFLX", prices)]
    fetch(tmp_path)
    probe, question = (asked.query for asked in server.asked)
    assert probe["range"] == "1d"
    assert pd.Timestamp(int(question["period1"]), unit="s", tz=NEW_YORK) == pd.Timestamp("2024-03-07", tz=NEW_YORK)
    assert pd.Timestamp(int(question["period2"]), unit="s", tz=NEW_YORK) == pd.Timestamp("2024-03-13", tz=NEW_YORK)


def test_no_start_asks_for_the_whole_history(server: YahooServer, prices: pd.DataFrame, tmp_path: Path) -> None:
    """Without `start` the question reaches back 99 years and still ends at `as_of`."""
    server.script["NFLX"] = [chart("NFLX", prices)]
    frame = fetch(tmp_path, start=None, as_of=dt.date(2024, 3, 8))
    question = server.asked[-1].query
    assert pd.Timestamp(int(question["period1"]), unit="s") < pd.Timestamp("1926-01-01")
    assert pd.Timestamp(int(question["period2"]), unit="s", tz=NEW_YORK) == pd.Timestamp("2024-03-09", tz=NEW_YORK)
    assert list(frame.index) == list(SESSIONS[:2])


def test_bars_outside_the_range_are_cut(server: YahooServer, prices: pd.DataFrame, tmp_path: Path) -> None:
    """Bars before `start` and after `as_of` are left out even when Yahoo sends them."""
    server.script["NFLX"] = [chart("NFLX", prices)]
    frame = fetch(tmp_path, start=dt.date(2024, 3, 8), as_of=dt.date(2024, 3, 8))
    assert list(frame.index) == [pd.Timestamp("2024-03-08")]


def test_null_row_is_kept(server: YahooServer, prices: pd.DataFrame, tmp_path: Path) -> None:
    """A session that Yahoo lists without prices stays, for the checks to judge."""
    prices.loc["2024-03-12", ["open", "high", "low", "close", "adj_close"]] = np.nan
    prices.loc["2024-03-12", "volume"] = 0.0
    server.script["NFLX"] = [chart("NFLX", prices)]
    pd.testing.assert_frame_equal(fetch(tmp_path), prices)


@pytest.mark.parametrize(("minutes_to_close", "kept"), [(60, False), (-1, True)])
def test_open_session_is_dropped(
    server: YahooServer, prices: pd.DataFrame, tmp_path: Path, minutes_to_close: int, *, kept: bool
) -> None:
    """The bar of a session enters once its close, as Yahoo tells it, has passed, and not before."""
    close = pd.Timestamp.now(NEW_YORK).floor("s") + pd.Timedelta(minutes=minutes_to_close)
    begin = close - pd.Timedelta(minutes=90)
    today = begin.tz_localize(None).normalize()
    prices.index = pd.DatetimeIndex([today - pd.Timedelta(days=back) for back in (3, 2, 1, 0)], name="session")
    server.script["NFLX"] = [chart("NFLX", prices, (begin, close))]
    frame = fetch(tmp_path, start=None, as_of=today.date())
    assert (today in frame.index) == kept
    assert len(frame) == 3 + kept


def test_bar_after_the_described_session_is_dropped(server: YahooServer, prices: pd.DataFrame, tmp_path: Path) -> None:
    """A bar newer than the trading period in the answer may be running, so it stays out."""
    opens = pd.Timestamp("2024-03-11 09:30", tz=NEW_YORK)
    server.script["NFLX"] = [chart("NFLX", prices, (opens, opens + pd.Timedelta(hours=6.5)))]
    assert fetch(tmp_path).index[-1] == pd.Timestamp("2024-03-11")


def test_only_an_open_session_is_unavailable(server: YahooServer, prices: pd.DataFrame, tmp_path: Path) -> None:
    """An answer of which nothing remains is an error, never an empty frame."""
    close = pd.Timestamp.now(NEW_YORK).floor("s") + pd.Timedelta(hours=1)
    today = (close - pd.Timedelta(hours=2)).tz_localize(None).normalize()
    server.script["NFLX"] = [chart("NFLX", prices.iloc[:1].set_axis([today]), (close - pd.Timedelta(hours=2), close))]
    with pytest.raises(Unavailable, match="no bar of a closed session"):
        fetch(tmp_path, start=today.date(), as_of=today.date())


@pytest.mark.parametrize(
    "stumbles",
    [
        [refusal(429, "Too Many Requests", "Slow down")] * 2,
        [page(429)] * 2,
        [page(503), refusal(500, "Internal Server Error", "Oops")],
        [Answer(200, b'{"chart": {"result": [{"meta"')],
        [Answer(200, b'{"chart": {"result": [{"meta"', cut=1000)],
        [page(200)],
        [page(200, "Will be right back")],
        [Answer(200, b"", reset=True)] * 2,
    ],
    ids=["429-json", "429-html", "5xx", "truncated", "connection-cut", "html", "maintenance", "reset"],
)
@pytest.mark.parametrize("probe_first", [False, True], ids=["at-once", "after-probe"])
def test_passing_trouble_is_tried_again(
    server: YahooServer, prices: pd.DataFrame, tmp_path: Path, stumbles: list[Answer], *, probe_first: bool
) -> None:
    """Trouble that passes delays the prices, at the first question and at the second."""
    good = chart("NFLX", prices)
    server.script["NFLX"] = [*([good] if probe_first else []), *stumbles, good]
    pd.testing.assert_frame_equal(fetch(tmp_path), prices)


@pytest.mark.parametrize(
    ("answer", "received"),
    [
        (refusal(500, "Internal Server Error", "Oops"), "HTTP 500, 4 times"),
        (page(503), "HTTP 503, 4 times"),
        (refusal(429, "Too Many Requests", "Slow down"), "HTTP 429 (too many requests), 4 times"),
        (Answer(200, b'{"chart": {"result": [{"meta"'), "an answer that is not JSON, 4 times"),
        (Answer(200, b"\xff\xfe\x00 no text"), "an answer that is not JSON, 4 times"),
        (Answer(200, b""), "an answer that is not JSON, 4 times"),
        (page(200), "an answer that is not JSON, 4 times"),
        (page(404), "an answer that is not JSON, 4 times"),
    ],
    ids=["500", "503", "429", "truncated", "binary", "empty", "html", "404-html"],
)
def test_lasting_trouble_is_unavailable(server: YahooServer, tmp_path: Path, answer: Answer, received: str) -> None:
    """Trouble that lasts ends after four tries as something worth another try later."""
    server.script["NFLX"] = [answer]
    with pytest.raises(Unavailable) as caught:
        fetch(tmp_path)
    assert caught.value.received == received
    assert caught.value.retryable


@pytest.mark.parametrize("answer", [refusal(401, "Unauthorized", "Invalid Crumb"), page(403)], ids=["401", "403"])
@pytest.mark.parametrize("probe_first", [False, True], ids=["at-once", "after-probe"])
def test_denied_access_is_unavailable(
    server: YahooServer, prices: pd.DataFrame, tmp_path: Path, answer: Answer, *, probe_first: bool
) -> None:
    """A machine that is kept out asks once and no more: worth another try later."""
    server.script["NFLX"] = [*([chart("NFLX", prices)] if probe_first else []), answer]
    with pytest.raises(Unavailable, match=r"access denied"):
        fetch(tmp_path)
    assert len(server.asked) == 1 + probe_first


def test_broken_answer_is_not_remembered(server: YahooServer, prices: pd.DataFrame, tmp_path: Path) -> None:
    """A later call asks again instead of being handed the broken answer that yfinance kept."""
    server.script["NFLX"] = [page(200)]
    with pytest.raises(Unavailable):
        fetch(tmp_path)
    server.script["NFLX"] = [chart("NFLX", prices)]
    pd.testing.assert_frame_equal(fetch(tmp_path), prices)


@pytest.mark.parametrize("probe_first", [False, True], ids=["at-once", "after-probe"])
def test_time_out_is_unavailable(
    server: YahooServer, prices: pd.DataFrame, tmp_path: Path, *, probe_first: bool
) -> None:
    """A silent Yahoo costs four times the time-out, also at the question whose time-out yfinance fixes at 10 s."""
    good = chart("NFLX", prices)
    server.script["NFLX"] = [*([good] if probe_first else []), good._replace(delay=60.0)]
    began = dt.datetime.now(dt.UTC)
    with pytest.raises(Unavailable) as caught:
        fetch(tmp_path, timeout=0.15)
    assert caught.value.received == "no answer within 0.15 s, 4 times"
    assert dt.datetime.now(dt.UTC) - began < dt.timedelta(seconds=4)


def test_a_slow_drip_is_unavailable(server: YahooServer, prices: pd.DataFrame, tmp_path: Path) -> None:
    """A byte now and then does not keep a night waiting: the time-out is for the whole answer."""
    server.script["NFLX"] = [chart("NFLX", prices)._replace(drip=0.05)]
    began = dt.datetime.now(dt.UTC)
    with pytest.raises(Unavailable) as caught:
        fetch(tmp_path, timeout=0.3)
    assert caught.value.received == "no answer within 0.3 s, 4 times"
    assert dt.datetime.now(dt.UTC) - began < dt.timedelta(seconds=6)


@pytest.mark.parametrize(
    "answer",
    [page(429), Answer(200, b"", reset=True), Answer(200, b'{"chart"'), page(200), Answer(200, b"x" * 9, drip=60)],
    ids=["429", "reset", "truncated", "html", "drip"],
)
def test_no_snapshot_is_written_of_an_answer_that_is_none(
    server: YahooServer, tiny: Settings, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    """Through the real step: the ticker failed for a reason that may pass, and there is no snapshot.json."""
    server.script["NFLX"] = [answer]
    monkeypatch.setattr(yahoo, "fetch", partial(yahoo.fetch, wait_seconds=0.001))
    settings = tiny.model_copy(update={"source": "yahoo", "tickers": ("NFLX",), "yahoo_timeout": 0.2})
    (batch,) = runs.plan(settings, "manual__1")
    with pytest.raises(Unavailable, match="NFLX failed"):
        runner.run("ingest", batch, settings=settings)
    folder = unit_folder(settings.store_url, "NFLX", read_plan(settings.store_url, batch["run"]))
    assert folder.names() == ["ingest.manifest.json"]


def test_refused_connection_is_unavailable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody listening is something worth another try later, told without addresses."""
    with serve() as gone:
        pass
    redirect(monkeypatch, gone.url)
    yahoo_session.use_cache_folder.cache_clear()
    with pytest.raises(Unavailable) as caught:
        fetch(tmp_path)
    assert caught.value.received == "a failing connection (ConnectionError), 4 times"


def test_unknown_symbol_is_told_every_time(server: YahooServer, tmp_path: Path) -> None:
    """An unknown symbol costs one question, not four, and the third one reads like the first."""
    for ticker in ("NOPE", "NOPE2", "NOPE3"):
        with pytest.raises(UnknownTicker, match=ticker):
            fetch(tmp_path, ticker)
    assert [asked.ticker for asked in server.asked] == ["NOPE", "NOPE2", "NOPE3"]


@pytest.mark.parametrize("silence", [no_rows("NFLX"), Answer(200, b"[]"), Answer(200, b'{"chart": {}}')])
def test_silent_empty_answer_is_unavailable(
    server: YahooServer, prices: pd.DataFrame, tmp_path: Path, silence: Answer
) -> None:
    """Nothing for a symbol that Yahoo knows may be a rate limit: one question, and worth another try later."""
    server.script["NFLX"] = [chart("NFLX", prices), silence]
    with pytest.raises(Unavailable, match="without a single bar"):
        fetch(tmp_path)
    assert len(server.asked) == 2


def test_refused_dates_are_unreadable(server: YahooServer, prices: pd.DataFrame, tmp_path: Path) -> None:
    """Dates for which Yahoo says that it has nothing are no matter of trying again."""
    reason = "Data doesn't exist for startDate = 1709787600, endDate = 1710302400"
    server.script["NFLX"] = [chart("NFLX", prices), refusal(400, "Bad Request", reason)]
    with pytest.raises(UnreadablePrices, match="Data doesn't exist"):
        fetch(tmp_path)


@pytest.mark.parametrize(
    ("probe_first", "body"),
    [(False, b"[]"), (False, b"{}"), (False, b'{"chart": {}}'), (True, b'{"chart": 3}')],
)
def test_json_of_another_shape_is_unreadable(
    server: YahooServer, prices: pd.DataFrame, tmp_path: Path, body: bytes, *, probe_first: bool
) -> None:
    """JSON that is no price table is never an empty frame and never a bare KeyError."""
    server.script["NFLX"] = [*([chart("NFLX", prices)] if probe_first else []), Answer(200, body)]
    with pytest.raises(UnreadablePrices, match="an answer that yfinance cannot read"):
        fetch(tmp_path)


def test_prices_of_another_symbol_are_unreadable(server: YahooServer, prices: pd.DataFrame, tmp_path: Path) -> None:
    """An answer about another symbol never enters under this ticker."""
    server.script["NFLX"] = [chart("AAPL", prices)]
    with pytest.raises(UnreadablePrices, match="AAPL"):
        fetch(tmp_path)


def test_cache_is_one_folder_of_this_process(server: YahooServer, prices: pd.DataFrame, tmp_path: Path) -> None:
    """The caches of yfinance lie in one folder beneath ours, and folders of earlier days go."""
    old, young = tmp_path / "yfinance-old", tmp_path / "yfinance-young"
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (0, 0))
    server.script["NFLX"] = [chart("NFLX", prices)]
    fetch(tmp_path)
    fetch(tmp_path)
    made = set(tmp_path.iterdir()) - {young}
    assert old not in made
    assert young.exists()
    assert len(made) == 1
    assert (made.pop() / "tkr-tz.db").exists()


def test_errors_are_three_plain_lines(server: YahooServer, prices: pd.DataFrame, tmp_path: Path) -> None:
    """Errors name no address, no question string and no traceback."""
    server.script = {
        "BUSY": [page(503)],
        "NONE": [chart("NONE", prices), no_rows("NONE")],
        "ODD": [chart("ODD", prices), Answer(200, b'{"chart": 3}')],
        "NOPE": [refusal(404, "Not Found", "No data found")],
    }
    for ticker in server.script:
        with pytest.raises(PipelineError) as caught:
            fetch(tmp_path, ticker)
        text = str(caught.value)
        assert len(text.splitlines()) == 3, text
        assert not any(part in text for part in ("http:", "https:", "127.0.0.1", "period1", "crumb", "Traceback"))
