"""Output for a terminal: the table of results, the ladder, the table of versions, live progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from pipeline.evaluation.amounts import amount_text
from pipeline.reporting.progress import LogProgress
from pipeline.reporting.results import LEVEL, SIGNIFICANT, aggregate
from pipeline.reporting.verdict import interval_verdict, verdict

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from pipeline.ladder import Rung
    from pipeline.outcome import Manifest
    from pipeline.plan import Plan
    from pipeline.reporting.closing import Closing
    from pipeline.reporting.results import Result
    from pipeline.tracking.versions import Version

_ENDLESS = 1000  # columns, more than any table has
_WIDE = 145  # columns of a terminal that has room for every column of the table
_ONLY_WHEN_WIDE = {"rows", "/ EWMA", "/ ref", "weight", "seconds", "MLflow run"}
_LADDER_WHEN_WIDE = {"score 95", "pinball", "weight", "seconds", "device"}
_LEGEND = {  # by column
    "naive": "RMSE of a forecast that repeats the last close",
    "p worse": "Diebold-Mariano against naive; below {significant} significantly worse, refused below {gate}",
    "in 95%": "test rows inside the interval",
    "/ EWMA": "95 % interval score over that of the EWMA of closes, calibrated once; below 1 is better",
    "/ ref": "the same over the best simple reference, chosen before the test rows",
    "weight": "of the network against naive, chosen on validation; 0 gives naive itself",
}


def show_results(console: Console, plan: Plan, results: Sequence[Result]) -> None:
    """Print the verdict, one row per ticker and the aggregate, then each warning. `show_closing` has the failures."""
    synthetic = " - SYNTHETIC prices, no evidence about any market" if plan.synthetic else ""
    fault = f", with the fault {plan.fault}" if plan.fault else ""
    title = f"Closecast, as of {plan.as_of}, preset {plan.preset_name}, source {plan.source}{fault}{synthetic}"
    console.print(Text(title, style="bold"))
    console.print(Text(verdict(results)))
    if intervals := interval_verdict(results):
        console.print(Text(intervals))
    shown = list(_cells(results[0]))
    table = _results_table(results, shown)
    needed = table.__rich_measure__(console, console.options.update(width=_ENDLESS)).maximum
    if console.width < max(_WIDE, needed):  # prices below a cent have many digits
        shown = [name for name in shown if name not in _ONLY_WHEN_WIDE]
        table = _results_table(results, shown)
    console.print(table)
    for one in results:
        for warning in one.warnings:
            console.print(Text(f"{one.ticker}: {warning}", style="yellow"))
        if one.refused_by:
            console.print(Text(f"{one.ticker} {one.decision_reason}", style="yellow"))
        if one.no_forecast:
            console.print(Text(f"{one.ticker} has no forecast: {one.no_forecast}", style="yellow"))
    if all(one.state in {"failed", "waiting"} for one in results):
        return
    limits = {"significant": f"{SIGNIFICANT} ({LEVEL})", "gate": plan.gate.significance}
    for name in shown:
        if name in _LEGEND:
            console.print(Text(f"{name}: {_LEGEND[name].format(**limits)}."))


def _results_table(results: Sequence[Result], shown: Sequence[str]) -> Table:
    figures = aggregate(results)
    median = {
        "ticker": "median",
        "/ naive": _formatted(figures.median_rmse_over_naive, ".4f"),
        "/ EWMA": _ratio(figures.median_interval_skill_95),
        "/ ref": _ratio(figures.median_reference_skill_95),
        "in 95%": _formatted(figures.median_coverage_95, ".1%"),
    }
    worst = {
        "ticker": "worst",
        "/ naive": _formatted(figures.worst_rmse_over_naive, ".4f"),
        "/ EWMA": _ratio(figures.worst_interval_skill_95),
    }
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=0)
    for name in shown:
        words = name in {"ticker", "decision", "MLflow run"}
        table.add_column(name, justify="left" if words else "right", no_wrap=True)
    for one in results:
        cells = _cells(one)
        table.add_row(*(cells[name] for name in shown), style=_row_style(one))
    if len(results) > 1:
        table.add_section()
        for row in (median, worst):
            table.add_row(*(row.get(name, "") for name in shown))
    return table


def _row_style(one: Result) -> str | None:
    if one.reason:
        return "red"
    return "yellow" if one.state in {"refused", "waiting"} else None


def _cells(one: Result) -> dict[str, str]:
    """Return the cells of a row, by column."""
    return {
        "ticker": one.ticker,
        "rows": _formatted(one.rows, ","),
        "RMSE": _amount(one.rmse, 4, currency=one.currency),
        "naive": _amount(one.naive_rmse, 4, currency=one.currency),
        "/ naive": _formatted(one.rmse_over_naive, ".4f"),
        "p worse": _formatted(one.dm_p_value, ".3f"),
        "in 95%": _formatted(one.coverage_95, ".1%"),
        "/ EWMA": _ratio(one.interval_skill_95),
        "/ ref": _ratio(one.reference_skill_95),
        "weight": _formatted(one.weight, ".2f"),
        "decision": one.state or "-",
        "next close": _amount(one.forecast, currency=one.currency),
        "seconds": _formatted(one.seconds, ".1f"),
        "MLflow run": one.mlflow_run,
    }


def _formatted(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"


def _ratio(skill: float | None) -> str:
    """Return 1 - skill: a score over that of its rival."""
    return "-" if skill is None else f"{1 - skill:.3f}"


def _amount(amount: float | None, decimals: int = 2, *, currency: str) -> str:
    return "-" if amount is None else amount_text(amount, decimals, currency=currency)


def table_of_versions(versions: Sequence[Version], champion: int | None) -> Table:
    """Return one row per registered version, the newest first."""
    table = Table()
    for name in ("version", "as of", "cutoff", "preset", "source", "currency"):
        table.add_column(name, no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for one in reversed(versions):
        star = " *" if one.number == champion else ""
        named = [one.tags.get(name, "-") for name in ("as_of", "cutoff", "preset", "source", "currency", "decision")]
        table.add_row(f"v{one.number}{star}", *(Text(cell) for cell in named), style="bold" if star else None)
    return table


def show_ladder(
    console: Console, rungs: Sequence[Rung], medians: Mapping[str, float], interval_medians: Mapping[str, float]
) -> None:
    """Print one row per forecaster of each ticker, then the medians."""
    shown = [name for name in _ladder_cells(rungs[0]) if console.width >= _WIDE or name not in _LADDER_WHEN_WIDE]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=0)
    for name in shown:
        table.add_column(name, justify="left" if name in {"ticker", "forecaster"} else "right", no_wrap=True)
    for one in rungs:
        cells = _ladder_cells(one)
        table.add_row(*(cells[name] for name in shown), style="red" if one.reason else None)
    if len({one.ticker for one in rungs}) > 1:
        table.add_section()
        for name, skill in medians.items():
            cells = {"ticker": "median", "forecaster": name, "skill": f"{skill:+.4f}"}
            cells["/ EWMA"] = _ratio(interval_medians.get(name))
            table.add_row(*(cells.get(one, "") for one in shown))
    console.print(table)
    for one in rungs:
        if one.reason:
            console.print(Text(f"{one.ticker} {one.name}: {one.reason}", style="red"))
    console.print(
        Text(
            "constant, EWMA of closes, EWMA of the range, GJR-GARCH: naive with that scale of the next return.\n"
            "RMSE: of the networks alone, not mixed with naive. weight: chosen on validation, as the preset would mix "
            "them.\n"
            "p worse: Diebold-Mariano against naive, small is worse. skill = 1 - RMSE / naive RMSE on the same rows.\n"
            "score 95: 95 % interval score as served, in per cent of the close; / EWMA: over that of the EWMA of "
            "closes, calibrated once. pinball: the mean loss of 19 quantiles, in per cent."
        )
    )


def _ladder_cells(one: Rung) -> dict[str, str]:
    """Return the cells of a rung, by column."""
    return {
        "ticker": one.ticker,
        "forecaster": one.name,
        "RMSE": _amount(one.rmse, 4, currency=one.currency),
        "skill": _formatted(one.skill, "+.4f"),
        "p worse": _formatted(one.dm_p_value, ".3f"),
        "score 95": _formatted(one.interval_score_95_pct, ".3f"),
        "/ EWMA": _ratio(one.interval_skill_95),
        "pinball": _formatted(one.pinball_pct, ".4f"),
        "in 95%": _formatted(one.coverage_95, ".1%"),
        "weight": _formatted(one.weight, ".2f"),
        "seconds": _formatted(one.seconds, ".1f"),
        "device": one.device or "-",
    }


def show_closing(console: Console, end: Closing, log: Path) -> None:
    """Print the failures again, the places to read on, and the counts last."""
    *before, counts = end._replace(links={**end.links, "Log": str(log)}).lines
    for at, line in enumerate(before):
        is_failure = at < len(end.failures)
        # A link that Rich breaks into lines cannot be opened by a click.
        console.print(Text(line, style="red" if is_failure else ""), soft_wrap=not is_failure)
    console.print(Text("The pages open while `make up` runs."))
    console.print(Text(counts, style="bold"))


def terminal(file: object = None) -> Console:
    """Return a console. For a file or a pipe it is 150 columns wide, so that no line of the table breaks."""
    console = Console(file=file, highlight=False)  # type: ignore[arg-type]
    if not console.is_terminal:
        console.width = 150
    return console


class LiveProgress:
    """A bar for the run, and one for the current training: step, epoch, loss, time left."""

    def __init__(self, console: Console, tickers: int, steps: int) -> None:
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._all = self._bars.add_task("run", total=tickers * steps, note="")
        self._training: TaskID | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def started(self, ticker: str, step: str) -> None:
        """Show the name of the step."""
        self._bars.update(self._all, description=f"{ticker} {step}")

    def epoch(self, ticker: str, epoch: int, epochs: int, loss: float) -> None:
        """Move the bar of the training; early stopping may end it before it is full."""
        if self._training is None:
            self._training = self._bars.add_task(f"{ticker} train", total=epochs, note="")
        self._bars.update(self._training, completed=epoch, note=f"epoch {epoch}/{epochs} loss {loss:.6f}")

    def ended(self, ticker: str, manifest: Manifest, *, reused: bool) -> None:
        """Move the bar of the run, and print the findings above it."""
        if self._training is not None:
            self._bars.remove_task(self._training)
            self._training = None
        self._bars.advance(self._all)
        if manifest.outcome.findings or reused:
            LogProgress().ended(ticker, manifest, reused=reused)
