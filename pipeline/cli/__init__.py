"""The command line `closecast`. Each command imports heavy libraries itself, so that `--help` stays fast."""

from __future__ import annotations

import atexit
import gc
import os
import sys

import typer

from pipeline.cli.champion import champion
from pipeline.cli.compare import compare
from pipeline.cli.completion import completion, is_completing
from pipeline.cli.config import config, init
from pipeline.cli.diff import diff
from pipeline.cli.doctor import doctor
from pipeline.cli.forecast import forecast
from pipeline.cli.leaks import leaks
from pipeline.cli.ledger import ledger
from pipeline.cli.messages import announce_wait, end_like_ctrl_c, errors_for_people
from pipeline.cli.prune import prune
from pipeline.cli.replay import replay
from pipeline.cli.reproduce import reproduce
from pipeline.cli.retry import retry
from pipeline.cli.run import run
from pipeline.cli.runs import runs
from pipeline.cli.status import status
from pipeline.cli.store import store
from pipeline.settings.foreign import drop_foreign, foreign_keras_settings, line_about

app = typer.Typer(
    help="Nightly retraining of next-session closing-price forecasters that can be audited.",
    no_args_is_help=True,
    add_completion=False,  # `closecast completion` prints the script
    rich_markup_mode=None,  # plain help: rich alone would double its time
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command()(compare)
app.command()(forecast)
app.command()(status)
app.command()(doctor)
app.command()(retry)
app.command()(runs)
app.command()(diff)
app.add_typer(champion)
app.add_typer(ledger)
app.add_typer(store)
app.command()(leaks)
app.command()(prune)
app.command()(reproduce)
app.command()(replay)
app.command()(config)
app.command()(init)
app.command()(completion)


@app.command()
def up() -> None:
    """Start Airflow and MLflow on this machine, with their web pages and the nightly schedule."""
    end_like_ctrl_c()
    announce_wait("Checking the settings and loading the libraries")
    with errors_for_people():
        from pipeline import calendar
        from pipeline.operations import stack
        from pipeline.settings import load_settings

        settings = load_settings()
        calendar.exchange(settings.calendar)  # Airflow shows no error for a wrong calendar, only no next run
        stack.up(settings, typer.echo)


@app.command()
def down() -> None:
    """Stop the processes that `closecast up` started. All state is kept."""
    announce_wait("Stopping Airflow and MLflow")
    with errors_for_people():
        from pipeline.operations import stack
        from pipeline.settings import load_settings

        stack.down(load_settings(), typer.echo)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def airflow(context: typer.Context) -> None:
    """Run Airflow's own command line on this checkout, such as `closecast airflow dags list`."""
    with errors_for_people():
        from pipeline.operations.airflow_home import prepare, process_environment
        from pipeline.settings import load_settings

        settings = load_settings()
        prepare(settings)
        command = [sys.executable, "-m", "airflow", *context.args]
        os.execve(sys.executable, command, process_environment(settings))


def main() -> None:
    """Run the command line without the variables of other programs; a line on stderr names them."""
    if is_completing():
        app(prog_name="closecast")
    atexit.register(gc.freeze)  # else Python looks for garbage among TensorFlow's objects: 20 s after the last line
    keras = foreign_keras_settings(os.environ)
    ignored = [*drop_foreign(os.environ), *([keras] if keras else [])]
    if line := line_about(ignored):
        typer.echo(line, err=True)
    app(prog_name="closecast")
