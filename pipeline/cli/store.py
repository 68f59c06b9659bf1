"""`closecast store ...` works on the store as a whole."""

from __future__ import annotations

import typer

from pipeline.cli.messages import errors_for_people

store = typer.Typer(name="store", help="Work on the store as a whole.", no_args_is_help=True, rich_markup_mode=None)


@store.callback()
def _commands() -> None:
    """Work on the store as a whole."""  # a callback makes Typer ask for the name of the command


@store.command()
def convert() -> None:
    """Convert the snapshots that earlier versions wrote as raw.parquet. Repeat it after an interruption."""
    with errors_for_people():
        from pipeline.errors import DataError
        from pipeline.prices.conversion import convert as converted
        from pipeline.settings import load_settings

        settings = load_settings()
        require_no_run(settings.store_url)
        done = converted(settings.store_url, lambda ticker: typer.echo(f"{ticker} ...", err=True))
        typer.echo(
            f"{done.snapshots:,} snapshot(s) converted: "
            f"{done.bytes_before:,} bytes of raw.parquet became {done.bytes_after:,}."
        )
        if done.damaged:
            raise DataError(
                "A snapshot must be as it was written before it can be converted.",
                f"{len(done.damaged)} damaged: {'; '.join(done.damaged[:10])}",
                "Restore these files from a copy and repeat the command, or leave them: nothing reads them.",
            )


def require_no_run(store_url: str) -> None:
    """Check that no run uses the store.

    Raises:
        UsageError: names the runs that have no results yet.
    """
    import datetime as dt

    from pipeline.errors import UsageError
    from pipeline.store.runs import runs_in_progress
    from pipeline.store.upkeep import RUN_HOURS

    running = runs_in_progress(store_url, dt.datetime.now(dt.UTC) - dt.timedelta(hours=RUN_HOURS))
    if running:
        raise UsageError(
            "The store may change only while no run uses it.",
            f"no results yet of {', '.join(running)}",
            f"Wait until they have ended. A run that was killed counts for {RUN_HOURS} hours.",
        )
