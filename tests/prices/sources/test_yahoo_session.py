"""The session of yfinance against a server on this machine."""

import json

import pytest
from curl_cffi.requests.exceptions import ConnectionError as LostConnection
from curl_cffi.requests.exceptions import Timeout
from yfinance.exceptions import YFDataException, YFRateLimitError

from pipeline.errors import Unavailable
from pipeline.prices.sources.yahoo_session import (
    DeniedError,
    NoSuchSymbol,
    ServerError,
    check_answers,
    describe_failure,
    open_session,
)
from tests.support.yahoo_server import Answer, page, refusal, serve


@pytest.fixture
def ask():
    """Return a function that asks a server on this machine, which gives one answer, by the session."""
    open_session.cache_clear()
    with serve() as server:

        def send(answer, params=None, path="/v8/finance/chart/NFLX"):
            server.script["NFLX"] = [answer]
            return open_session(5.0).get(f"{server.url}{path}", params=params or {})

        yield send
    open_session.cache_clear()


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_error_is_raised_with_its_status(ask, status):
    """Yfinance ignores HTTP 5xx."""
    with pytest.raises(ServerError, match=f"HTTP {status}"):
        ask(page(status))


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_raised_with_its_status(ask, status):
    """Of this machine, not of a symbol."""
    with pytest.raises(DeniedError, match=f"HTTP {status}"):
        ask(page(status))


def test_an_unknown_symbol_is_raised_for_the_first_request_only():
    """Yahoo answers JSON with 404 to the request with a range; a page of a proxy and other requests pass."""
    open_session.cache_clear()
    unknown = refusal(404, "Not Found", "No data found")
    with serve() as server:
        session = open_session(5.0)
        url = f"{server.url}/v8/finance/chart/NOPE"
        server.script["NOPE"] = [unknown]
        with pytest.raises(NoSuchSymbol):
            session.get(url, params={"range": "1d"})
        assert session.get(url, params={"period1": "0"}).status_code == 404
        server.script["NOPE"] = [page(404)]
        assert session.get(url, params={"range": "1d"}).status_code == 404
    open_session.cache_clear()


def test_an_answer_passes_unchanged(ask):
    """And the session is one per process."""
    answer = ask(Answer(200, b'{"a": 1}'))
    assert answer.json() == {"a": 1}
    assert open_session(5.0) is open_session(5.0)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Timeout("at http://u:p@proxy"), "no answer within 2.5 s"),
        (ServerError("HTTP 503"), "HTTP 503"),
        (YFRateLimitError(), "HTTP 429 (too many requests)"),
        (YFDataException("will be right back"), "Yahoo's maintenance page"),
        (LostConnection("at http://u:p@proxy"), "a failing connection (ConnectionError)"),
        (json.JSONDecodeError("x", "y", 0), "an answer that is not JSON"),
    ],
)
def test_a_failure_is_described_without_addresses(error, text):
    """Curl's own text may name a proxy and its password."""
    assert describe_failure(error, 2.5) == text


def test_any_answer_shows_that_yahoo_can_be_reached():
    """A refusal too: without yfinance's cookie Yahoo gives no page."""
    with serve() as server:
        server.script["NFLX"] = [page(401)]
        check_answers(5.0, f"{server.url}/v8/finance/chart/NFLX")
    with pytest.raises(Unavailable, match="Yahoo must answer"):
        check_answers(1.0, "http://127.0.0.1:9")
