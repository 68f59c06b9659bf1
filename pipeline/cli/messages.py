"""The messages of every command: the pipeline's log lines during the work, three lines for an error."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console


@contextlib.contextmanager
def lines_to(screen: Console) -> Iterator[None]:
    """Print each log line of the pipeline, with its time."""
    from rich.text import Text

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            screen.print(Text(f"{dt.datetime.now().astimezone():%H:%M:%S} {record.getMessage()}"))

    logger = logging.getLogger("closecast")
    handler = Lines()
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def announce_wait(text: str) -> None:
    """Print what a person at a terminal waits for; a script, which reads errors on stderr, gets no line."""
    if sys.stderr.isatty():
        typer.echo(f"{text} ...", err=True)


@contextlib.contextmanager
def errors_for_people() -> Iterator[Path]:
    """Yield the path of the command's log file. Print an error as three lines, then exit with its code."""
    from pipeline.errors import PipelineError

    log: Path | None = None  # there is none before the settings are known: the current folder is not ours
    try:
        from pipeline.settings import load_settings
        from pipeline.settings.private_folders import check_paths, make_private_folders

        var = load_settings().var_dir
        check_paths(var)
        with contextlib.suppress(PipelineError):  # a read-only disk: the command that needs a folder reports it
            make_private_folders(var)
        name = f"closecast-{dt.datetime.now().astimezone():%Y%m%d-%H%M%S}-{os.getpid()}.log"
        log = var / "log" / name
        yield log
    except PipelineError as error:
        _append_traceback(log)
        typer.echo(error, err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("Stopped. Finished steps are kept in the store.", err=True)
        sys.exit(130)
    except (typer.Exit, SystemExit):
        raise
    except Exception as error:  # noqa: BLE001 - the last place that can keep a bug's traceback off the terminal
        if log is None:
            traceback.print_exc()
        _append_traceback(log)
        typer.echo(f"This is a bug in Closecast.\nReceived: {type(error).__name__}: {str(error)[:300]}", err=True)
        typer.echo(f"To do: report it with the traceback {f'in {log}' if log else 'above'}.", err=True)
        sys.exit(1)


def end_like_ctrl_c() -> None:
    """Handle SIGTERM and SIGHUP (a closed terminal) as Ctrl-C, so that the command cleans up."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def _append_traceback(log: Path | None) -> None:
    if log is None:
        return
    with contextlib.suppress(OSError):  # a full or read-only disk must not hide the error itself
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            traceback.print_exc(file=file)
