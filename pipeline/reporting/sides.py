"""The two sides of a comparison, by name: a run, a version (`NFLX@3`), or a snapshot (`NFLX@2025-11-20`)."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from pipeline.errors import UsageError
from pipeline.plan import checked_tickers
from pipeline.reporting.difference import Difference, data_difference, difference
from pipeline.reporting.recorded import recorded
from pipeline.store.deleted import require_kept
from pipeline.store.history import PastRun, past_run, run_of_snapshot, run_of_version

_REGISTERED = "closecast-"  # prefix of a registered model in MLflow
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"v?(\d{1,9})")


class Side(NamedTuple):
    """One side of a comparison."""

    name: str  # as the reader wrote it
    kind: Literal["run", "version", "snapshot"]
    run: PastRun
    ticker: str  # "" for a run: all of its tickers

    @property
    def tickers(self) -> tuple[str, ...]:
        """Return the tickers that the side has."""
        return (self.ticker,) if self.ticker else self.run.tickers


def side(store_url: str, name: str) -> Side:
    """Return the run, version or snapshot that a name means.

    Args:
        store_url: the store.
        name: `NFLX@3` or `closecast-NFLX/3` for a version, `NFLX@2025-11-20` for a snapshot, else the name of a run.

    Raises:
        UsageError: when the name is of no known form, or the store has no such side.
    """
    ticker, separator, which = name.removeprefix("models:/").partition("/" if "@" not in name else "@")
    if not separator:
        return Side(name, "run", past_run(store_url, name), "")
    ticker = checked_tickers((ticker.removeprefix(_REGISTERED),))[0]
    if number := _NUMBER.fullmatch(which):
        return Side(name, "version", run_of_version(store_url, ticker, int(number[1])), ticker)
    if separator == "@" and _DAY.fullmatch(which):
        return Side(name, "snapshot", run_of_snapshot(store_url, ticker, _date(name, which)), ticker)
    raise _unknown(name)


def compare(a: Side, b: Side, store_url: str, flow: Sequence[str], only: str = "") -> Difference:
    """Return the differences between two sides. If one of them is a snapshot, only the prices are compared.

    Args:
        a: the one side.
        b: the other one.
        store_url: the store.
        flow: the names of the steps, in order.
        only: the ticker to compare; "" means all that both sides have.

    Raises:
        UsageError: when the sides have no ticker in common.
    """
    tickers = [ticker for ticker in a.tickers if ticker in b.tickers and only in {"", ticker}]
    if not tickers:
        raise UsageError(
            "The two sides of a comparison must have a ticker in common.",
            f"{a.name}: {_listed(a)}; {b.name}: {_listed(b)}" + (f"; --ticker {only}" if only else ""),
            "Name two sides of one ticker, or two runs.",
        )
    for one in (a, b):
        require_kept(store_url, one.run.run, tickers)
    pairs = [(recorded(store_url, one, a.run, flow), recorded(store_url, one, b.run, flow)) for one in tickers]
    if "snapshot" in {a.kind, b.kind}:
        return data_difference(a.name, b.name, pairs[0])
    whole = a.kind == b.kind == "run" and not only
    return difference(a.name, b.name, a.run, b.run, pairs, whole_runs=whole)


def _date(name: str, text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise _unknown(name) from None


def _unknown(name: str) -> UsageError:
    return UsageError(
        "A side is a run, a version such as NFLX@3 or closecast-NFLX/3, or a snapshot such as NFLX@2025-11-20.",
        repr(name)[:80],
        "`closecast runs` lists runs, `closecast champion show NFLX` lists versions.",
    )


def _listed(one: Side) -> str:
    names = ", ".join(one.tickers[:3])
    return names if len(one.tickers) <= 3 else f"{names} and {len(one.tickers) - 3} more"  # noqa: PLR2004
