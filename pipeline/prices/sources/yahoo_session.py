"""The HTTP session that yfinance uses: our time-out, Yahoo's status codes as errors, a cache folder per process."""

from __future__ import annotations

import shutil
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pipeline.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from curl_cffi.requests import Response, Session

ADDRESS = "https://query2.finance.yahoo.com"  # yfinance's own constant needs 2 s of imports
_CHART = "/v8/finance/chart/"
_CACHE_KEPT = 86_400.0  # seconds


def check_answers(seconds: float, address: str = ADDRESS) -> None:
    """Check that Yahoo answers, with a page or with a refusal: yfinance brings what a page needs.

    Raises:
        Unavailable: no answer in time.
    """
    try:
        with urllib.request.urlopen(address, timeout=seconds):  # noqa: S310 - a constant
            return
    except urllib.error.HTTPError:
        return
    except OSError as error:
        raise Unavailable(
            "Yahoo must answer.",
            f"{address}: {getattr(error, 'reason', error)}",
            "Check network and proxy (HTTPS_PROXY). The run tries again by itself.",
        ) from None


class ServerError(ConnectionError):
    """Yahoo answered HTTP 5xx."""


class DeniedError(Exception):
    """Yahoo or a proxy answered HTTP 401 or 403."""


class NoSuchSymbol(Exception):
    """Yahoo answered HTTP 404 to the request that yfinance sends first for every symbol."""


@lru_cache(maxsize=1)  # one per process: yfinance ties its cookie and crumb to it
def open_session(timeout: float) -> Session[Response]:
    """Return the session that yfinance would open itself, with our time-out and an error for each failing status.

    yfinance ignores `timeout` for the time zone and the cookie (10 and 30 seconds), ignores HTTP 5xx, and raises a
    different error for an unknown symbol each time (it looks elsewhere, and stops after the second symbol).
    """
    from curl_cffi.requests import Response, Session

    class YahooSession(Session[Response]):
        def request(self, *args: Any, **kwargs: Any) -> Response:  # noqa: ANN401 (curl_cffi has some 40 parameters)
            kwargs["timeout"] = timeout
            answer = super().request(*args, **kwargs)
            if _CHART in answer.url:
                _raise_for_status(answer, kwargs.get("params") or {})
            return answer

    return YahooSession(impersonate="chrome")


def _raise_for_status(answer: Response, params: Mapping[str, object]) -> None:
    """Raise an error for a status that yfinance would handle wrongly; 404 only for the first request of a symbol."""
    if answer.status_code >= 500:  # noqa: PLR2004 (HTTP's own number)
        message = f"HTTP {answer.status_code}"
        raise ServerError(message)
    if answer.status_code in {401, 403}:
        # yfinance would retry with another cookie, then at another address, and report no prices. The request needs no
        # cookie, so Yahoo refuses this machine, and further requests would prolong the refusal.
        message = f"HTTP {answer.status_code} (access denied)"
        raise DeniedError(message)
    is_json = "json" in answer.headers.get("content-type", "")  # a 404 page of a proxy is not about the symbol
    if answer.status_code == 404 and is_json and "range" in params:  # noqa: PLR2004
        raise NoSuchSymbol


def describe_failure(error: BaseException, timeout: float) -> str:
    """Return a failure in plain words, without curl's own text, which may name proxies and addresses."""
    from curl_cffi.requests.exceptions import RequestException, Timeout
    from yfinance.exceptions import YFDataException, YFRateLimitError

    if isinstance(error, Timeout):
        return f"no answer within {timeout:g} s"
    if isinstance(error, ServerError):
        return str(error)
    if isinstance(error, YFRateLimitError):
        return "HTTP 429 (too many requests)"
    if isinstance(error, YFDataException):
        return "Yahoo's maintenance page"
    if isinstance(error, RequestException) and not isinstance(error, ValueError):
        return f"a failing connection ({type(error).__name__})"
    return "an answer that is not JSON"


@lru_cache(maxsize=1)  # yfinance opens its databases once: a second location is ignored
def use_cache_folder(cache_dir: Path, _process: int) -> None:
    """Give this process a folder of its own for yfinance's databases, which lock when shared (yfinance issue 2604)."""
    import yfinance as yf

    cache_dir.mkdir(parents=True, exist_ok=True)
    # Airflow ends its task processes without exit handlers, so folders of earlier days are removed here.
    for folder in cache_dir.glob("yfinance-*"):
        with suppress(FileNotFoundError):  # another process may remove it first
            if time.time() - folder.stat().st_mtime > _CACHE_KEPT:
                shutil.rmtree(folder, ignore_errors=True)
    yf.set_tz_cache_location(tempfile.mkdtemp(prefix="yfinance-", dir=cache_dir))
