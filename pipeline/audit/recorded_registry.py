"""The registry of a night as it was recorded: the champion before it, and the version that its forecast was made by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pipeline.errors import PipelineError
from pipeline.forecasting import inference
from pipeline.forecasting.recipe import Recipe
from pipeline.tracking.champion_record import ChampionRecord, NetworkRecord, weights_of
from pipeline.tracking.registry import Loaded
from pipeline.tracking.versions import Version


class Served(NamedTuple):
    """A version with the content of its files."""

    version: Version
    network: bytes
    recipe: bytes


class RecordedRegistry:
    """The part of `Registry` that steps read, without MLflow."""

    def __init__(self, store_url: str, champions: Mapping[str, ChampionRecord]) -> None:
        """Start as the night did.

        Args:
            store_url: the store with the recorded weights.
            champions: by ticker.
        """
        self._store_url = store_url
        self._before = champions
        self._now: dict[str, Served | Version | None] = {ticker: one.version for ticker, one in champions.items()}

    def serve(self, ticker: str, served: Served | Version | None) -> None:
        """Let `champion` return another version from now on: a new one with its files, or the recorded one."""
        self._now[ticker] = served

    def champion_before(self, ticker: str, dag_run_id: str) -> Version | None:
        """Return the version that was served before the night."""
        del dag_run_id
        return self._before[ticker].version

    def champion(self, ticker: str) -> Version | None:
        """Return the version that is served now."""
        now = self._now[ticker]
        return now.version if isinstance(now, Served) else now

    def facts(self, version: Version) -> tuple[dict[str, str], dict[str, str]]:
        """Return the parameters and the tags of the run that made the champion before the night."""
        for one in self._before.values():
            if one.version == version:
                return dict(one.run_params), dict(one.run_tags)
        return {}, {}

    def load(self, ticker: str, version: Version) -> Loaded:
        """Return the network and the recipe of a version.

        Raises:
            PipelineError: when the night recorded no such network.
        """
        now = self._now[ticker]
        if isinstance(now, Served) and now.version == version:
            recipe = Recipe.from_json(now.recipe)
            return Loaded(inference.load(now.network, recipe), recipe)
        return self._recorded(ticker, version, self._before[ticker].served)

    def load_evaluation(self, ticker: str, version: Version) -> Loaded:
        """Return the network and the recipe that a version was evaluated by. Errors as of `load`."""
        return self._recorded(ticker, version, self._before[ticker].evaluated)

    def _recorded(self, ticker: str, version: Version, network: NetworkRecord | None) -> Loaded:
        if network is None or self._before[ticker].number != version.number:
            raise PipelineError(
                "A night records the networks that it needs.",
                f"no network of v{version.number} of {ticker}",
                "Nothing: this step of the night cannot be made again.",
            )
        recipe = Recipe.from_json(network.recipe.encode())
        return Loaded(inference.load(weights_of(self._store_url, network), recipe), recipe)
