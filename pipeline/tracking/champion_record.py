"""The champion as a night met it: `champion.json`. The weights before the night lie beside it, named by their content.

<store>/_weights/<ticker>/<hash>.keras    one network, which all nights that met it share
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from pipeline.forecasting import inference
from pipeline.store.folder import Folder
from pipeline.store.formats import sha256
from pipeline.tracking.versions import Version

if TYPE_CHECKING:
    from pipeline.tracking.registry import Loaded

FILE = "champion.json"
ROOT = "_weights"


class NetworkRecord(BaseModel):
    """One network with its recipe."""

    model_config = ConfigDict(frozen=True)

    weights: str = Field(description="path below the store")
    recipe: str = Field(description="content of its recipe.json")


class ChampionRecord(BaseModel):
    """The version that was served before a night. `champion.json`: written and read here alone."""

    model_config = ConfigDict(frozen=True)

    number: int | None = Field(description="None: no version was served")
    model_id: str = ""
    run_id: str = ""
    tags: dict[str, str] = Field(default={}, description="of the version")
    run_params: dict[str, str] = Field(default={}, description="of the run that made it")
    run_tags: dict[str, str] = {}
    served: NetworkRecord | None = Field(default=None, description="None where the night did not need the network")
    evaluated: NetworkRecord | None = Field(default=None, description="the network of its evaluation")

    @property
    def version(self) -> Version | None:
        """Return the version as the registry had it."""
        if self.number is None:
            return None
        return Version(self.number, self.model_id, self.run_id, self.tags)

    def to_json(self) -> bytes:
        """Return the content of champion.json."""
        return self.model_dump_json(indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> ChampionRecord:
        """Return the record that `to_json` wrote."""
        return cls.model_validate_json(data)


class Recorded(NamedTuple):
    """A record, and the networks that it names."""

    record: ChampionRecord
    weights: dict[str, bytes]  # by path below the store


def recorded(
    ticker: str,
    version: Version | None,
    run_params: Mapping[str, str],
    run_tags: Mapping[str, str],
    *,
    served: Loaded | None,
    evaluated: Loaded | None,
) -> Recorded:
    """Return the record of a champion.

    Args:
        ticker: of the champion.
        version: None where no version is served.
        run_params: parameters of the run that made it.
        run_tags: tags of that run.
        served: its network; None where the night does not need it.
        evaluated: the network of its evaluation; None likewise.
    """
    if version is None:
        return Recorded(ChampionRecord(number=None), {})
    weights: dict[str, bytes] = {}
    record = ChampionRecord(
        number=version.number,
        model_id=version.model_id,
        run_id=version.run_id,
        tags=dict(version.tags),
        run_params=dict(run_params),
        run_tags=dict(run_tags),
        served=_network(ticker, served, weights) if served else None,
        evaluated=_network(ticker, evaluated, weights) if evaluated else None,
    )
    return Recorded(record, weights)


def weights_of(store_url: str, network: NetworkRecord) -> bytes:
    """Return the recorded network.

    Raises:
        Damaged: when it is missing, or is not as it was written.
        StoreError: when the store refuses.
    """
    folder, _, name = network.weights.rpartition("/")
    return Folder(f"{store_url}/{folder}").read_kept(
        name,
        lambda data: f"{sha256(data)}.keras",
        rule="The weights before a night must be as they were written.",
        todo="Restore the file from a backup. Then repeat the command.",
    )


def _network(ticker: str, loaded: Loaded, weights: dict[str, bytes]) -> NetworkRecord:
    data = inference.to_bytes(loaded.network)
    path = f"{ROOT}/{ticker}/{sha256(data)}.keras"
    weights[path] = data
    return NetworkRecord(weights=path, recipe=loaded.recipe.to_json().decode())
