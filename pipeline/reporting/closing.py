"""The end of a run: its failures, the places to read on, and one line of counts. results.json has the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import Damaged
from pipeline.reporting.results import Result, results_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.store.folder import Folder


class Counts(NamedTuple):
    """The tickers of a run."""

    tickers: int
    done: int
    failed: int
    promoted: int
    refused: int
    warnings: int  # of all tickers
    seconds: float  # of all steps of all tickers
    waiting: int = 0  # for the answer of a person

    @property
    def line(self) -> str:
        """Return the counts in one line."""
        seconds = f"{self.seconds:,.0f} s of work"
        decisions = f"{self.promoted} promoted, {self.refused} refused"
        waiting = f", {self.waiting} waiting" if self.waiting else ""
        return (
            f"{self.tickers} ticker(s): {self.done} done, {self.failed} failed{waiting}; {decisions}; "
            f"{self.warnings} warning(s); {seconds}."
        )


class Closing(NamedTuple):
    """The end of a run."""

    run: str  # its id
    counts: Counts
    failures: tuple[str, ...]  # one line for each failed ticker
    links: Mapping[str, str]  # places by their name: Report, MLflow, Airflow
    questions: tuple[str, ...] = ()  # one line for each ticker that waits

    @property
    def lines(self) -> Iterator[str]:
        """Yield the failures, the questions, the links, and the counts last."""
        yield from self.failures
        if self.failures:
            yield f"To repeat what failed: closecast retry {self.run}"
        yield from self.questions
        width = max((len(name) for name in self.links), default=0) + 1
        for name, place in self.links.items():
            yield f"{f'{name}:':<{width}} {place}"
        yield self.counts.line


def closing(run: str, rows: Sequence[Result], links: Mapping[str, str]) -> Closing:
    """Return the end of a run.

    Args:
        run: its id.
        rows: the results of its tickers.
        links: places by their name; empty ones are left out.
    """
    failed = [one for one in rows if one.reason]
    waiting = [one for one in rows if one.state == "waiting"]
    counts = Counts(
        tickers=len(rows),
        done=len(rows) - len(failed) - len(waiting),
        failed=len(failed),
        promoted=sum(one.decision == "promoted" for one in rows),
        refused=sum(one.decision == "refused" for one in rows),
        warnings=sum(len(one.warnings) for one in rows),
        seconds=round(sum(one.seconds for one in rows), 1),
        waiting=len(waiting),
    )
    failures = tuple(f"{one.ticker} failed in {one.step}. {one.reason}" for one in failed)
    questions = tuple(f"{one.ticker} waits for a decision. {one.waiting}" for one in waiting)
    return Closing(run, counts, failures, {name: place for name, place in links.items() if place}, questions)


def results_json(end: Closing, rows: Sequence[Result]) -> bytes:
    """Return the content of results.json."""
    content = {
        "run": end.run,
        "counts": end.counts._asdict(),
        "failures": list(end.failures),
        "links": dict(end.links),
        "tickers": [one._asdict() for one in rows],
    }
    return json.dumps(content, indent=1).encode()


def read_results(folder: Folder) -> list[Result]:
    """Return the rows of a run that has ended.

    Args:
        folder: of the run, with a results.json.

    Raises:
        Damaged: when results.json cannot be read.
        StoreError: when the store refuses.
    """
    data = folder.read("results.json")
    try:
        return results_of(data)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise Damaged(
            "The results of a run must be as they were written.",
            f"{folder.path('results.json')}: {type(error).__name__}: {str(error)[:200]}",
            "Bring the file back from a backup, or remove the folder of that run.",
        ) from error


def closing_of(data: bytes, run: str) -> Closing:
    """Return the end of a run from its results.json; that of an earlier version holds the tickers alone."""
    content = json.loads(data)
    links = content.get("links", {}) if isinstance(content, Mapping) else {}
    return closing(run, results_of(data), links)
