"""Prices from Yahoo Finance: the only user of yfinance."""

from __future__ import annotations

import datetime as dt
import json
import os
import warnings
from typing import TYPE_CHECKING, Any

import pandas as pd
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential, wait_random

from pipeline.errors import Unavailable, UnknownTicker, UnreadablePrices
from pipeline.prices.sources import price_frame
from pipeline.prices.sources.yahoo_session import (
    DeniedError,
    NoSuchSymbol,
    ServerError,
    described,
    session,
    set_cache_folder,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NAMES = {"Adj Close": "adj_close", "Stock Splits": "splits"}
_TRIES = 4
_LONGEST_WAIT = 8  # in units of `wait_seconds`


def fetch(
    ticker: str,
    start: dt.date | None,
    as_of: dt.date,
    *,
    cache_dir: Path,
    timeout: float = 30.0,
    wait_seconds: float = 1.0,
) -> pd.DataFrame:
    """Return the daily prices of `ticker` as Yahoo has them now.

    Prices are in the currency of the listing and split-adjusted (by every split known today, not only those up to
    `as_of`); `adj_close` is dividend-adjusted too. Rate limits, time-outs, lost connections, HTTP 5xx and answers that
    are not JSON are tried up to 4 times with growing, jittered waits; nothing else is. Call it from one thread at a
    time: yfinance keeps one session per process.

    Args:
        ticker: Yahoo's symbol, such as "NFLX", "BRK-B" or "^GSPC".
        start: first session; None asks for the whole history.
        as_of: last session. A session that is still open at the exchange is left out even when it is `as_of`.
        cache_dir: folder beneath which yfinance keeps its time zones and cookies, in a folder per process.
        timeout: seconds to wait for one answer; a try may ask more than once.
        wait_seconds: base of the waits between tries: about 1, 2 and 4 times this, plus up to 1 time at random.

    Returns:
        At least one row, shaped as `pipeline.sources` promises, with the float columns open, high, low, close,
        adj_close, volume (shares), dividends (per share) and splits (new shares per old one; 0 means none).

    Raises:
        UnknownTicker: Yahoo does not know the symbol.
        UnreadablePrices: Yahoo says that it has no prices for these dates, or answers with something else.
        Unavailable: no try got an answer, access was denied, or the answer held no row: worth another try later.
    """
    from curl_cffi.requests.exceptions import RequestException
    from yfinance.exceptions import (
        YFDataException,
        YFException,
        YFPricesMissingError,
        YFRateLimitError,
        YFTzMissingError,
    )

    passing = (
        RequestException,  # time-outs and every kind of lost connection
        ServerError,
        YFRateLimitError,
        YFDataException,  # "will be right back": Yahoo's maintenance page
        json.JSONDecodeError,
        UnicodeDecodeError,
    )
    tries = Retrying(
        stop=stop_after_attempt(_TRIES),
        wait=wait_exponential(multiplier=wait_seconds, max=_LONGEST_WAIT * wait_seconds) + wait_random(0, wait_seconds),
        retry=retry_if_exception_type(passing),
        reraise=True,
    )
    rule = _rule(ticker)
    set_cache_folder(cache_dir.resolve(), os.getpid())
    try:
        raw = tries(_history, ticker, start, as_of, timeout)
    except passing as error:
        raise Unavailable(
            rule,
            f"{described(error, timeout)}, {_TRIES} times",
            "Try again later; if it lasts, look whether this machine reaches finance.yahoo.com.",
        ) from error
    except DeniedError as error:
        raise Unavailable(
            rule, str(error), "Try again later; if it lasts, Yahoo or a proxy keeps this machine out."
        ) from error
    except NoSuchSymbol as error:
        raise UnknownTicker(
            "The ticker must be a symbol of Yahoo Finance.",
            f"{ticker!r}, which Yahoo does not know or no longer lists",
            "Look the symbol up on finance.yahoo.com; class shares are written like BRK-B.",
        ) from error
    except (YFPricesMissingError, YFTzMissingError) as error:
        raise _missing(rule, error) from error
    except (YFException, LookupError, TypeError, ValueError, AttributeError) as error:
        # yfinance reads the answer field by field without looking first: JSON of another shape ends anywhere in it.
        raise UnreadablePrices(
            rule,
            f"an answer that yfinance cannot read ({type(error).__name__}: {str(error)[:200]})",
            "Look whether a newer yfinance reads it: Yahoo may have changed its format.",
        ) from error
    frame = price_frame(raw, start, as_of)
    if frame.empty:
        raise _no_rows(rule, f"no bar of a closed session from {start or 'the beginning'} to {as_of}")
    return frame


def _rule(ticker: str) -> str:
    return f"Yahoo must answer with the prices of {ticker}."


def _missing(rule: str, error: Exception) -> UnreadablePrices | Unavailable:
    """Return what yfinance's "no prices" means: Yahoo either says why, or it says nothing."""
    reason = getattr(error, "yahoo_reason", None)
    if reason is None:
        return _no_rows(rule, "an answer without a single bar")
    return UnreadablePrices(
        rule,
        f"Yahoo's refusal: {str(reason)[:200]}",
        "Do as it says; mostly the ticker was not traded on the dates asked for.",
    )


def _no_rows(rule: str, received: str) -> Unavailable:
    # yfinance calls this "possibly delisted", but a symbol that is gone gets a 404, and dates without trading get a
    # reason. Silence about a symbol that Yahoo just gave the time zone of is a rate limit or a bar that is late: it
    # passes. Asking again within seconds would feed a rate limit, so the next try is the orchestrator's.
    return Unavailable(
        rule, received, "Try again later; if it lasts, look on finance.yahoo.com when the ticker was traded."
    )


def _history(ticker: str, start: dt.date | None, as_of: dt.date, timeout: float) -> pd.DataFrame:
    """Return one answer of Yahoo under our column names, indexed by tz-naive midnights, closed sessions only."""
    import yfinance as yf
    from yfinance.data import YfData

    yf.config.debug.hide_exceptions = False
    # yfinance remembers answers whatever they say: without this a retry is handed the same broken one.
    YfData.cache_get.cache_clear()
    handle = yf.Ticker(ticker, session=session(timeout))
    with warnings.catch_warnings():
        # yfinance calls pandas in ways that pandas 3 is about to end, and switches on the warnings about it.
        warnings.simplefilter("ignore", DeprecationWarning)
        raw = handle.history(
            start=start,
            end=as_of + dt.timedelta(days=1),  # exclusive
            # Only "max" goes together with `end` alone: without it yfinance asks for one month.
            period="max" if start is None else None,
            interval="1d",
            auto_adjust=False,
            actions=True,
            repair=False,
            keepna=True,  # a row of nulls is a finding for `validate`, not ours to hide
            timeout=timeout,
        )
    meta = handle.history_metadata
    if meta["symbol"] != handle.ticker:
        # Concurrent questions have been mixed up before (yfinance issue 2557).
        raise UnreadablePrices(
            _rule(ticker),
            f"the prices of {meta['symbol']!r}",
            "Correct the ticker; if it is right, fetch it again from one thread.",
        )
    closed: pd.DataFrame = raw[raw.index < _first_open(meta, dt.datetime.now(dt.UTC))]
    return closed.set_axis(pd.DatetimeIndex(closed.index.date)).rename(  # type: ignore[attr-defined]
        columns=lambda name: _NAMES.get(name, name.lower())
    )


def _first_open(meta: Mapping[str, Any], now: dt.datetime) -> pd.Timestamp:
    """Return the midnight at the exchange of the first session that is not known to have closed.

    Yahoo appends the running session as if it were a finished bar; the answer's own trading period tells them apart.
    """
    today = pd.Timestamp(now).tz_convert(meta["exchangeTimezoneName"]).normalize()
    period = (meta.get("currentTradingPeriod") or {}).get("regular")
    if period is None:
        return today
    described: pd.Timestamp = period["start"].normalize()
    return described if now < period["end"] else described + pd.DateOffset(days=1)
