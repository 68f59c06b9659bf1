"""The only reader of the environment and of closecast.toml.

Precedence: arguments of `load_settings`, then `CLOSECAST_*` variables, then closecast.toml, then the defaults below.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_origin

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from pipeline.errors import UsageError
from pipeline.settings.complaints import broken_setting
from pipeline.settings.fault import Fault
from pipeline.settings.gate import Gate
from pipeline.settings.parameters import BY_NAME, SOURCES
from pipeline.settings.preset import Preset, inherited_fields
from pipeline.settings.variables import check_variables, parsed_list

CHECKOUT = Path(__file__).resolve().parent.parent.parent
if TYPE_CHECKING:
    Source = str
else:
    Source = Literal[SOURCES]  # the names of the record, for pydantic's check and message
Gpu = Literal["off", "auto", "require", "queue"]


class Environment(EnvSettingsSource):
    """Reads CLOSECAST_ variables: a list is separated by commas or in JSON, and an empty variable counts as not set."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        self.env_vars = {name: value for name, value in self.env_vars.items() if value and value.strip()}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: str) -> Any:  # noqa: ANN401 - as declared
        """Return a list or the content of JSON. Other text is returned as it is, and the field refuses it."""
        del field_name
        is_list = field is not None and get_origin(field.annotation) is tuple
        if is_list:
            return parsed_list(value)
        try:
            return json.loads(value)
        except ValueError:
            return value


class Settings(BaseSettings):
    """Locations, limits and services, and the default of each run parameter."""

    model_config = SettingsConfigDict(env_prefix="CLOSECAST_", env_nested_delimiter="__", frozen=True, extra="forbid")

    home: Path = Field(CHECKOUT, description="folder with closecast.toml, dags/, expectations/ and var/")
    var: Path = Field(Path("var"), description="all state; relative to home")
    store: str = Field("", description="artefacts: a folder or a URL of fsspec; empty: <var>/store")
    tracking_uri: str = Field("", description="MLflow: a server's or a database's URL; empty: SQLite in var")
    ledger: str = Field(
        "", description="served forecasts: a folder, or a URL of fsspec or of a database; empty: in the store"
    )
    experiment: str = Field("closecast", min_length=1, description="MLflow experiment")
    calendar: str = Field("XNYS", description="trading calendar, a name of exchange_calendars")
    closed_sessions: tuple[dt.date, ...] = Field(
        (),
        examples=[["2018-12-05", "2025-01-09"]],
        description="sessions of the calendar on which the exchange did not open",
    )

    tickers: tuple[str, ...] = Field(
        ("AAA", "BBB"), examples=[["NFLX", "AAPL"]], description=BY_NAME["tickers"].description
    )
    source: Source = Field("sample", description=BY_NAME["source"].description)
    prices: Path | None = Field(None, description=BY_NAME["prices"].description)
    currency: str = Field("", examples=["USD"], description=BY_NAME["currency"].description)
    fault: Fault | None = Field(None, examples=["bad_bar"], description=BY_NAME["fault"].description)
    accept_restated: bool = Field(False, description=BY_NAME["accept_restated"].description)
    start: dt.date | None = Field(None, examples=["2010-04-01"], description=BY_NAME["start"].description)
    as_of: dt.date | None = Field(None, examples=["2025-11-21"], description=BY_NAME["as_of"].description)
    preset: str = Field("daily", description=BY_NAME["preset"].description)
    presets: dict[str, Preset] = Field(
        default_factory=dict, examples=[{"daily": {"epochs": 20}}], description="recipes by name"
    )
    gate: Gate = Field(Gate(), examples=[{"tolerance": 0.01}], description="limits of promotion and of decay")
    walk_forward: int = Field(0, ge=0, le=250, examples=[5], description=BY_NAME["walk_forward"].description)
    sliding: bool = Field(False, description="true: each fold drops its oldest sessions; false: its history grows")

    batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto",
        description="tickers that one mapped Airflow task handles together; auto: as many batches as tasks run at once",
    )
    retrain_every: int = Field(
        1, ge=1, le=250, description="sessions from one training of a network to the next; each night has a forecast"
    )
    min_history: int = Field(250, ge=0, description="sessions needed beyond one lookback")
    max_jump: float = Field(0.5, gt=0, description="largest |log return| of a close without a split")
    gpu: Gpu = Field(
        "auto",
        description="off: hide the card. auto: use a card if there is one. require: fail at once without a card. "
        "queue: as auto, and Airflow sends only `train` to the queue `gpu`",
    )
    retries: int = Field(5, ge=0, description="further tries of a task after a temporary failure")
    pod_gpus: int = Field(0, ge=0, description="KubernetesExecutor: GPUs that the pod of `train` asks for; 0: none")
    retry_seconds: float = Field(60.0, gt=0, description="wait before the first further try of a task")
    yahoo_timeout: float = Field(30.0, gt=0, description="seconds to wait for one response of Yahoo")
    delay_minutes: int = Field(
        90, ge=0, description="wait from a session's close to its run, so that prices are complete"
    )
    late_minutes: int = Field(
        240, ge=0, description="time from a session's close to the alert that no run has finished"
    )
    ask_hours: float = Field(
        0.0,
        ge=0,
        le=168,
        description="hours that an unexplained restatement waits for a person's answer on Airflow's page; 0: it is "
        "critical at once, as in each run that no stack started",
    )
    keep_nights: int = Field(10, ge=1, description="last nights of each ticker and source that `closecast prune` keeps")
    keep_rows: int = Field(
        10, ge=0, description="last sessions in the ledger whose forecasts `closecast prune` keeps the nights of"
    )
    prune_weekly: bool = Field(False, description="true: the DAG `prune` deletes old nights every Sunday")
    alert_urls: SecretStr = Field(
        SecretStr(""), description="channels that receive alerts: Apprise URLs, separated by spaces"
    )
    heartbeat_url: SecretStr = Field(
        SecretStr(""), description="address of a dead man's switch: it gets a request after each good night"
    )
    airflow_url: str = Field("", description="Airflow's web page in alerts; empty: the one of `make up`")
    mlflow_url: str = Field(
        "", description="MLflow's web page in alerts; empty: the tracking server, or that of `make up`"
    )
    airflow_port: int = Field(8080, ge=1, le=65535, description="Airflow's web page, on 127.0.0.1")
    mlflow_port: int = Field(5000, ge=1, le=65535, description="MLflow's web page, on 127.0.0.1")
    cluster: bool = Field(False, description="the stack of `make up-cluster`: PostgreSQL, Redis, Celery's workers")
    postgres_port: int = Field(55432, ge=1, le=65535, description="the cluster's PostgreSQL, on 127.0.0.1")
    redis_port: int = Field(56379, ge=1, le=65535, description="the cluster's Redis, on 127.0.0.1")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put closecast.toml below the environment."""
        del env_settings, dotenv_settings, file_secret_settings
        toml = TomlConfigSettingsSource(settings_cls, home_folder() / "closecast.toml")
        return init_settings, Environment(settings_cls), toml

    @field_validator("presets", mode="before")
    @classmethod
    def _with_inherited_fields(cls, presets: Any) -> Any:  # noqa: ANN401 - not validated yet
        """Replace `like` in each preset by the fields of the preset that it names."""
        if not isinstance(presets, dict):
            return presets
        return {name: inherited_fields(presets, (name,)) for name in presets}

    @property
    def ledger_place(self) -> str:
        """Return the folder or database of served forecasts."""
        return self.ledger or f"{self.store_url}/_ledger"

    @property
    def var_dir(self) -> Path:
        """Return the absolute folder of all state."""
        return (self.home / self.var.expanduser()).resolve()

    @property
    def store_url(self) -> str:
        """Return the store as an absolute path or a URL."""
        if "://" in self.store:
            return self.store.rstrip("/")
        if self.store:
            return str((self.home / Path(self.store).expanduser()).resolve())
        return str(self.var_dir / "store")

    @property
    def mlflow_uri(self) -> str:
        """Return MLflow's address: the server's when one is set or the cluster has one, else SQLite below `var`."""
        server = self.own_mlflow_server if self.cluster else ""
        return self.tracking_uri or server or f"sqlite:///{self.mlflow_database}"

    @property
    def mlflow_database(self) -> Path:
        """Return the SQLite database of MLflow below `var`."""
        return self.var_dir / "mlflow" / "mlflow.db"

    @property
    def uses_own_mlflow_server(self) -> bool:
        """Return whether MLflow's address is that of the server that this checkout starts."""
        same = (self.own_mlflow_server, f"http://localhost:{self.mlflow_port}")
        return self.mlflow_uri.rstrip("/") in same

    @property
    def own_mlflow_server(self) -> str:
        """Return the address of the MLflow server that this checkout starts."""
        return f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def mlflow_password_file(self) -> Path:
        """Return the file with the password of the MLflow server that this checkout starts."""
        return self.var_dir / "mlflow" / "password"

    @property
    def mlflow_artifacts(self) -> Path:
        """Return the folder of MLflow's artifacts when MLflow runs on SQLite."""
        return self.var_dir / "mlflow" / "artifacts"

    @property
    def alert_channels(self) -> list[str]:
        """Return the URLs of the alert channels; they hold passwords."""
        return self.alert_urls.get_secret_value().split()

    @property
    def airflow_page(self) -> str:
        """Return the address of Airflow's web page."""
        return (self.airflow_url or f"http://127.0.0.1:{self.airflow_port}").rstrip("/")

    @property
    def mlflow_page(self) -> str:
        """Return the address of MLflow's web page."""
        server = self.tracking_uri if self.tracking_uri.startswith("http") else f"http://127.0.0.1:{self.mlflow_port}"
        scheme, _, rest = (self.mlflow_url or server).rstrip("/").partition("://")
        return f"{scheme}://{rest.rsplit('@', maxsplit=1)[-1]}"  # without a password

    @property
    def suite_path(self) -> Path:
        """Return the Great Expectations suite."""
        return self.home / "expectations" / "prices.json"


def home_folder() -> Path:
    """Return the folder with closecast.toml, before the settings are read."""
    return Path(os.environ.get("CLOSECAST_HOME", "").strip() or CHECKOUT).expanduser().resolve()


def load_settings(**overrides: object) -> Settings:
    """Return the settings, with `overrides` above everything else; `None` means "not given".

    Raises:
        UsageError: names the first setting that breaks its rule, or an unknown CLOSECAST_ variable.
    """
    check_variables(os.environ, Settings.model_fields)
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(home=home_folder(), **given)  # type: ignore[arg-type]
    except ValidationError as error:
        raise broken_setting(error, Settings, given) from None
    except ValueError as error:  # closecast.toml is not TOML
        raise UsageError("Settings must be readable.", str(error), "Correct closecast.toml.") from None
