"""The one model of a unit in MLflow: made first, its files follow, so that each request can be repeated."""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import pandas as pd
from mlflow.entities import LoggedModelOutput
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema

from pipeline.forecasting.device import backend
from pipeline.forecasting.forecasts import NAMES
from pipeline.forecasting.recipe import Recipe
from pipeline.tracking.client import answering, gone_is_fine

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel

    from pipeline.outcome import Manifest
    from pipeline.store.folder import Folder
    from pipeline.tracking.runs import Runs

_PACKAGE = Path(__file__).resolve().parent.parent
_SERVED_WITH = ("mlflow", "numpy", "pandas", "exchange-calendars")
_BARS = ("open", "high", "low")


def _signature(recipe: Recipe) -> ModelSignature:
    """Return the columns that the model takes and gives; a network that sees closes alone needs no other price."""
    needed = (*_BARS, "close") if recipe.distribution else ("close",)
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


def _served_with(recipe: Recipe) -> tuple[str, ...]:
    """Return the packages that a served model imports."""
    return (*_SERVED_WITH, "h5py") if recipe.distribution else (*_SERVED_WITH, "h5py", "keras", backend())


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
    whole = [
        str(model.model_id)
        for model in _models(client, experiment, run_id)
        if model.tags.get("step_key") == manifest.key and str(model.status) == "READY"
    ]
    kept = whole[0] if whole else _log_new(client, experiment, run_id, manifest, folder, files)
    for ghost in _models(client, experiment, run_id):
        whole_of_another = str(ghost.status) == "READY" and ghost.tags.get("step_key") != manifest.key
        if ghost.model_id != kept and not whole_of_another:
            with gone_is_fine():
                client.delete_logged_model(ghost.model_id)
    if not _is_linked(client, run_id, kept):
        try:
            client.log_outputs(run_id, [LoggedModelOutput(kept, 0)])
        except MlflowException:  # MLflow takes a link once, and its client repeats a request whose answer was lost
            if not _is_linked(client, run_id, kept):
                raise
    return kept


def _is_linked(client: mlflow.MlflowClient, run_id: str, model_id: str) -> bool:
    outputs = client.get_run(run_id).outputs
    return outputs is not None and model_id in {one.model_id for one in outputs.model_outputs}


def _models(client: mlflow.MlflowClient, experiment: str, run_id: str) -> Sequence[LoggedModel]:
    found = client.search_logged_models([experiment], f"source_run_id = '{run_id}'")
    return sorted(found, key=lambda model: (model.creation_timestamp, model.model_id))


def _log_new(
    client: mlflow.MlflowClient, experiment: str, run_id: str, manifest: Manifest, folder: Folder, files: Sequence[str]
) -> str:
    network, recipe_name = files
    recipe = Recipe.from_json(folder.read_written(recipe_name, manifest))
    days = pd.bdate_range("2024-01-02", periods=recipe.lookback + 1).strftime("%Y-%m-%d")
    closes = [100.0 + day % 2 for day in range(len(days))]
    example = pd.DataFrame({"session": days, "close": closes})
    if recipe.distribution:
        example = example.assign(open=100.5, high=101.5, low=99.5)
    with tempfile.TemporaryDirectory() as temporary:
        places = {network: Path(temporary) / "model.keras", recipe_name: Path(temporary) / "recipe.json"}
        for name, place in places.items():
            place.write_bytes(folder.read_written(name, manifest))
        model = client.create_logged_model(
            experiment,
            name="model",
            source_run_id=run_id,
            tags={"ticker": recipe.ticker, "step_key": manifest.key},
            params={**client.get_run(run_id).data.params, **manifest.outcome.params},
        )
        mlflow.pyfunc.log_model(
            name="model",
            model_id=model.model_id,
            python_model=str(_PACKAGE / "serving" / "pyfunc.py"),
            artifacts={"network": str(places[network]), "recipe": str(places[recipe_name])},
            code_paths=[str(_PACKAGE)],
            signature=_signature(recipe),
            input_example=example,
            # Without a list MLflow infers it in a second interpreter that imports TensorFlow: 21 s.
            pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in _served_with(recipe)],
        )
    return str(model.model_id)
