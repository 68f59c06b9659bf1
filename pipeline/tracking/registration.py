"""Registers a logged model as a version, once, in few requests that do not depend on the number of versions."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from mlflow.exceptions import MlflowException

from pipeline.tracking.client import gone_is_fine
from pipeline.tracking.versions import MAX_TAG, name_of, source_of

if TYPE_CHECKING:
    import mlflow
    from mlflow.entities.model_registry import ModelVersion


class Registered(NamedTuple):
    """The version of a logged model."""

    version: int
    is_new: bool  # whether this call created it


def register(
    client: mlflow.MlflowClient,
    ticker: str,
    model_id: str,
    run_id: str,
    tags: Mapping[str, str],
    description: str,
) -> Registered:
    """Return the one version of a logged model with these tags, creating it where it is missing.

    Args:
        client: of the registry.
        ticker: of the registered model.
        model_id: of the logged model.
        run_id: of the run that trained it.
        tags: of the version.
        description: of the version, in Markdown.

    Raises:
        MlflowException: when MLflow refuses a request or does not answer.
    """
    name = name_of(ticker)
    wanted = {tag: value[:MAX_TAG] for tag, value in tags.items()} | {"model_id": model_id}
    known = _versions_of(client, name, model_id)
    if not known:
        _create_version(client, ticker, model_id, run_id, wanted, description)
    # Two processes may both get here, and a client repeats a request whose answer was lost: the oldest counts.
    oldest, *ghosts = _versions_of(client, name, model_id)
    for ghost in ghosts:
        with gone_is_fine():
            client.delete_model_version(name, ghost.version)
    for tag, value in wanted.items():  # an earlier decision on the same model had others
        if oldest.tags.get(tag) != value:
            client.set_model_version_tag(name, oldest.version, tag, value)
    if oldest.description != description:
        client.update_model_version(name, oldest.version, description)
    return Registered(int(oldest.version), is_new=not known and not ghosts)


def _create_version(
    client: mlflow.MlflowClient,
    ticker: str,
    model_id: str,
    run_id: str,
    tags: Mapping[str, str],
    description: str,
) -> None:
    """Create a version with all its tags in one request, and the registered model where it is missing."""
    name = name_of(ticker)
    create = functools.partial(
        client.create_model_version,
        name,
        source_of(model_id),
        run_id,
        dict(tags),
        description=description,
        model_id=model_id,
    )
    try:
        create()
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        with contextlib.suppress(MlflowException):  # another process was faster
            client.create_registered_model(name, {"ticker": ticker})
        create()


def _versions_of(client: mlflow.MlflowClient, name: str, model_id: str) -> list[ModelVersion]:
    """Return the versions of a logged model: one, unless an answer was lost.

    MLflow finds them by their source among the versions of the name. By a tag it would read the tags of all tickers.
    """
    found = client.search_model_versions(f"name = '{name}' and source_path = '{source_of(model_id)}'")
    return sorted(found, key=lambda one: int(one.version))
