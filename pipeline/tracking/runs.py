"""MLflow's runs: one parent per DAG run, one child per ticker, each found again by its tags.

Every call can be repeated without adding anything: runs are looked up by `dag_run_id` and `ticker`, and values carry
the time stamps of the plan.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlflow.entities import Metric, RunTag
from mlflow.exceptions import MlflowException

from pipeline.errors import PipelineError, without_secrets
from pipeline.outcome import LedgerHead
from pipeline.tracking import views
from pipeline.tracking.client import answering, connect
from pipeline.tracking.descriptions import about, night_note, origin

if TYPE_CHECKING:
    import mlflow
    from mlflow.entities import Experiment, Run

    from pipeline.plan import Plan
    from pipeline.settings import Settings

TRACKING_SECONDS = "tracking_seconds."  # first part of a tag's name: seconds that a step waited for MLflow
LEDGER_HEAD = "ledger.head"  # tag: the newest row of the ticker's ledger, as JSON
_MOST_RUNS = 1000  # of a ticker, the newest first: four years of nights
MAX_TAG = 5000  # MLflow cuts at 8,000 characters and only logs a warning
# Ids of the tickers' runs that this process has used, by MLflow's address, experiment, `dag_run_id` and ticker.
_ids: dict[tuple[str, str, str, str], str] = {}


class Tracked(NamedTuple):
    """One ticker's run, as the report shows it."""

    id: str
    seconds: float | None  # that its steps waited for MLflow; None if an earlier version logged them


class Runs:
    """The runs of one experiment."""

    def __init__(self, settings: Settings, *, together: bool = False) -> None:
        """Connect, creating database and experiment where they are missing.

        Args:
            settings: with MLflow's address and the experiment.
            together: whether the first look at a ticker of a night reads the runs of all its tickers in one request.
                MLflow searches runs by the tags of all nights, which takes longer from night to night.

        Raises:
            Unavailable: when a server does not answer.
            PipelineError: when a person deleted the experiment.
        """
        self.uri = settings.mlflow_uri
        self._page = settings.mlflow_page
        self.client: mlflow.MlflowClient = connect(settings)
        self._parents: dict[str, str] = {}  # ids of the runs above those of tickers, by `dag_run_id`
        self._together = together
        self._units: dict[str, dict[str, Run]] = {}  # by `dag_run_id` and ticker, as the first look found them
        with answering(self.uri):
            self.experiment = self._find_or_create_experiment(settings)

    def open_parent(self, plan: Plan) -> str:
        """Return the id of the run of the whole DAG run, opening it when it is new."""
        source = f"{plan.source} (synthetic)" if plan.synthetic else plan.source
        tags = {"tickers": ",".join(plan.tickers)[:MAX_TAG], "mlflow.note.content": night_note(plan)}
        with answering(self.uri):
            found = self._find(plan, "")
            run = found or self._create(plan, "", f"{plan.as_of} {plan.preset_name} {source}", tags)
            if run.info.status != "RUNNING":
                self.set_status(run.info.run_id, "RUNNING")
        run_id = str(run.info.run_id)
        self._parents[plan.dag_run_id] = run_id
        return run_id

    def unit_run(self, plan: Plan, ticker: str) -> Run:
        """Return one ticker's run below the parent, opening it when it is new."""
        with answering(self.uri):
            run = self._find_unit(plan, ticker) or self._create_unit(plan, ticker)
        _ids[self.uri, self.experiment, plan.dag_run_id, ticker] = run.info.run_id
        return run

    def tracked(self, plan: Plan, ticker: str) -> Tracked:
        """Return the id of a ticker's run and its seconds in MLflow."""
        run = self.unit_run(plan, ticker)
        waited = [float(value) for name, value in run.data.tags.items() if name.startswith(TRACKING_SECONDS)]
        return Tracked(str(run.info.run_id), sum(waited) if waited else None)

    def live_run(self, ticker: str, *, synthetic: bool) -> Run:
        """Return the run that holds the scores of a ticker's served forecasts, opening it when it is new."""
        market = "synthetic" if synthetic else "real"
        condition = f"tags.live = '{market}' and tags.ticker = '{ticker}'"
        found = self._search(condition)
        if not found:
            tags = {"live": market, "ticker": ticker, "synthetic": str(synthetic).lower()}
            self.client.create_run(self.experiment, run_name=f"{ticker} served, {market} prices", tags=tags)
            found = self._search(condition)
        return self._keep_oldest(found)

    def ledger_heads(self, ticker: str) -> dict[str, LedgerHead]:
        """Return the newest row of a ticker's ledger as each DAG run recorded it, by name of the DAG run."""
        with answering(self.uri):
            found = self.client.search_runs([self.experiment], f"tags.ticker = '{ticker}'", max_results=_MOST_RUNS)
        return {
            run.data.tags["dag_run_id"]: LedgerHead.model_validate_json(run.data.tags[LEDGER_HEAD])
            for run in found
            if LEDGER_HEAD in run.data.tags
        }

    def page(self, run_id: str) -> str:
        """Return the address of a run's page."""
        return views.run_page(self._page, self.experiment, run_id)

    def night_page(self) -> str:
        """Return the address of the view of the last night."""
        return views.view_page(self._page, self.experiment)

    def close_parent(
        self, plan: Plan, *, failed: bool, metrics: dict[str, float], files: Mapping[str, bytes], note: str = ""
    ) -> None:
        """End the run of the whole DAG run, with its summary and its files, and show it in the prepared views.

        Units that were stopped before their end are ended as killed.

        Args:
            plan: of the run.
            failed: whether a ticker failed.
            metrics: of all tickers together.
            files: content by path, to attach.
            note: in Markdown, for its description.
        """
        with answering(self.uri):
            run_id = self.open_parent(plan)
            stamp = int(plan.created.timestamp() * 1000)
            tags = [RunTag("mlflow.note.content", f"{about(plan)}\n\n{note}"[:MAX_TAG])]
            self.client.log_batch(run_id, [Metric(name, value, stamp, 0) for name, value in metrics.items()], tags=tags)
            self._attach(run_id, files)
            self.set_status(run_id, "FAILED" if failed else "FINISHED")
            for child in self._search(f"tags.dag_run_id = '{plan.dag_run_id}'"):
                if child.info.status == "RUNNING" and child.info.run_id != run_id:
                    self.set_status(child.info.run_id, "KILLED")
            self._show_in_views(plan)

    def _attach(self, run_id: str, files: Mapping[str, bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, data in files.items():
                place = Path(folder) / name
                place.parent.mkdir(exist_ok=True)
                place.write_bytes(data)
            self.client.log_artifacts(run_id, folder)

    def _show_in_views(self, plan: Plan, shown_in: Sequence[views.View] = views.VIEWS) -> None:
        """Let the prepared views show a run; a backfill of past sessions changes no view."""
        if plan.dag_run_id.startswith("backfill__"):
            return
        known = self.client.get_experiment(self.experiment).tags
        for name, value in views.view_tags(plan, shown_in).items():
            if known.get(name) != value:
                self.client.set_experiment_tag(self.experiment, name, value)

    def close_compared(
        self, plan: Plan, name: str, ladder: Sequence[dict[str, object]], medians: dict[str, float], *, failed: bool
    ) -> None:
        """End the run of one preset of a comparison, with the whole ladder; `name` finds the other presets' runs."""
        skills = {f"median_skill/{one}".replace("(", "").replace(")", ""): value for one, value in medians.items()}
        with answering(self.uri):
            run_id = self.open_parent(plan)
            stamp = int(plan.created.timestamp() * 1000)
            self.client.set_tag(run_id, "compare", name)
            self.client.log_batch(run_id, [Metric(one, value, stamp, 0) for one, value in skills.items()])
            self.client.log_dict(run_id, {"ladder": list(ladder)}, "compare.json")
            self._show_in_views(plan, (views.PRESETS,))
            self.set_status(run_id, "FAILED" if failed else "FINISHED")

    def kill(self, plan: Plan) -> None:
        """End the runs of a stopped DAG run that are still marked as running."""
        with answering(self.uri):
            for run in self._search(f"tags.dag_run_id = '{plan.dag_run_id}'"):
                if run.info.status == "RUNNING":
                    self.set_status(run.info.run_id, "KILLED")

    def set_status(self, run_id: str, status: str) -> None:
        """Set a run's status; every status but RUNNING and SCHEDULED also sets its end."""
        if status in {"RUNNING", "SCHEDULED"}:
            self.client.update_run(run_id, status=status)
        else:
            self.client.set_terminated(run_id, status)

    def _find_or_create_experiment(self, settings: Settings) -> str:
        found = self.client.get_experiment_by_name(settings.experiment)
        if found:
            return self._active(found)
        # A server chooses the place of its artifacts. On SQLite it is chosen here, the same that `make up` serves.
        place = settings.mlflow_artifacts.as_uri() if self.uri.startswith("sqlite:") else None
        try:
            return str(self.client.create_experiment(settings.experiment, place, views.experiment_tags()))
        except MlflowException:  # another process was faster
            return self._active(self.client.get_experiment_by_name(settings.experiment))

    def _active(self, experiment: Experiment) -> str:
        """Return the id of an experiment, unless a person deleted it: that decision is not undone here."""
        number = str(experiment.experiment_id)
        if experiment.lifecycle_stage == "active":
            return number
        raise PipelineError(
            "The MLflow experiment of the runs must not be deleted.",
            f"{experiment.name!r}, id {number}, which was deleted in {without_secrets(self.uri)}",
            f"Restore it with its runs: MLFLOW_TRACKING_URI={without_secrets(self.uri)} mlflow experiments restore "
            f"--experiment-id {number}. Or set CLOSECAST_EXPERIMENT to a new name.",
        )

    def _search(self, condition: str) -> Sequence[Run]:
        runs: list[Run] = []
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment], condition, order_by=["attributes.start_time ASC"], page_token=token
            )
            runs += page
            token = page.token
            if not token:
                return runs

    def _find_unit(self, plan: Plan, ticker: str) -> Run | None:
        """Return a ticker's run. A second look reads it anew, since another step may have logged."""
        night = plan.dag_run_id
        if self._together and night not in self._units:
            newest_first = reversed(self._search(f"tags.dag_run_id = '{night}'"))
            self._units[night] = {str(run.data.tags.get("ticker", "")): run for run in newest_first}
        read = self._units.get(night, {}).pop(ticker, None)
        if read:
            return read
        known = _ids.get((self.uri, self.experiment, night, ticker))
        if known:
            with contextlib.suppress(MlflowException):  # the database was replaced
                run = self.client.get_run(known)
                of_unit = (run.data.tags.get("dag_run_id"), run.data.tags.get("ticker")) == (night, ticker)
                if of_unit and run.info.lifecycle_stage == "active":
                    return run
        elif night in self._units:
            return None
        return self._find(plan, ticker)

    def _create_unit(self, plan: Plan, ticker: str) -> Run:
        parent = self._parents.get(plan.dag_run_id) or self.open_parent(plan)
        synthetic = ", synthetic prices" if plan.synthetic else ""
        name = f"{ticker} {plan.as_of} {plan.preset_name}{synthetic}"
        return self._create(plan, ticker, name, {"mlflow.parentRunId": parent})

    def _find(self, plan: Plan, ticker: str) -> Run | None:
        """Return the oldest run of the DAG run and ticker; "" means the parent."""
        runs = self._search(f"tags.dag_run_id = '{plan.dag_run_id}' and tags.ticker = '{ticker}'")
        return runs[0] if runs else None

    def _create(self, plan: Plan, ticker: str, name: str, tags: dict[str, str]) -> Run:
        everything = {
            "dag_run_id": plan.dag_run_id,
            "ticker": ticker,
            "as_of": str(plan.as_of),
            "source": plan.source,
            "synthetic": str(plan.synthetic).lower(),
            "preset": plan.preset_name,
            **({"fault": plan.fault} if plan.fault else {}),
            **origin(plan),
            **tags,
        }
        self.client.create_run(self.experiment, run_name=name, tags=everything)
        return self._keep_oldest(self._search(f"tags.dag_run_id = '{plan.dag_run_id}' and tags.ticker = '{ticker}'"))

    def _keep_oldest(self, runs: Sequence[Run]) -> Run:
        """Return the oldest of runs that should be one, and delete the others.

        Two processes may create the same run, and a client repeats a request whose answer was lost.
        """
        oldest, *ghosts = runs
        for ghost in ghosts:
            self.client.delete_run(ghost.info.run_id)
        return oldest
