"""`closecast doctor`: whether this deployment can run a night, and what to do if not."""

from __future__ import annotations

import json
import logging
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.messages import errors_for_people

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.cli.checks import Check


def doctor(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    send_test: Annotated[bool, typer.Option("--send-test", help="Send a message to each alert channel.")] = False,
) -> None:
    """Check Python, libraries, stack, store, MLflow, databases, calendar, source, GPU and alerts.

    Exit code 1 if a check failed; warnings are no failure.
    """
    with errors_for_people():
        from pipeline.cli.checks import checked
        from pipeline.settings import load_settings

        logging.getLogger("closecast").addHandler(logging.NullHandler())  # a check's line says the same
        checks = checked(load_settings(), send_test=send_test)
        if as_json:
            found = {"verdict": verdict(checks), "checks": [one.model_dump() for one in checks]}
            typer.echo(json.dumps(found, indent=1))
        else:
            for one in checks:
                typer.echo(line(one))
            typer.echo(verdict(checks))
        if any(one.state == "failed" for one in checks):
            raise typer.Exit(1)


def line(check: Check) -> str:
    """Return a check as one line."""
    todo = f" To do: {check.todo}" if check.todo else ""
    return f"{check.state:8} {check.name:10} {check.observed.rstrip('.')}.{todo}"


def verdict(checks: Sequence[Check]) -> str:
    """Return the closing line: counts, and the names of what failed."""
    states = Counter(one.state for one in checks)
    failed = [one.name for one in checks if one.state == "failed"]
    warned = [one.name for one in checks if one.state == "warning"]
    if failed:
        return f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}. Mend them from the top."
    if warned:
        return f"A night can run. {len(warned)} warning(s): {', '.join(warned)}."
    return f"A night can run: {states['ok']} checks passed, {states['skipped']} skipped."
