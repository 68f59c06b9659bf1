"""`closecast prune` lists the old nights that no rule keeps; with --yes it deletes them from store and MLflow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.messages import end_like_ctrl_c, errors_for_people

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.operations.pruning import Result
    from pipeline.settings import Settings

_MOST_LINES = 10  # of nights; --json has all


def prune(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Delete. Without it the command only looks.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with each night and the reasons.")] = False,
) -> None:
    """Delete old nights from store and MLflow, and keep what champions and the ledger need."""
    end_like_ctrl_c()
    with errors_for_people():
        from pipeline.operations import pruning
        from pipeline.settings import load_settings

        settings = load_settings()
        result = pruning.prune(settings) if yes else pruning.look(settings)
        if as_json:
            typer.echo(json.dumps(_object(result, deleted=yes), indent=1))
        else:
            typer.echo("\n".join(_lines(result, settings, deleted=yes)))


def _lines(result: Result, settings: Settings, *, deleted: bool) -> Iterator[str]:
    pruned = result.pruned
    kept = result.facts.choice.kept
    if not pruned.units and not pruned.snapshots.files:
        yield f"Nothing to delete: {len(kept):,} nights of tickers are kept."
    else:
        files = pruned.nights.plus(pruned.snapshots)
        yield (
            f"{'Deleted' if deleted else 'Would delete'} {pruned.units:,} nights of tickers: {files.files:,} files, "
            f"{files.size / 1e6:,.1f} MB in the store, {pruned.mlflow.versions:,} versions and the runs in MLflow. "
            f"{len(kept):,} are kept."
        )
    if unfinished := len(result.facts.unfinished):
        yield f"{unfinished:,} of them belong to an earlier start that did not end."
    yield from _cut([f"  delete {line}" for line in _nights(result)])
    usual = f"one of the last {settings.keep_nights} nights"
    older = [f"  keep   {ticker} {run}: {'; '.join(why)}" for (ticker, run), why in kept.items() if usual not in why]
    yield from _cut(older)
    for one in pruned.unread:
        yield f"No snapshot deleted of {one}"
    if not result.collects_garbage:
        yield "MLflow's server is not one of this checkout: free its files there with `mlflow gc`."
    if pruned.units and not deleted:
        yield "To delete: closecast prune --yes"


def _nights(result: Result) -> Iterator[str]:
    """Yield a line for each run that loses tickers, oldest first."""
    by_run: dict[str, list[str]] = {}
    for unit in result.facts.choice.deleted:
        by_run.setdefault(unit.run, []).append(unit.ticker)
    for run in sorted(by_run, key=lambda name: result.facts.runs[name].created):
        tickers = by_run[run]
        whole = len(tickers) == len(result.facts.runs[run].tickers)
        names = "all tickers" if whole else ", ".join(sorted(tickers)[:5])
        yield f"{result.facts.runs[run].as_of} {run}: {names}"


def _cut(lines: list[str]) -> list[str]:
    if len(lines) <= _MOST_LINES:
        return lines
    return [*lines[:_MOST_LINES], f"  ... and {len(lines) - _MOST_LINES:,} more: --json"]


def _object(result: Result, *, deleted: bool) -> dict[str, Any]:
    pruned = result.pruned
    return {
        "deleted": deleted,
        "units": pruned.units,
        "nights": pruned.nights._asdict(),
        "snapshots": pruned.snapshots._asdict(),
        "mlflow": pruned.mlflow._asdict() | {"collected": pruned.collected},
        "unread": list(pruned.unread),
        "unfinished_before": [key._asdict() for key in result.facts.unfinished],
        "delete": [unit.key._asdict() | {"as_of": str(unit.as_of)} for unit in result.facts.choice.deleted],
        "keep": [key._asdict() | {"reasons": list(why)} for key, why in result.facts.choice.kept.items()],
    }
