"""A preset: the frozen values that define a network, read from closecast.toml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.errors import UsageError

UNIVERSE = 10  # tickers from which scope `auto` shares a network


class Preset(BaseModel):
    """A recipe for one network. Every field is a parameter of the MLflow run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: Literal["close", "log_return"] = Field(
        examples=["log_return"],
        description="what the network sees and predicts: the price level, or the log return of a session",
    )
    scaler: Literal["minmax", "standard"] = Field(
        examples=["standard"], description="scikit-learn's MinMaxScaler or StandardScaler, fitted on train only"
    )
    lookback: int = Field(examples=[100], ge=1, le=1000, description="sessions in a window")
    train_fraction: float = Field(
        examples=[0.8], gt=0, lt=1, description="chronological share of the sessions that is train; the rest is test"
    )
    validation_fraction: float = Field(
        examples=[0.1], ge=0, lt=1, description="last share of train kept for early stopping; 0: no validation"
    )
    reach_back: bool = Field(
        examples=[True], description="may a window reach into the part before its own for inputs (never for targets)?"
    )
    cell: Literal["simple_rnn", "lstm", "gru"] = Field(default="simple_rnn", description="kind of recurrent layer")
    units: tuple[int, ...] = Field(examples=[[20, 20, 20]], min_length=1, description="width of each recurrent layer")
    zero_start: bool = Field(
        default=False,
        description="the output layer starts at zero: training then starts from the mean of train, which on returns is "
        "the random walk with drift, and leaves it only where validation confirms the step",
    )
    blend: bool = Field(
        default=False,
        description="mix the network with naive by a weight chosen on validation, 0 included; false: the network alone",
    )
    output: Literal["point", "distribution"] = Field(
        default="point",
        description="point: the next value of the target. distribution: location and scale of the next log return, "
        "from log return and log range variance of each session; intervals are calibrated every night",
    )
    scope: Literal["auto", "universe", "ticker"] = Field(
        default="ticker",
        description="ticker: a network for each ticker. universe: one network for all tickers of a run. auto: universe "
        f"from {UNIVERSE} tickers on",
    )
    range_decay: float = Field(
        default=0.85,
        gt=0,
        lt=1,
        description="weight of a session relative to the one after it in the EWMA of the range",
    )
    calibration_rows: int = Field(
        default=1000, ge=20, le=10_000, description="newest residuals that intervals are quantiles of"
    )
    adaptive_step: float = Field(
        default=0.007, ge=0, lt=1, description="of the level that adapts to hits and misses; 0: the level is fixed"
    )
    refit: bool = Field(
        default=False,
        description="fit once more before serving, on every session up to as_of, with the best epoch of the evaluation",
    )
    learning_rate: float = Field(examples=[3e-4], gt=0, description="of Adam")
    clip_norm: float | None = Field(
        default=None,
        examples=[1.0],
        gt=0,
        description="global gradient norm above which gradients are scaled down; null: never",
    )
    batch_size: int = Field(examples=[32], ge=1, description="windows in one gradient step")
    epochs: int = Field(examples=[80], ge=1, le=10_000, description="passes over train at most")
    patience: int | None = Field(
        examples=[5],
        default=None,
        ge=1,
        description="epochs without a better validation loss before training stops; null: train all epochs",
    )
    seed: int = Field(examples=[0], ge=0, lt=2**31, description="of initial weights and of the shuffling of windows")

    @model_validator(mode="after")
    def _check_needs(self) -> Preset:
        if self.patience is not None and self.validation_fraction == 0:
            msg = "patience needs a validation_fraction above 0: test data never decides anything"
            raise ValueError(msg)
        if self.blend and self.validation_fraction == 0:
            msg = "blend needs a validation_fraction above 0: test data never decides anything"
            raise ValueError(msg)
        if self.output == "distribution":
            self._check_distribution()
        elif self.scope != "ticker" or self.refit:
            msg = 'scope other than "ticker", and refit, need output = "distribution"'
            raise ValueError(msg)
        return self

    @property
    def parameters(self) -> dict[str, str]:
        """Return each field as MLflow records it."""
        return {name: str(value) for name, value in self.model_dump().items()}

    def shares_network(self, tickers: int) -> bool:
        """Return whether a run of so many tickers trains one network for all of them."""
        return tickers > 1 and (self.scope == "universe" or (self.scope == "auto" and tickers >= UNIVERSE))

    def _check_distribution(self) -> None:
        if self.target != "log_return" or self.scaler != "standard":
            msg = 'output = "distribution" needs target = "log_return" and scaler = "standard": it scales log returns'
            raise ValueError(msg)
        if self.validation_fraction == 0:
            msg = 'output = "distribution" needs a validation_fraction above 0: test data never decides anything'
            raise ValueError(msg)


def inherited_fields(presets: Mapping[str, Any], path: tuple[str, ...]) -> Any:  # noqa: ANN401 - not validated yet
    """Return the fields of a preset before validation, with those of the preset that `like` names below them.

    Args:
        presets: the tables of closecast.toml, by name.
        path: the preset, after the presets that reached it through `like`.

    Raises:
        UsageError: when `like` names an unknown preset, or leads back to a preset of the path.
    """
    name = path[-1]
    fields = presets[name]
    if not isinstance(fields, Mapping) or "like" not in fields:
        return fields
    parent = fields["like"]
    if not isinstance(parent, str) or parent not in presets:
        raise UsageError(
            f"presets.{name}.like must name another preset.",
            repr(parent)[:80],
            f"Use one of: {', '.join(sorted(set(presets) - {name}))}.",
        )
    if parent in path:
        raise UsageError(
            "A preset must not be like itself.",
            " -> ".join([*path, parent]),
            "Remove `like` from one of these presets and set every field of that preset.",
        )
    own_fields = {field: value for field, value in fields.items() if field != "like"}
    parent_fields = inherited_fields(presets, (*path, parent))
    if not isinstance(parent_fields, Mapping):
        return own_fields
    return {**parent_fields, **own_fields}
