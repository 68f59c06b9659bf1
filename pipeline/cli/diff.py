"""`closecast diff` prints the differences between two runs, versions or snapshots."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.messages import errors_for_people

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.reporting.difference import Difference, Line, TickerDifference

_TROUBLE = 2  # as in diff(1): 1 means a difference
_UNFOLDED = 5  # of more tickers, each has one line
_WIDE = 40  # characters of a value that a terminal shows
_DETAILS = "references/"  # scores of the references that were not chosen, too


def diff(
    a: Annotated[str, typer.Argument(help="A run, a version (NFLX@3) or a snapshot (NFLX@2025-11-20).")],
    b: Annotated[str, typer.Argument(help="The other side.")],
    ticker: Annotated[str | None, typer.Option(help="Compare this ticker of two runs only.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--md", help="Print Markdown.")] = False,
) -> None:
    """Compare two runs, versions or snapshots: data, parameters, code, decision, metrics.

    The exit code is 0 if they are equal, 1 if they differ, 2 if they cannot be compared.
    """
    with errors_for_people():
        found = _difference(a, b, ticker, as_json=as_json, as_markdown=as_markdown)
        if as_json:
            typer.echo(json.dumps(_object(found), indent=1))
        elif as_markdown:
            typer.echo("\n".join(_markdown(found)))
        else:
            typer.echo("\n".join(_text(found, every=ticker is not None)))
        if found.lines:
            raise typer.Exit(1)


def _difference(a: str, b: str, ticker: str | None, *, as_json: bool, as_markdown: bool) -> Difference:
    """Return the differences.

    Raises:
        PipelineError: with exit code 2.
    """
    from pipeline.errors import PipelineError, UsageError
    from pipeline.plan import checked_tickers
    from pipeline.reporting.sides import compare, side
    from pipeline.settings import load_settings
    from pipeline.steps import FLOW

    if as_json and as_markdown:
        raise UsageError("The output is JSON or Markdown.", "--json and --md", "Leave one of them out.")
    store = load_settings().store_url
    only = checked_tickers((ticker,))[0] if ticker else ""
    try:
        return compare(side(store, a), side(store, b), store, [step.name for step in FLOW], only)
    except PipelineError as error:
        error.exit_code = _TROUBLE
        raise


def _verdict(found: Difference) -> str:
    hidden = f"{found.all_equal} equal value(s) hidden" if found.all_equal else "nothing else to compare"
    if not found.lines:
        return f"{found.a} and {found.b} are equal in all {found.all_equal} values."
    counts = ", ".join(f"{section} {count}" for section, count in found.counts.items())
    verdicts = [line.verdict for line in found.lines]
    scores = f"; {verdicts.count('better')} better, {verdicts.count('worse')} worse" if any(verdicts) else ""
    return f"{found.a} and {found.b} differ: {counts}{scores}; {hidden}."


def _text(found: Difference, *, every: bool) -> Iterator[str]:
    """Yield the verdict, the lines of the whole run, then those of each ticker; of many tickers a line each."""
    yield _verdict(found)
    if found.shared:
        yield ""
        yield from _lines(found.shared)
    if len(found.tickers) > _UNFOLDED and not every:
        yield ""
        for one in found.tickers:
            yield _summary(one)
        yield "More: --ticker, --json or --md."
        return
    for one in found.tickers:
        if one.lines:
            yield from ("", one.ticker)
            shown = [line for line in one.lines if not line.name.startswith(_DETAILS)]
            yield from _lines(shown)
            if len(shown) < len(one.lines):
                yield f"    {len(one.lines) - len(shown)} scores of single references differ too: --md or --json."
            if one.note:
                yield f"  {one.note}"


def _summary(one: TickerDifference) -> str:
    if not one.lines:
        return f"{one.ticker}: equal"
    sections = dict.fromkeys(line.section for line in one.lines)
    verdicts = [line.verdict for line in one.lines]
    words = [f"{section} {sum(line.section == section for line in one.lines)}" for section in sections]
    return f"{one.ticker}: {', '.join(words)}; {verdicts.count('better')} better, {verdicts.count('worse')} worse"


def _lines(lines: Sequence[Line]) -> Iterator[str]:
    """Yield the lines below their section, in columns."""
    for section in dict.fromkeys(line.section for line in lines):
        yield f"  {section}"
        mine = [line for line in lines if line.section == section]
        names = max(len(line.name) for line in mine)
        first = max(len(_cells(line)[0]) for line in mine)
        second = max(len(_cells(line)[1]) for line in mine)
        for line in mine:
            a, b = _cells(line)
            values = line.words or f"{a:<{first}}  {b:<{second}}  {line.verdict}"
            yield f"    {line.name:<{names}}  {values}".rstrip()
            for row in line.rows:
                yield f"    {'':<{names}}  {row}"


def _markdown(found: Difference) -> Iterator[str]:
    yield _verdict(found)
    blocks = [("Whole run", found.shared, ""), *((one.ticker, one.lines, one.note) for one in found.tickers)]
    for title, lines, note in blocks:
        if not lines:
            continue
        yield from ("", f"### {title}", "", f"| | | {_cell(found.a)} | {_cell(found.b)} | |", "|---|---|---|---|---|")
        for line in lines:
            a, b = (line.words, "") if line.words else _cells(line, width=0)
            rows = "".join(f"<br>{row}" for row in line.rows)
            yield f"| {line.section} | {_cell(line.name)} | {_cell(a)}{rows} | {_cell(b)} | {line.verdict} |"
        if note:
            yield from ("", note)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _cells(line: Line, width: int = _WIDE) -> tuple[str, str]:
    """Return both values as text, long enough to differ; a missing one is "-"."""
    if line.words:
        return "", ""
    if isinstance(line.a, float) and isinstance(line.b, float):
        short = f"{line.a:.6g}", f"{line.b:.6g}"
        return short if short[0] != short[1] else (repr(line.a), repr(line.b))
    return _shown(line.a, width), _shown(line.b, width)


def _shown(value: str | float | None, width: int) -> str:
    if value is None or value == "":
        return "-"
    text = f"{value:.6g}" if isinstance(value, float) else value
    return text if not width or len(text) <= width else f"{text[: width - 3]}..."


def _object(found: Difference) -> dict[str, object]:
    return {
        "a": found.a,
        "b": found.b,
        "differs": bool(found.lines),
        "equal": found.all_equal,
        "shared": [line._asdict() for line in found.shared],
        "tickers": {
            one.ticker: {"equal": one.equal, "note": one.note, "lines": [line._asdict() for line in one.lines]}
            for one in found.tickers
        },
    }
