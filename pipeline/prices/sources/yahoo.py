"""Prices from Yahoo Finance by yfinance, and its failures as errors of the pipeline."""

from __future__ import annotations

import datetime as dt
import json
import os
import warnings
from typing import TYPE_CHECKING, Any

import pandas as pd
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential, wait_random

from pipeline.errors import Unavailable, UnknownTicker, UnreadablePrices
from pipeline.prices.sources import Quoted, price_frame
from pipeline.prices.sources.yahoo_session import (
    DeniedError,
    NoSuchSymbol,
    ServerError,
    describe_failure,
    open_session,
    use_cache_folder,
)
from pipeline.settings.currency import code_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.plan import Plan
    from pipeline.settings import Settings

_NAMES = {"Adj Close": "adj_close", "Stock Splits": "splits"}
_TRIES = 4
_LONGEST_WAIT = 8  # in units of `wait_seconds`


def fetch_planned(ticker: str, plan: Plan, settings: Settings) -> Quoted:
    """Return the prices of a run from Yahoo; see `fetch`."""
    cache = settings.var_dir / "cache" / "yfinance"
    return fetch(ticker, plan.start, plan.as_of, cache_dir=cache, timeout=settings.yahoo_timeout)


def fetch(
    ticker: str,
    start: dt.date | None,
    as_of: dt.date,
    *,
    cache_dir: Path,
    timeout: float = 30.0,
    wait_seconds: float = 1.0,
) -> Quoted:
    """Return the daily prices of `ticker` as Yahoo delivers them now.

    Prices are in the currency of the listing and split-adjusted (by every split known today, not only those up to
    `as_of`); `adj_close` is dividend-adjusted too. Rate limits, time-outs, lost connections, HTTP 5xx and answers that
    are not JSON are tried up to 4 times with growing, jittered waits; no other failure is retried. Call this function
    from one thread at a time: yfinance keeps one session per process.

    Args:
        ticker: Yahoo's symbol, such as "NFLX", "BRK-B" or "^GSPC".
        start: first session; None asks for the whole history.
        as_of: last session. A session that is still open at the exchange is left out even when it is `as_of`.
        cache_dir: folder beneath which yfinance keeps its time zones and cookies, in a folder per process.
        timeout: seconds to wait for one answer; a try may ask more than once.
        wait_seconds: base of the waits between tries: about 1, 2 and 4 times this, plus up to 1 time at random.

    Returns:
        The currency as Yahoo names it, such as USD, JPY or GBp (pence), "" if it names none. And at least one row, a
        frame as `pipeline.prices.sources` describes it, with the float columns open, high, low,
        close, adj_close, volume (shares), dividends (per share) and splits (new shares per old one; 0 without a split).

    Raises:
        UnknownTicker: Yahoo does not know the symbol.
        UnreadablePrices: Yahoo reports no prices for these dates, or answers with something else.
        Unavailable: no try got an answer, access was denied, or the answer held no row; retry later.
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
    use_cache_folder(cache_dir.resolve(), os.getpid())
    try:
        raw = tries(_history, ticker, start, as_of, timeout)
    except passing as error:
        raise Unavailable(
            rule,
            f"{describe_failure(error, timeout)}, {_TRIES} times",
            "Try again later; if it fails again, check whether this machine reaches finance.yahoo.com.",
        ) from error
    except DeniedError as error:
        raise Unavailable(
            rule, str(error), "Try again later; if it fails again, Yahoo or a proxy blocks this machine."
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
        # yfinance reads the answer field by field without a check: JSON of another shape can fail anywhere in it.
        raise UnreadablePrices(
            rule,
            f"an answer that yfinance cannot read ({type(error).__name__}: {str(error)[:200]})",
            "Try a newer yfinance: Yahoo may have changed its format.",
        ) from error
    frame = price_frame(raw.prices, start, as_of)
    if frame.empty:
        raise _no_rows(rule, f"no bar of a closed session from {start or 'the beginning'} to {as_of}")
    return Quoted(frame, raw.currency)


def _rule(ticker: str) -> str:
    return f"Yahoo must answer with the prices of {ticker}."


def _missing(rule: str, error: Exception) -> UnreadablePrices | Unavailable:
    """Return the error for yfinance's "no prices": final if Yahoo gives a reason, else worth another try."""
    reason = getattr(error, "yahoo_reason", None)
    if reason is None:
        return _no_rows(rule, "an answer without a single bar")
    return UnreadablePrices(
        rule,
        f"Yahoo's refusal: {str(reason)[:200]}",
        "Follow the reason; mostly the ticker was not traded on the requested dates.",
    )


def _no_rows(rule: str, received: str) -> Unavailable:
    """Return the error for an answer without rows.

    yfinance calls it "possibly delisted", but Yahoo answers 404 for a delisted symbol and gives a reason for dates
    without trading. An empty answer for a known symbol is a rate limit or a late bar, and passes. A retry within
    seconds would prolong a rate limit, so the orchestrator retries.
    """
    return Unavailable(
        rule, received, "Try again later; if it fails again, look on finance.yahoo.com when the ticker was traded."
    )


def _history(ticker: str, start: dt.date | None, as_of: dt.date, timeout: float) -> Quoted:
    """Return one answer of Yahoo under our column names, indexed by tz-naive midnights, closed sessions only."""
    import yfinance as yf
    from yfinance.data import YfData

    yf.config.debug.hide_exceptions = False
    # yfinance caches broken answers too: without this a retry gets the same one.
    YfData.cache_get.cache_clear()
    handle = yf.Ticker(ticker, session=open_session(timeout))
    with warnings.catch_warnings():
        # yfinance uses deprecated pandas calls and switches their warnings on.
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
            keepna=True,  # a row of nulls is a finding of `validate`
            timeout=timeout,
        )
    meta = handle.history_metadata
    if meta["symbol"] != handle.ticker:
        # yfinance has mixed up concurrent requests (issue 2557).
        raise UnreadablePrices(
            _rule(ticker),
            f"the prices of {meta['symbol']!r}",
            "Correct the ticker; if it is right, fetch it again from one thread.",
        )
    closed: pd.DataFrame = raw[raw.index < _first_open(meta, dt.datetime.now(dt.UTC))]
    prices = closed.set_axis(pd.DatetimeIndex(closed.index.date)).rename(  # type: ignore[attr-defined]
        columns=lambda name: _NAMES.get(name, name.lower())
    )
    return Quoted(prices, code_of(str(meta.get("currency") or "")))


def _first_open(meta: Mapping[str, Any], now: dt.datetime) -> pd.Timestamp:
    """Return the midnight at the exchange of the first session that may still be open.

    Yahoo appends the running session like a finished bar; the answer's own trading period separates them.
    """
    today = pd.Timestamp(now).tz_convert(meta["exchangeTimezoneName"]).normalize()
    period = (meta.get("currentTradingPeriod") or {}).get("regular")
    if period is None:
        return today
    session: pd.Timestamp = period["start"].normalize()
    return session if now < period["end"] else session + pd.DateOffset(days=1)
