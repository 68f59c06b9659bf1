"""The one model of a unit in MLflow: made first, its files follow, so that each request can be repeated."""

from __future__ import annotations

import copy
import datetime as dt
import functools
import importlib.metadata
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import mlflow
import pandas as pd
from mlflow.entities import LoggedModelOutput
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema

from pipeline.forecasting.device import backend
from pipeline.forecasting.forecasts import NAMES
from pipeline.forecasting.recipe import Recipe
from pipeline.tracking.client import answering, gone_is_fine

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel, Run

    from pipeline.outcome import Manifest
    from pipeline.store.folder import Folder
    from pipeline.tracking.runs import Runs

_PACKAGE = Path(__file__).resolve().parent.parent
_SERVED_CODE = (  # each model has a copy: a quarter of the package
    "__init__.py", "arrays.py", "calendar.py", "errors.py", "old_names.py", "evaluation", "forecasting", "settings",
    "serving/__init__.py", "serving/pyfunc.py",
)  # fmt: skip
_SERVED_WITH = ("mlflow", "numpy", "pandas", "exchange-calendars")
_BARS = ("open", "high", "low")
_NETWORK = "artifacts/model.keras"
_RECIPE = "artifacts/recipe.json"


def _signature(*, distribution: bool) -> ModelSignature:
    """Return the columns that the model takes and gives; a network that sees closes alone needs no other price."""
    needed = (*_BARS, "close") if distribution else ("close",)
    return ModelSignature(
        inputs=Schema(
            [
                *(ColSpec("double", name) for name in needed),
                ColSpec("string", "session", required=False),
                ColSpec("string", "ticker", required=False),
            ]
        ),
        outputs=Schema(
            [
                ColSpec("string", "ticker"),
                ColSpec("string", "session"),
                ColSpec("string", "currency"),
                *(ColSpec("double", name) for name in NAMES),
            ]
        ),
        params=ParamSchema([ParamSpec("every_session", "boolean", default=False)]),
    )


def _served_with(*, distribution: bool) -> tuple[str, ...]:
    """Return the packages that a served model imports."""
    return (*_SERVED_WITH, "h5py") if distribution else (*_SERVED_WITH, "h5py", "keras", backend())


def log_model(runs: Runs, run_id: str, manifest: Manifest, folder: Folder, files: Sequence[str]) -> str:
    """Return the id of the step's one model; models that a killed try or a lost answer left are deleted.

    A whole model of an earlier training of the same run is kept: it may be the champion.

    Args:
        runs: of the experiment.
        run_id: the unit's run.
        manifest: of the step that made the model.
        folder: where its files are.
        files: names of the network and of the recipe.

    Raises:
        Damaged: when a file has changed since the step wrote it.
        Unavailable: when MLflow does not answer.
    """
    with answering(runs.uri):
        return _log_model(runs.client, runs.experiment, run_id, manifest, folder, files)


def _log_model(
    client: mlflow.MlflowClient, experiment: str, run_id: str, manifest: Manifest, folder: Folder, files: Sequence[str]
) -> str:
    run = client.get_run(run_id)
    whole = [
        str(model.model_id)
        for model in _models(client, experiment, run_id)
        if model.tags.get("step_key") == manifest.key and str(model.status) == "READY"
    ]
    kept = whole[0] if whole else _log_new(client, experiment, run, manifest, folder, files)
    for ghost in _models(client, experiment, run_id):
        whole_of_another = str(ghost.status) == "READY" and ghost.tags.get("step_key") != manifest.key
        if ghost.model_id != kept and not whole_of_another:
            with gone_is_fine():
                client.delete_logged_model(ghost.model_id)
    if not _is_linked(run, kept):
        try:
            client.log_outputs(run_id, [LoggedModelOutput(kept, 0)])
        except MlflowException:  # MLflow takes a link once, and its client repeats a request whose answer was lost
            if not _is_linked(client.get_run(run_id), kept):
                raise
    return kept


def _is_linked(run: Run, model_id: str) -> bool:
    return run.outputs is not None and model_id in {one.model_id for one in run.outputs.model_outputs}


def _models(client: mlflow.MlflowClient, experiment: str, run_id: str) -> Sequence[LoggedModel]:
    found = client.search_logged_models([experiment], f"source_run_id = '{run_id}'")
    return sorted(found, key=lambda model: (model.creation_timestamp, model.model_id))


def _log_new(
    client: mlflow.MlflowClient, experiment: str, run: Run, manifest: Manifest, folder: Folder, files: Sequence[str]
) -> str:
    network_name, recipe_name = files
    recipe_json = folder.read_written(recipe_name, manifest)
    network = folder.read_written(network_name, manifest)
    recipe = Recipe.from_json(recipe_json)
    shared = _shared_files(recipe.lookback, distribution=recipe.distribution is not None)
    model = client.create_logged_model(
        experiment,
        name="model",
        source_run_id=run.info.run_id,
        tags={"ticker": recipe.ticker, "step_key": manifest.key},
        params={**run.data.params, **manifest.outcome.params},
    )
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        for name, content in {**shared.files, _NETWORK: network, _RECIPE: recipe_json}.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
        _description(shared.description, model, len(network) + len(recipe_json)).save(place / MLMODEL_FILE_NAME)
        client.log_model_artifacts(model.model_id, temporary)
    client.finalize_logged_model(model.model_id, "READY")
    return str(model.model_id)


def _description(shared: Model, model: LoggedModel, own_bytes: int) -> Model:
    """Return MLflow's description of the files of one model."""
    own = copy.copy(shared)
    own.model_size_bytes = shared.model_size_bytes + own_bytes
    own.artifact_path = model.artifact_location
    own.model_id = model.model_id
    own.model_uuid = model.model_id
    own.utc_time_created = dt.datetime.now(dt.UTC).replace(tzinfo=None).isoformat(" ")
    return own


class _Shared(NamedTuple):
    """What all models of one shape have in common."""

    description: Model
    files: Mapping[str, bytes]  # by path in the model: code, requirements, example


@functools.cache
def _shared_files(lookback: int, *, distribution: bool) -> _Shared:
    """Return the files that models of one shape share: MLflow makes them once in a process, not once for each ticker.

    `mlflow.pyfunc.log_model` also loads each model again and forecasts its example. It only logs a failure of that.
    """
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary) / "model"
        code = Path(temporary) / _PACKAGE.name
        for name in _SERVED_CODE:
            (code / name).parent.mkdir(exist_ok=True)
            copied = shutil.copytree if (_PACKAGE / name).is_dir() else shutil.copy
            copied(_PACKAGE / name, code / name)
        stand_ins = [Path(temporary) / Path(name).name for name in (_NETWORK, _RECIPE)]
        for one in stand_ins:
            one.touch()
        mlflow.pyfunc.save_model(
            place,
            python_model=str(code / "serving" / "pyfunc.py"),
            artifacts=dict(zip(("network", "recipe"), map(str, stand_ins), strict=True)),
            code_paths=[str(code)],
            signature=_signature(distribution=distribution),
            input_example=_example(lookback, distribution=distribution),
            # Without a list MLflow infers it in a second interpreter that imports TensorFlow: 21 s.
            pip_requirements=[
                f"{name}=={importlib.metadata.version(name)}" for name in _served_with(distribution=distribution)
            ],
        )
        written = {str(file.relative_to(place)): file for file in place.rglob("*") if file.is_file()}
        own = (MLMODEL_FILE_NAME, _NETWORK, _RECIPE)
        files = {name: file.read_bytes() for name, file in written.items() if name not in own}
        return _Shared(Model.load(place), files)


def _example(lookback: int, *, distribution: bool) -> pd.DataFrame:
    """Return prices that a model can forecast from."""
    days = pd.bdate_range("2024-01-02", periods=lookback + 1).strftime("%Y-%m-%d")
    closes = [100.0 + day % 2 for day in range(len(days))]
    example = pd.DataFrame({"session": days, "close": closes})
    return example.assign(open=100.5, high=101.5, low=99.5) if distribution else example
