"""The boundaries of a step at which a process can die: before each write to the store and to MLflow, and between.

No line of the product knows of them: they are wrapped around what the steps call.
"""

from __future__ import annotations

import functools
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# What changes something there; what only asks cannot leave anything half-done.
MLFLOW_WRITES = (
    "create_run", "update_run", "set_terminated", "log_batch", "set_tag", "log_artifacts", "log_text", "log_inputs",
    "create_registered_model", "create_model_version", "set_model_version_tag", "update_model_version",
    "set_registered_model_alias", "create_logged_model", "finalize_logged_model", "log_outputs",
    "set_experiment_tag", "update_registered_model",
)  # fmt: skip


RESULTS = b'"results": {'  # of effects: a manifest with them is written a second time


def install(reached: Callable[[str], None]) -> None:
    """Call `reached` with the name of each boundary, such as "train: write model.keras", before it is crossed."""
    import mlflow

    from pipeline import runner, runs
    from pipeline.store.folder import Folder

    step = "plan"

    def run(name: str, *given: Any, **named: Any) -> Any:
        nonlocal step
        step = name
        reached(f"{step}: begin")
        result = done(name, *given, **named)
        reached(f"{step}: end")
        return result

    def report(*given: Any, **named: Any) -> None:
        nonlocal step
        step = "report"
        reached("report: begin")
        reported(*given, **named)

    def before(owner: type, method: str, name: Callable[..., str]) -> None:
        inner = getattr(owner, method)

        @functools.wraps(inner)
        def crossed(*given: Any, **named: Any) -> Any:
            if what := name(*given, **named):
                reached(f"{step}: {what}")
            return inner(*given, **named)

        setattr(owner, method, crossed)

    done, runner.run = runner.run, run
    reported, runs.report = runs.report, report
    before(Folder, "write", lambda _, name, data: f"write {name}{' with results' if RESULTS in data else ''}")
    before(Folder, "create", lambda *_: "write ledger")
    # A file is written beside its place under a name with a dot, and then moved there.
    before(Path, "replace", lambda path, target: f"move {Path(target).name}" if path.name.startswith(".") else "")
    before(Path, "hardlink_to", lambda *_: "move ledger")
    for method in MLFLOW_WRITES:
        which = (lambda *given, **_: f"set alias {given[2]}") if method.endswith("alias") else None
        before(mlflow.MlflowClient, method, which or (lambda *_, method=method, **__: method))


def die() -> None:
    """End this process as the kernel does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)
