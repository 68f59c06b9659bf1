"""The ledger against itself and against its copies outside: results.json of every run, and MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import Damaged, PipelineError
from pipeline.outcome import LedgerHead
from pipeline.reporting.closing import read_results
from pipeline.serving import chain, ledger
from pipeline.serving.chain import Break, Copy
from pipeline.store.folder import Folder
from pipeline.store.runs import run_folder
from pipeline.tracking.runs import Runs

if TYPE_CHECKING:
    from pipeline.settings import Settings


class Verified(NamedTuple):
    """The ledger's rows of one ticker."""

    ticker: str
    rows: int
    hashed_later: int  # rows of an earlier version, which got their hashes after they were written
    unhashed: int  # rows of an earlier version that have no hash yet
    copies: int  # newest hashes that runs recorded outside the ledger
    head: LedgerHead | None
    broken: Break | None


class Verification(NamedTuple):
    """The ledger's rows of several tickers."""

    tickers: tuple[Verified, ...]
    without_mlflow: str  # why MLflow's tags were not compared; "" when they were

    @property
    def broken(self) -> tuple[Verified, ...]:
        """Return the tickers with a row that is not as it was written."""
        return tuple(one for one in self.tickers if one.broken)


def verify(settings: Settings, tickers: Sequence[str] = ()) -> Verification:
    """Compare the ledger's rows with their hashes and with the copies outside.

    Args:
        settings: with the ledger, the store and MLflow.
        tickers: default: each ticker of the ledger, and each that a run recorded.

    Raises:
        UsageError: the ledger's URL is wrong.
        StoreError: the store refuses.
        Unavailable: the ledger's database or the object store does not answer.
    """
    place = settings.ledger_place
    recorded = _recorded(settings.store_url)
    wanted = tickers or sorted({*ledger.tickers(place), *recorded})
    without_mlflow = ""
    runs = None
    try:
        runs = Runs(settings)
    except PipelineError as error:
        without_mlflow = error.received
    found = []
    for ticker in wanted:
        copies = recorded.get(ticker, [])
        if runs:
            copies = copies + [Copy(run, "MLflow", head) for run, head in runs.ledger_heads(ticker).items()]
        found.append(_verified(place, ticker, copies))
    return Verification(tuple(found), without_mlflow)


def _recorded(store_url: str) -> dict[str, list[Copy]]:
    """Return the newest hashes of each ticker in results.json of every run."""
    found: dict[str, list[Copy]] = {}
    for run in Folder(f"{store_url}/_runs").names():
        folder = run_folder(store_url, run)
        if not folder.exists("results.json"):
            continue
        for one in read_results(folder):
            if one.ledger_position:
                head = LedgerHead(position=one.ledger_position, hash=one.ledger_hash, row=one.ledger_row)
                found.setdefault(one.ticker, []).append(Copy(run, "results.json", head))
    return found


def _verified(place: str, ticker: str, copies: Sequence[Copy]) -> Verified:
    try:
        contents = ledger.contents(place, ticker)
    except Damaged as error:
        damaged = Break("changed", None, "", f"it cannot be read: {error.received}")
        return Verified(ticker, 0, 0, 0, len(copies), None, damaged)
    reported = [copy.run for copy in copies]
    broken = chain.first_break(contents) or chain.first_difference(contents.links, copies, reported)
    linked = {link.key for link in contents.links}
    return Verified(
        ticker=ticker,
        rows=len(contents.rows),
        hashed_later=sum(link.hashed_later for link in contents.links),
        unhashed=len(contents.rows.keys() - linked),
        copies=len(copies),
        head=contents.links[-1].head if contents.links else None,
        broken=broken,
    )
