"""What MLflow shows of a run: one parent run per DAG run, one child per ticker, each found again by its tags.

Whatever is logged can be logged again without adding anything: runs are looked up by `dag_run_id` and `ticker`,
metrics carry the time stamps of the manifest, and a step that is already there is recognised by its key.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from pipeline.store.formats import frame_of
from pipeline.tracking.client import answering, connect
from pipeline.tracking.logged_model import log_model
from pipeline.tracking.registry import Registry

if TYPE_CHECKING:
    from mlflow.data.dataset_source import DatasetSource
    from mlflow.entities import Run

    from pipeline.outcome import Manifest, Outcome
    from pipeline.plan import Plan
    from pipeline.settings import Settings
    from pipeline.store.folder import Folder

_NOTE = (
    "Nightly retraining of next-session closing-price forecasters. One parent run per DAG run, one child per ticker. "
    "`rmse_usd` stands beside `naive_rmse_usd` on the same rows; `skill` = 1 - rmse_usd / naive_rmse_usd, and 0 is "
    "no better than saying that tomorrow's close is today's."
)
_MAX_TAG = 5000  # MLflow cuts at 8,000 with a warning in a log that nobody reads


def _source(url: str) -> DatasetSource:
    """Return an address as MLflow takes it: one that it has no client for is told as plain text."""
    try:
        return resolve_dataset_source(url)
    except MlflowException:
        return CodeDatasetSource({"url": url})


class Tracker:
    """MLflow as the runner needs it."""

    def __init__(self, settings: Settings) -> None:
        """Connect, creating database and experiment where they are missing.

        Raises:
            Unavailable: when a server does not answer.
        """
        self._uri, self._page = settings.mlflow_uri, settings.mlflow_page
        self._client, self.registry = connect(settings), Registry(settings)
        with answering(self._uri):
            self._experiment = self._find_or_create_experiment(settings)

    def open_parent(self, plan: Plan) -> str:
        """Return the id of the run of the whole DAG run, opening it when it is new."""
        source = f"{plan.source} (synthetic)" if plan.synthetic else plan.source
        tags = {"tickers": ",".join(plan.tickers)[:_MAX_TAG]}
        with answering(self._uri):
            run = self._find_or_create(plan, "", f"{plan.as_of} {plan.preset_name} {source}", tags)
            self._client.update_run(run.info.run_id, status="RUNNING")
        return str(run.info.run_id)

    def unit_run(self, plan: Plan, ticker: str) -> Run:
        """Return one ticker's run below the parent, opening it when it is new."""
        with answering(self._uri):
            found = self._find(plan, ticker)
            if found:
                return found
            synthetic = ", synthetic prices" if plan.synthetic else ""
            name = f"{ticker} {plan.as_of} {plan.preset_name}{synthetic}"
            return self._find_or_create(plan, ticker, name, {"mlflow.parentRunId": self.open_parent(plan)})

    def log(self, plan: Plan, ticker: str, manifest: Manifest, folder: Folder, *, last: bool) -> None:
        """Show a finished step in the ticker's run; a step that is there already is left alone.

        Args:
            plan: of the run.
            ticker: whose run it is.
            manifest: what the step wrote down.
            folder: where its files are.
            last: whether the unit is finished with this step.

        Raises:
            Unavailable: when MLflow does not answer.
        """
        run, tag = self.unit_run(plan, ticker), f"step.{manifest.step}"
        # A failed step that is tried again has the same key, and another end.
        shown = f"failed {manifest.started.isoformat()}" if manifest.failed else manifest.key
        if run.data.tags.get(tag) == shown:
            return
        run_id = str(run.info.run_id)
        with answering(self._uri):
            self._log_files(run_id, manifest, folder)
            model_id = None
            if manifest.outcome.model:
                model_id = log_model(self._client, self._experiment, run_id, manifest, folder)
            self._log_dataset(run_id, ticker, plan, manifest, folder)
            self._log_values(run, manifest, model_id)
            self._release(run, ticker, manifest)
            if manifest.outcome.live_session:
                self._log_live(plan, ticker, manifest.outcome)
            status = "FAILED" if manifest.failed else "FINISHED" if last else "RUNNING"
            if run.info.status != status:
                self._set_status(run_id, status)
            self._client.set_tag(run_id, tag, shown)  # last: now the step is all there

    def _release(self, run: Run, ticker: str, manifest: Manifest) -> None:
        release = manifest.outcome.release
        if release is None:
            return
        run_id, model_id = run.info.run_id, run.data.tags["model_id"]
        version, late = self.registry.release(ticker, model_id, run_id, release, manifest.started)
        self._client.set_tag(run_id, "version", str(version))
        if late:  # the figure of `_log_values` said what was decided; this one is later, so it is what counts
            self._client.log_metric(run_id, "promoted", 0.0, int(manifest.started.timestamp() * 1000) + 1)
            self._client.set_tag(run_id, "decision", late)

    def _log_live(self, plan: Plan, ticker: str, outcome: Outcome) -> None:
        """Add one point to the series of a ticker's served forecasts, a run of its own; a second call adds none."""
        assert outcome.live_session is not None  # noqa: S101 - the caller has looked
        market = "synthetic" if plan.synthetic else "real"
        condition = f"tags.live = '{market}' and tags.ticker = '{ticker}'"
        if not self._search(condition):
            tags = {"live": market, "ticker": ticker, "synthetic": str(plan.synthetic).lower()}
            self._client.create_run(self._experiment, run_name=f"{ticker} served, {market} prices", tags=tags)
        run, *ghosts = self._search(condition)
        for ghost in ghosts:
            self._client.delete_run(ghost.info.run_id)
        midnight = dt.datetime.combine(outcome.live_session, dt.time(), dt.UTC)
        step = outcome.live_session.toordinal()
        there = {
            point.step
            for name in outcome.live
            if name in run.data.metrics
            for point in self._client.get_metric_history(run.info.run_id, name)
        }
        if step not in there:
            stamp = int(midnight.timestamp() * 1000)
            points = [Metric(name, value, stamp, step) for name, value in outcome.live.items()]
            self._client.log_batch(run.info.run_id, points)
            self._set_status(run.info.run_id, "FINISHED")

    def page(self, run_id: str) -> str:
        """Return the address of a run's page."""
        return f"{self._page}/#/experiments/{self._experiment}/runs/{run_id}"

    def close_parent(self, plan: Plan, *, failed: bool, metrics: dict[str, float], page: bytes) -> None:
        """End the run of the whole DAG run, with its summary and its report.

        Units that never got to their end, because the job was stopped, are ended as killed.
        """
        with answering(self._uri):
            run_id = self.open_parent(plan)
            stamp = int(plan.created.timestamp() * 1000)
            self._client.log_batch(run_id, [Metric(name, value, stamp, 0) for name, value in metrics.items()])
            self._client.log_text(run_id, page.decode(), "report.html")
            self._set_status(run_id, "FAILED" if failed else "FINISHED")
            for child in self._search(f"tags.dag_run_id = '{plan.dag_run_id}'"):
                if child.info.status == "RUNNING" and child.info.run_id != run_id:
                    self._set_status(child.info.run_id, "KILLED")

    def close_compared(
        self, plan: Plan, name: str, ladder: Sequence[dict[str, object]], medians: dict[str, float], *, failed: bool
    ) -> None:
        """End the run of one preset of a comparison, with the whole ladder; `name` finds the other presets' runs."""
        skills = {f"median_skill/{one}".replace("(", "").replace(")", ""): value for one, value in medians.items()}
        with answering(self._uri):
            run_id = self.open_parent(plan)
            stamp = int(plan.created.timestamp() * 1000)
            self._client.set_tag(run_id, "compare", name)
            self._client.log_batch(run_id, [Metric(one, value, stamp, 0) for one, value in skills.items()])
            self._client.log_dict(run_id, {"ladder": list(ladder)}, "compare.json")
            self._set_status(run_id, "FAILED" if failed else "FINISHED")

    def kill(self, plan: Plan) -> None:
        """End whatever still runs of a stopped run."""
        with answering(self._uri):
            for run in self._search(f"tags.dag_run_id = '{plan.dag_run_id}'"):
                if run.info.status == "RUNNING":
                    self._set_status(run.info.run_id, "KILLED")

    def _find_or_create_experiment(self, settings: Settings) -> str:
        found = self._client.get_experiment_by_name(settings.experiment)
        if found:
            return str(found.experiment_id)
        # A server chooses the place of its artifacts; on SQLite it is chosen here, the same that `make up` serves.
        place = settings.mlflow_artifacts.as_uri() if self._uri.startswith("sqlite:") else None
        tags = {
            "mlflow.note.content": _NOTE,
            "mlflow.experiment.primaryMetric.name": "skill",
            "mlflow.experiment.primaryMetric.greaterIsBetter": "true",
        }
        try:
            return str(self._client.create_experiment(settings.experiment, place, tags))
        except MlflowException:  # somebody else was faster
            return str(self._client.get_experiment_by_name(settings.experiment).experiment_id)

    def _search(self, condition: str) -> Sequence[Run]:
        runs = self._client.search_runs([self._experiment], condition, order_by=["attributes.start_time ASC"])
        return list(runs)

    def _find(self, plan: Plan, ticker: str) -> Run | None:
        """Return the oldest run of the DAG run and ticker; "" stands for the parent."""
        runs = self._search(f"tags.dag_run_id = '{plan.dag_run_id}' and tags.ticker = '{ticker}'")
        return runs[0] if runs else None

    def _find_or_create(self, plan: Plan, ticker: str, name: str, tags: dict[str, str]) -> Run:
        found = self._find(plan, ticker)
        if found:
            return found
        everything = {
            "dag_run_id": plan.dag_run_id,
            "ticker": ticker,
            "as_of": str(plan.as_of),
            "source": plan.source,
            "synthetic": str(plan.synthetic).lower(),
            "preset": plan.preset_name,
            **({"fault": plan.fault} if plan.fault else {}),
            **tags,
        }
        self._client.create_run(self._experiment, run_name=name, tags=everything)
        # Two processes may both get here, and a client repeats a request whose answer was lost: the oldest run counts.
        oldest, *ghosts = self._search(f"tags.dag_run_id = '{plan.dag_run_id}' and tags.ticker = '{ticker}'")
        for ghost in ghosts:
            self._client.delete_run(ghost.info.run_id)
        return oldest

    def _set_status(self, run_id: str, status: str) -> None:
        if status == "RUNNING":
            self._client.update_run(run_id, status=status)
        else:
            self._client.set_terminated(run_id, status)

    def _log_files(self, run_id: str, manifest: Manifest, folder: Folder) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            for name in manifest.outcome.attach:
                (Path(temporary) / name).write_bytes(folder.read_written(name, manifest))
            if manifest.outcome.attach:
                self._client.log_artifacts(run_id, temporary)

    def _log_values(self, run: Run, manifest: Manifest, model_id: str | None) -> None:
        outcome, run_id = manifest.outcome, run.info.run_id
        stamp = int(manifest.started.timestamp() * 1000)
        model_id = model_id or run.data.tags.get("model_id")
        values = {**outcome.metrics, f"seconds/{manifest.step}": manifest.seconds}
        metrics = [Metric(name, value, stamp, 0, model_id=model_id) for name, value in values.items()]
        curves = [
            Metric(name, value, stamp, epoch)
            for name, points in outcome.curves.items()
            for epoch, value in enumerate(points, start=1)
        ]
        for first in range(0, len(curves), 1000):  # a batch holds 1,000 metrics
            self._client.log_batch(run_id, curves[first : first + 1000])
        tags = {
            **outcome.tags,
            **{f"version.{name}": version for name, version in manifest.versions.items()},
            **({"model_id": model_id} if model_id else {}),
        }
        findings = "\n\n".join(f"**{finding.severity}** {finding}" for finding in outcome.findings)
        mine, others = f"findings.{manifest.step}", [name for name in run.data.tags if name.startswith("findings.")]
        if findings or mine in others:  # an earlier try may have had some
            notes = [run.data.tags[name] for name in others if name != mine] + [findings]
            tags |= {mine: findings[:_MAX_TAG], "mlflow.note.content": "\n\n".join(filter(None, notes))[:_MAX_TAG]}
        self._client.log_batch(
            run_id,
            metrics,
            [Param(name, value) for name, value in outcome.params.items()],
            [RunTag(name, value) for name, value in tags.items()],
        )

    def _log_dataset(self, run_id: str, ticker: str, plan: Plan, manifest: Manifest, folder: Folder) -> None:
        name = manifest.outcome.dataset
        if name is None:
            return
        frame = frame_of(folder.read_written(name, manifest)).reset_index()
        dataset = mlflow.data.pandas_dataset.from_pandas(
            frame,
            source=_source(folder.path(name)),
            name=f"{ticker} {plan.source}",
            digest=manifest.outputs[name][:36],  # MLflow takes 36 characters
        )
        context = InputTag("mlflow.data.context", "training")
        self._client.log_inputs(run_id, [DatasetInput(dataset._to_mlflow_entity(), [context])])  # noqa: SLF001
