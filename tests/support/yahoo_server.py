"""A small Yahoo on 127.0.0.1 that answers `/v8/finance/chart/<TICKER>` as scripted, for the real yfinance."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

NEW_YORK = "America/New_York"
_JSON = "application/json;charset=utf-8"
_URLS = ("_BASE_URL_", "_QUERY1_URL_", "_ROOT_URL_", "_QUOTE_SUMMARY_URL_")


class Answer(NamedTuple):
    """One HTTP answer, sent after `delay` seconds; `cut` bytes are announced but never sent.

    With `drip` each byte of the body takes that many seconds. With `reset` the connection is torn down instead.
    """

    status: int
    body: bytes
    content_type: str = _JSON
    delay: float = 0.0
    cut: int = 0
    drip: float = 0.0
    reset: bool = False


class Asked(NamedTuple):
    """One question that reached the server."""

    ticker: str
    query: dict[str, str]


class YahooServer:
    """Scripted answers by ticker: one per question, the last one again and again.

    yfinance first asks with `range=1d` for the time zone, then with `period1` and `period2` for the prices.
    """

    def __init__(self) -> None:
        """Start without a script: every symbol is unknown."""
        self.script: dict[str, list[Answer]] = {}
        self.asked: list[Asked] = []
        self.closing = threading.Event()
        self.url = ""

    def answer(self, path: str) -> Answer:
        """Return the next answer to `path` and remember the question."""
        parts = urlsplit(path)
        ticker = parts.path.rpartition("/")[2]
        self.asked.append(Asked(ticker, dict(parse_qsl(parts.query))))
        if not parts.path.startswith("/v8/finance/chart/"):
            return refusal(404, "Not Found", "No such page")
        script = self.script.get(ticker) or [refusal(404, "Not Found", "No data found, symbol may be delisted")]
        return script.pop(0) if len(script) > 1 else script[0]


@contextmanager
def serve() -> Iterator[YahooServer]:
    """Run a server on a free port until the block ends; afterwards its address refuses connections."""
    yahoo = YahooServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = yahoo.answer(self.path)
            yahoo.closing.wait(answer.delay)
            if answer.reset:  # closed with a linger of 0 seconds, a socket sends RST
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                return
            try:
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.content_type)
                self.send_header("Content-Length", str(len(answer.body) + answer.cut))
                self.end_headers()
                for part in [bytes([byte]) for byte in answer.body] if answer.drip else [answer.body]:
                    self.wfile.write(part)
                    yahoo.closing.wait(answer.drip)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client had enough of waiting

        def log_message(self, *_: object) -> None:
            """Keep the test output quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    yahoo.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield yahoo
    finally:
        yahoo.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def redirect(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Point the real yfinance at `url`, with its caches empty and every other way out of this machine closed."""
    import yfinance  # noqa: F401 (loads the modules patched below)
    from yfinance import base, cache, data

    for name, module in list(sys.modules.items()):
        for constant in _URLS:
            if name.startswith("yfinance") and hasattr(module, constant):
                monkeypatch.setattr(module, constant, url)
    # The addresses of cookie and crumb are written into the functions that fetch them.
    monkeypatch.setattr(data.YfData, "_get_cookie_and_crumb", lambda _self, _timeout=30: (None, "basic"))
    monkeypatch.setattr(base, "_tz_info_fetch_ctr", 0)
    for manager, name in (
        (cache._TzCacheManager, "_tz_cache"),
        (cache._CookieCacheManager, "_Cookie_cache"),
    ):
        monkeypatch.setattr(manager, name, None)
    for way in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(way, "http://127.0.0.1:9")
    for way in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(way, "127.0.0.1")


def chart(
    ticker: str,
    prices: pd.DataFrame,
    period: tuple[pd.Timestamp, pd.Timestamp] | None = None,
    *,
    currency: object = "USD",
) -> Answer:
    """Return Yahoo's answer with `prices`, whatever dates are asked for.

    Args:
        ticker: the symbol that the answer names.
        prices: the columns of `pipeline.sources`, by session; a bar's time is 09:30 in New York.
        period: open and close of the session that the answer describes as the current one; by default the last of
            `prices`, 09:30 to 16:00.
        currency: of the prices, as the answer names it.
    """
    opens = (prices.index + pd.Timedelta(hours=9, minutes=30)).tz_localize(NEW_YORK)
    begins, ends = period or (opens[-1], opens[-1] + pd.Timedelta(hours=6, minutes=30))
    times = [int(time.timestamp()) for time in opens]
    dividends, splits = (dict(zip(times, prices[name], strict=True)) for name in ("dividends", "splits"))
    result = {
        "meta": {
            "symbol": ticker,
            "currency": currency,
            "instrumentType": "EQUITY",
            "exchangeTimezoneName": NEW_YORK,
            "validRanges": ["1d", "1mo", "1y", "max"],
            "currentTradingPeriod": {
                "regular": {
                    "start": int(begins.timestamp()),
                    "end": int(ends.timestamp()),
                    "timezone": "EST",
                    "gmtoffset": -18000,
                }
            },
        },
        "timestamp": times,
        "events": {
            "dividends": {str(t): {"amount": amount, "date": t} for t, amount in dividends.items() if amount},
            "splits": {
                str(t): {"date": t, "numerator": ratio, "denominator": 1.0, "splitRatio": f"{ratio:g}:1"}
                for t, ratio in splits.items()
                if ratio
            },
        },
        "indicators": {
            "quote": [{name: _column(prices[name]) for name in ("open", "high", "low", "close", "volume")}],
            "adjclose": [{"adjclose": _column(prices["adj_close"])}],
        },
    }
    return Answer(200, json.dumps({"chart": {"result": [result], "error": None}}).encode())


def no_rows(ticker: str) -> Answer:
    """Return Yahoo's answer for a symbol that it knows, without a single bar."""
    meta = {"symbol": ticker, "exchangeTimezoneName": NEW_YORK, "instrumentType": "EQUITY", "currency": "USD"}
    result = {"meta": meta, "indicators": {"quote": [{}], "adjclose": [{}]}}
    return Answer(200, json.dumps({"chart": {"result": [result], "error": None}}).encode())


def refusal(status: int, code: str, description: str) -> Answer:
    """Return Yahoo's answer when it says why there are no prices."""
    error = {"code": code, "description": description}
    return Answer(status, json.dumps({"chart": {"result": None, "error": error}}).encode())


def page(status: int, text: str = "<html><body>Edge: too busy</body></html>") -> Answer:
    """Return an HTML page where JSON was asked for."""
    return Answer(status, text.encode(), "text/html")


def _column(values: pd.Series[float]) -> list[float | None]:
    return [None if pd.isna(value) else float(value) for value in values]
