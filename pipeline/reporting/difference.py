"""The differences between two runs, versions or snapshots, line by line; equal lines are counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from pipeline.evaluation import direction
from pipeline.prices.changes import changes

if TYPE_CHECKING:
    from pipeline.reporting.recorded import Recorded
    from pipeline.store.history import PastRun

Section = Literal["data", "parameters", "code", "decision", "metrics"]
SECTIONS: tuple[Section, ...] = ("data", "parameters", "code", "decision", "metrics")
_HASH = 12  # characters of a hash that a reader sees


class Line(NamedTuple):
    """One difference. A side that lacks the value is None."""

    section: Section
    name: str
    a: str | float | None
    b: str | float | None
    verdict: direction.Verdict = ""  # of `b` beside `a`
    words: str = ""  # in place of two values
    rows: tuple[str, ...] = ()  # up to 10 changed sessions


class TickerDifference(NamedTuple):
    """The differences of one ticker."""

    ticker: str
    lines: tuple[Line, ...]
    equal: int  # values that are equal
    note: str = ""  # on how to read the metrics


class Difference(NamedTuple):
    """The differences between two sides."""

    a: str
    b: str
    shared: tuple[Line, ...]  # of the whole run: its parameters, and the code where all tickers have the same lines
    equal: int  # values of the whole run that are equal
    tickers: tuple[TickerDifference, ...]

    @property
    def lines(self) -> list[Line]:
        """Return all lines."""
        return [*self.shared, *(line for one in self.tickers for line in one.lines)]

    @property
    def all_equal(self) -> int:
        """Return how many values are equal."""
        return self.equal + sum(one.equal for one in self.tickers)

    @property
    def counts(self) -> dict[Section, int]:
        """Return the number of differing lines of each section that has some."""
        found = [line.section for line in self.lines]
        return {section: found.count(section) for section in SECTIONS if section in found}


def difference(
    a: str, b: str, run_a: PastRun, run_b: PastRun, pairs: Sequence[tuple[Recorded, Recorded]], *, whole_runs: bool
) -> Difference:
    """Return the differences between two sides.

    Args:
        a: name of the one side, as the reader wrote it.
        b: name of the other one.
        run_a: the run behind `a`.
        run_b: the run behind `b`.
        pairs: the tickers of both sides.
        whole_runs: whether the sides are runs, so that a ticker of one of them alone is a difference.
    """
    shared, equal = _compared("parameters", run_a.parameters, run_b.parameters)
    if whole_runs:
        shared = [*_tickers(run_a, run_b), *shared]
    tickers = [_ticker(*pair) for pair in pairs]
    common = _lines_of_all(tickers) if len(tickers) > 1 else []
    shared += common
    return Difference(
        a=a,
        b=b,
        shared=tuple(shared),
        equal=equal,
        tickers=tuple(one._replace(lines=tuple(line for line in one.lines if line not in common)) for one in tickers),
    )


def data_difference(a: str, b: str, pair: tuple[Recorded, Recorded]) -> Difference:
    """Return the differences between two snapshots."""
    one, other = pair
    lines, equal = _data(one, other)
    return Difference(a, b, (), 0, (TickerDifference(one.ticker, tuple(lines), equal),))


def _tickers(run_a: PastRun, run_b: PastRun) -> list[Line]:
    """Return the tickers that only one of the runs has."""
    only_a = [ticker for ticker in run_a.tickers if ticker not in run_b.tickers]
    only_b = [ticker for ticker in run_b.tickers if ticker not in run_a.tickers]
    if not only_a and not only_b:
        return []
    return [Line("parameters", "tickers of one side", ", ".join(only_a) or None, ", ".join(only_b) or None)]


def _lines_of_all(tickers: Sequence[TickerDifference]) -> list[Line]:
    """Return the lines about data and code that every ticker has: they are shown once."""
    first, *others = tickers
    return [
        line
        for line in first.lines
        if line.section in {"data", "code"} and not line.words and all(line in one.lines for one in others)
    ]


def _ticker(one: Recorded, other: Recorded) -> TickerDifference:
    data, equal_data = _data(one, other)
    code, equal_code = _compared("code", one.code, other.code)
    decision, equal_decision = _compared("decision", one.decision, other.decision)
    metrics, equal_metrics = _metrics(one, other)
    return TickerDifference(
        ticker=one.ticker,
        lines=(*data, *code, *decision, *metrics),
        equal=equal_data + equal_code + equal_decision + equal_metrics,
        note=_note(one, other) if metrics else "",
    )


def _data(one: Recorded, other: Recorded) -> tuple[list[Line], int]:
    """Return the lines about the prices, and the number of equal values."""
    lines, equal = _compared("data", one.data, other.data)
    if one.snapshot == other.snapshot:
        return lines, equal + bool(one.snapshot)
    lines.append(Line("data", "snapshot", one.snapshot[:_HASH] or None, other.snapshot[:_HASH] or None))
    if one.snapshot and other.snapshot:
        for change in changes(one.prices(), other.prices()):
            lines.append(Line("data", change.about, None, None, words=change.words, rows=change.rows))
    return lines, equal


def _metrics(one: Recorded, other: Recorded) -> tuple[list[Line], int]:
    lines = []
    same_amounts = one.snapshot == other.snapshot
    for name in dict.fromkeys([*one.scores, *other.scores]):
        before = one.scores.get(name)
        after = other.scores.get(name)
        if before == after:
            continue
        verdict: direction.Verdict = ""
        if before is not None and after is not None and (same_amounts or not direction.is_amount(name)):
            verdict = direction.verdict(name, before, after)
        lines.append(Line("metrics", name, before, after, verdict))
    return lines, len({*one.scores, *other.scores}) - len(lines)


def _note(one: Recorded, other: Recorded) -> str:
    """Return a warning about errors of different rows; "" where they can be compared."""
    if one.snapshot == other.snapshot:
        return ""
    return "The prices differ, so errors in the currency carry no verdict: skill compares them with naive."


def _compared(section: Section, a: Mapping[str, str], b: Mapping[str, str]) -> tuple[list[Line], int]:
    """Return the lines of the values that differ, and the number of equal values."""
    names = dict.fromkeys([*a, *b])
    lines = [Line(section, name, a.get(name), b.get(name)) for name in names if a.get(name) != b.get(name)]
    return lines, len(names) - len(lines)
