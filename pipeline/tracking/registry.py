"""MLflow's model registry: one registered model per ticker, its versions, and the alias `champion`.

Each move of the alias is recorded as a tag of the version that it moves to, before it moves. So the moves can be
followed back from the present champion.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

import mlflow
from mlflow.exceptions import MlflowException

from pipeline.errors import PipelineError, Unavailable, UsageError
from pipeline.forecasting.recipe import Recipe
from pipeline.outcome import Released
from pipeline.tracking.client import answering, connect, gone_is_fine
from pipeline.tracking.registration import register
from pipeline.tracking.versions import (
    CHALLENGER,
    CHAMPION,
    WEIGHTS_OF,
    Move,
    Version,
    move_tag,
    moves_of,
    moves_to,
    name_of,
    served_before,
    source_of,
    version_of,
)

if TYPE_CHECKING:
    from pipeline.forecasting.inference import Network
    from pipeline.outcome import Continuation, Release
    from pipeline.settings import Settings

_FILES = ("model.keras", "recipe.json")


class Loaded(NamedTuple):
    """A network with its recipe."""

    network: Network
    recipe: Recipe


class Registry:
    """The registered models of all tickers."""

    def __init__(self, settings: Settings) -> None:
        """Connect.

        Raises:
            Unavailable: when a server does not answer.
        """
        self._uri = settings.mlflow_uri
        self._client = connect(settings)

    def champion(self, ticker: str) -> Version | None:
        """Return the served version, None when there is none."""
        return self._by_alias(ticker, CHAMPION)

    def champions(self) -> dict[str, Version]:
        """Return the served version of each ticker that has one, by ticker."""
        tickers = []
        token = None
        with answering(self._uri):
            while True:
                found = self._client.search_registered_models(f"name LIKE '{name_of('%')}'", page_token=token)
                tickers += [one.name.removeprefix(name_of("")) for one in found if CHAMPION in one.aliases]
                token = found.token
                if not token:
                    break
        served = {ticker: self.champion(ticker) for ticker in sorted(tickers)}
        return {ticker: one for ticker, one in served.items() if one}

    def champion_before(self, ticker: str, dag_run_id: str) -> Version | None:
        """Return the version that was served before a run; the champion, unless that run has moved the alias already.

        A decision that is made again must not compare a version with itself.
        """
        champion = self.champion(ticker)
        if champion is None or champion.dag_run_id != dag_run_id:
            return champion
        known = {one.number: one for one in self.versions(ticker)}
        before = (known.get(move.before or 0) for move in self.history(ticker))
        # A run that was cleared and trained again may have moved the alias more than once.
        return next((one for one in before if one is None or one.dag_run_id != dag_run_id), None)

    def aliases(self, ticker: str) -> dict[str, int]:
        """Return the number of the version behind each alias of a ticker, those of a person included."""
        with answering(self._uri):
            try:
                found = self._client.get_registered_model(name_of(ticker)).aliases
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return {}
                raise
        return {alias: int(number) for alias, number in found.items()}

    def versions(self, ticker: str) -> list[Version]:
        """Return all versions of a ticker, ascending."""
        with answering(self._uri):
            found = self._client.search_model_versions(f"name = '{name_of(ticker)}'")
        return sorted(version_of(one) for one in found)

    def load(self, ticker: str, version: Version) -> Loaded:
        """Return the network and the recipe of a version.

        Raises:
            PipelineError: when its files are gone or broken.
        """
        return self._loaded(ticker, version, self._download_served)

    def load_evaluation(self, ticker: str, version: Version) -> Loaded:
        """Return the network and the recipe that a version was evaluated by: it knows no row after its cutoff.

        Raises:
            PipelineError: when its files are gone or broken.
        """
        if "evaluation_cutoff" not in version.tags:
            return self.load(ticker, version)  # the same network is served
        return self._loaded(ticker, version, self._download_evaluated)

    def _download_served(self, version: Version, folder: str) -> list[str]:
        """Return the local files of the network and the recipe, without the model's code: this process has its own."""
        root = self._client.get_logged_model(version.model_id).artifact_location
        return [mlflow.artifacts.download_artifacts(f"{root}/artifacts/{name}", dst_path=folder) for name in _FILES]

    def _download_evaluated(self, version: Version, folder: str) -> list[str]:
        return [self._client.download_artifacts(version.run_id, name, folder) for name in _FILES]

    def _loaded(self, ticker: str, version: Version, download: Callable[[Version, str], list[str]]) -> Loaded:
        from pipeline.forecasting import inference

        try:
            with tempfile.TemporaryDirectory() as folder, answering(self._uri):
                network, recipe_json = (Path(file).read_bytes() for file in download(version, folder))
                recipe = Recipe.from_json(recipe_json)
                return Loaded(inference.load(network, recipe), recipe)
        except (MlflowException, PipelineError, ValueError, TypeError) as error:
            if isinstance(error, Unavailable) and not isinstance(error.__cause__, FileNotFoundError):
                raise  # MLflow is away for now
            raise PipelineError(
                f"Version {version.number} of {name_of(ticker)} must load.",
                f"{type(error).__name__}: {str(error)[:200]}",
                f"It was looked for in {self._place(version)}. If that folder was moved, move it back. Else serve "
                f"another version: closecast champion rollback {ticker}, or champion set {ticker} <version>.",
            ) from error

    def facts(self, version: Version) -> tuple[dict[str, str], dict[str, str]]:
        """Return the parameters and the tags of the run that made a version; empty when that run was deleted."""
        params: dict[str, str] = {}
        tags: dict[str, str] = {}
        with answering(self._uri), gone_is_fine():
            data = self._client.get_run(version.run_id).data
            params |= data.params
            tags |= data.tags
        return params, tags

    def release(self, ticker: str, model_id: str, run_id: str, release: Release, when: dt.datetime) -> Released:
        """Register a trained model once, and move the aliases as decided. A second call changes nothing.

        The alias `champion` moves last, and only from the version that the decision was made against, or from another
        version of the same run, which trained again. A decision that is carried out late must not replace a champion
        that it has never seen, and a decision that was carried out must not undo a later decision of a person.
        """
        name = name_of(ticker)
        with answering(self._uri):
            registered = register(self._client, ticker, model_id, run_id, release.tags, release.description)
            version = registered.version
            newest = self._by_alias(ticker, CHALLENGER)
            if newest is None or newest.number < version:
                self._client.set_registered_model_alias(name, CHALLENGER, str(version))
            released = Released(version=version)
            if release.promoted:
                move = Move(when, version, release.champion, release.reason, continues=WEIGHTS_OF in release.tags)
                released = self._serve(ticker, move, release.tags.get("dag_run_id"), is_new=registered.is_new)
            served = release.promoted and not released.superseded
            if release.card and (served or version == 1):
                self._client.update_registered_model(name, release.card)
            return released

    def continue_champion(self, ticker: str, model_id: str, decided: Continuation, when: dt.datetime) -> Released:
        """Register the champion that stays once more, and serve it so, as `release` does. The challenger stays it."""
        with answering(self._uri):
            registered = register(self._client, ticker, model_id, decided.run_id, decided.tags, decided.description)
            move = Move(when, registered.version, decided.champion, decided.reason, continues=True)
            return self._serve(ticker, move, decided.tags.get("dag_run_id"), is_new=registered.is_new)

    def _serve(self, ticker: str, decided: Move, dag_run_id: str | None, *, is_new: bool) -> Released:
        """Move the alias `champion`, if it still is where the decision found it.

        A version that is new was never served, so no move has left it. Only for another one all versions are read:
        with 250 of them that takes longer than all other requests of a decision together.
        """
        version = decided.to
        current = self.champion(ticker)
        number = current.number if current else None
        if number == version:
            return Released(version=version)
        again = current and current.number < version and current.dag_run_id == dag_run_id
        left = not is_new and self._was_left(ticker, version)
        if (number == decided.before or again) and not left:
            self._move(ticker, decided._replace(before=number))
            return Released(version=version)
        released = Released(version=version, superseded=True, superseded_by=number)
        self._client.set_model_version_tag(name_of(ticker), str(version), "decision", released.reason)
        return released

    def set_champion(self, ticker: str, number: int, reason: str, *, back: bool = False) -> None:
        """Serve another version, as a person decided; `back` says that this undoes a move.

        Raises:
            UsageError: when there is no such version.
        """
        known = [one.number for one in self.versions(ticker)]
        if number not in known:
            raise UsageError(
                f"A champion of {ticker} must be a version of {name_of(ticker)}.",
                f"v{number}",
                f"Use one of: {', '.join(map(str, known)) or 'none yet'}.",
            )
        current = self.champion(ticker)
        if current is None or current.number != number:
            with answering(self._uri):
                before = current.number if current else None
                self._move(ticker, Move(dt.datetime.now(dt.UTC), number, before, reason, back))

    def roll_back(self, ticker: str, reason: str) -> int:
        """Serve the version again that was served before the champion, and return its number.

        Raises:
            UsageError: when there is none.
        """
        before = self.earlier_champion(ticker)
        if before is None:
            raise UsageError(
                f"A rollback needs a champion of {ticker} that replaced another one.",
                "no earlier champion",
                f"Look at closecast champion show {ticker}.",
            )
        self.set_champion(ticker, before, reason, back=True)
        return before

    def earlier_champion(self, ticker: str) -> int | None:
        """Return the version that a rollback serves; None when the champion replaced no other weights."""
        return served_before(self.history(ticker))

    def history(self, ticker: str) -> list[Move]:
        """Return the moves that led to the present champion, newest first.

        The moves are followed back from the alias. A move that a process recorded before it died is left out.
        """
        champion = self.champion(ticker)
        return moves_to(champion.number, self.versions(ticker)) if champion else []

    def _was_left(self, ticker: str, version: int) -> bool:
        return any(move.before == version for one in self.versions(ticker) for move in moves_of(one))

    def _by_alias(self, ticker: str, alias: str) -> Version | None:
        with answering(self._uri):
            try:
                return version_of(self._client.get_model_version_by_alias(name_of(ticker), alias))
            except MlflowException as error:
                if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                    return None  # no such model, or no such alias
                raise

    def _place(self, version: Version) -> str:
        """Return the folder or address of a version's files, or MLflow's name of the model if it is gone."""
        with contextlib.suppress(MlflowException, PipelineError), answering(self._uri):
            place = str(self._client.get_logged_model(version.model_id).artifact_location)
            return unquote(place.removeprefix("file://"))
        return source_of(version.model_id)

    def _move(self, ticker: str, move: Move) -> None:
        name = name_of(ticker)
        tag, value = move_tag(move)
        self._client.set_model_version_tag(name, str(move.to), tag, value)
        self._client.set_registered_model_alias(name, CHAMPION, str(move.to))
