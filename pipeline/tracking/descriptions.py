"""The descriptions on MLflow's pages: Markdown, made from values that MLflow has anyway."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.plan import Plan

EXPERIMENT = (
    "Nightly retraining of next-session closing-price forecasters. One parent run per DAG run, one child per ticker, "
    "and one run per ticker for the scores of its served forecasts. The list **Views** has the last night, one ticker "
    "over time, and presets side by side.\n\n"
    "`rmse` and `naive_rmse` are measured on the same rows; `skill` = 1 - rmse / naive_rmse. Skill 0 "
    "means as good as the forecast that tomorrow's close is today's. `interval_skill_95` compares the score of the "
    "95 % interval with that of an EWMA of closes in the same way, `reference_skill_95` with the best simple "
    "reference. Errors and prices are in the currency of the tag "
    "`currency`; until November 2026 their names ended in `_usd`.\n\n"
    "`quality/` repeats the figures that decide, `step/` has rows and seconds of each step, `live/` the scores of "
    "served forecasts."
)
WAITING = "waiting"  # the verdict on a ticker until a person answers
_FIGURES = {
    "skill": ("skill against naive", "{:+.4f}"),
    "interval_skill_95": ("95 % interval score: skill against the EWMA of closes", "{:+.3f}"),
    "reference_skill_95": ("95 % interval score: skill against the best reference", "{:+.3f}"),
    "coverage_95": ("closes inside the 95 % interval", "{:.1%}"),
}


def origin(plan: Plan) -> dict[str, str]:
    """Return the tags that fill "Source" and "Created by" on MLflow's pages."""
    in_airflow = not plan.dag_run_id.startswith("local__")
    return {
        "mlflow.source.name": "Airflow, DAG retrain" if in_airflow else "closecast run",
        "mlflow.source.type": "JOB" if in_airflow else "LOCAL",
        "mlflow.user": _user(),
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"


def night_note(plan: Plan) -> str:
    """Return the description of a run of the whole universe that is in progress."""
    return f"{about(plan)}\n\nIn progress. At its end this text has the verdict and one row per ticker."


def about(plan: Plan) -> str:
    """Return a run in two sentences: session, tickers, preset, source, and whether the prices are evidence."""
    text = (
        f"Session **{plan.as_of}**, {len(plan.tickers)} ticker(s), preset `{plan.preset_name}`, source "
        f"`{plan.source}`, run `{plan.dag_run_id}`."
    )
    if plan.fault:
        text += f" With the injected fault `{plan.fault}`."
    if plan.synthetic:
        text += " **Synthetic prices**: no evidence about any market."
    return text


def unit_note(plan: Plan, ticker: str, tags: Mapping[str, str], metrics: Mapping[str, float], findings: str) -> str:
    """Return the description of one ticker's run.

    Args:
        plan: of the run.
        ticker: of the unit.
        tags: of the run, with those of the step that ends.
        metrics: the same.
        findings: of all steps, in Markdown; "" without one.
    """
    verdict = tags["verdict"] if tags["verdict"].startswith("failed") else tags.get("decision", tags["verdict"])
    parts = [f"**{ticker}**, {verdict}", findings]
    rows = [
        f"| {name} | {form.format(metrics[figure])} |" for figure, (name, form) in _FIGURES.items() if figure in metrics
    ]
    if "forecast" in tags:
        rows.append(f"| forecast | {tags['forecast']} |")
    if rows:
        parts.append("\n".join(["| figure | on the test rows |", "|---|---|", *rows]))
    data = [f"prices from {tags['first_session']} to {plan.as_of}"] if "first_session" in tags else []
    data += [f"{name} {tags[tag]}" for name, tag in (("currency", "currency"), ("cutoff", "cutoff")) if tag in tags]
    parts.append("; ".join([f"Source {plan.source}", *data, f"preset {plan.preset_name}"]) + ".")
    if plan.synthetic:
        parts.append("**Synthetic prices**: no evidence about any market.")
    return "\n\n".join(filter(None, parts))


def verdict_of(tags: Mapping[str, str], before: str, failed_step: str) -> str:
    """Return the verdict on a ticker in few words, for a column.

    Args:
        tags: of the step that ends.
        before: the verdict so far; "" without one.
        failed_step: name of the step if it failed, else "".
    """
    if failed_step:
        return f"failed in {failed_step}"
    if "decision" in tags:
        return tags["decision"].partition(":")[0]
    return "in progress" if before.startswith(("failed", WAITING)) else before or "in progress"
