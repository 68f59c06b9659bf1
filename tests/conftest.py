"""What several test modules share."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from pipeline.prices.sources import files
from pipeline.settings import Settings
from tests.support.tiny import tiny_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.nights import Finished

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _quick_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Copy MLflow's empty database instead of migrating each from nothing, and let SQLite not wait for the disk.

    Otherwise each new database costs 2 s of work and up to 10 s of waiting. Programs that tests start are not changed.
    """
    client = sys.modules.get("pipeline.tracking.client")
    if client is None:  # no test of this session uses MLflow
        yield
        return
    import sqlalchemy

    empty = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "_sqlite_lock", _copying(client._sqlite_lock, empty))
        sqlalchemy.event.listen(sqlalchemy.engine.Engine, "connect", _do_not_wait)
        yield
        sqlalchemy.event.remove(sqlalchemy.engine.Engine, "connect", _do_not_wait)


def _copying(lock: Any, empty: Path) -> Any:
    @contextlib.contextmanager
    def locked(uri: str) -> Iterator[None]:
        with lock(uri):
            database = Path(uri.removeprefix("sqlite:///"))
            new = uri.startswith("sqlite:///") and not database.exists()
            if new and empty.exists():
                shutil.copy(empty, database)
            yield
            if new and not empty.exists():
                shutil.copy(database, empty)

    return locked


def _do_not_wait(connection: Any, _: object) -> None:
    if "sqlite" in type(connection).__module__:
        connection.execute("PRAGMA synchronous = OFF")


@pytest.fixture(scope="module", autouse=True)
def _no_code_of_a_model() -> Iterator[None]:
    """Forget where the code of loaded models lies: processes that are started later would import that instead."""
    before = list(sys.path)
    yield
    sys.path[:] = before


@pytest.fixture(autouse=True)
def _nothing_of_another_test() -> Iterator[None]:
    """Forget what a test leaves in its process: settings of a command's options, and the registry `connect` names."""
    before = {name: value for name, value in os.environ.items() if name.startswith("CLOSECAST_")}
    yield
    for name in [name for name in os.environ if name.startswith("CLOSECAST_") and name not in before]:
        del os.environ[name]
    os.environ.update(before)
    if mlflow := sys.modules.get("mlflow"):
        mlflow.set_registry_uri("")
        os.environ.pop("MLFLOW_REGISTRY_URI", None)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Return the folder of real price files (CLOSECAST_TEST_DATA), or skip where there is none."""
    folder = Path(os.environ.get("CLOSECAST_TEST_DATA", _SHARED))
    if not folder.is_dir():
        pytest.skip(f"no real prices: {folder} is no folder; set CLOSECAST_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def netflix(test_data: Path) -> pd.DataFrame:
    """Return Netflix in the tutorial's range, 3,038 sessions."""
    return files.fetch("NFLX", dt.date(2010, 4, 1), dt.date(2022, 4, 25), path=test_data / "NFLX.csv")


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return settings with state of their own and a network that trains in a second."""
    return tiny_settings(monkeypatch, tmp_path)


@pytest.fixture(scope="session")
def _home_of_one_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.support.nights import night  # imports MLflow, which takes 5 s

    home = tmp_path_factory.mktemp("one-night")
    with pytest.MonkeyPatch.context() as patch:
        tiny_settings(patch, home)
        night("1", "2025-11-20")
    return home


@pytest.fixture(scope="session")
def _home_of_two_nights(_home_of_one_night: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.support.nights import night

    home = tmp_path_factory.mktemp("two-nights")
    shutil.copytree(_home_of_one_night / "var", home / "var")
    with pytest.MonkeyPatch.context() as patch:
        tiny_settings(patch, home)
        night("2", "2025-11-21")
    return home


@pytest.fixture
def one_night(_home_of_one_night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return settings like `tiny` with state in which AAA's run `manual__1` as of 2025-11-20 has promoted a version."""
    shutil.copytree(_home_of_one_night / "var", tmp_path / "var")
    return tiny_settings(monkeypatch, tmp_path)


@pytest.fixture
def two_nights(_home_of_two_nights: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return settings with AAA's runs `manual__1` and `manual__2`, each with a promoted version.

    They are as of 2025-11-20 and 2025-11-21. All tests share them, so a test only reads.
    """
    return tiny_settings(monkeypatch, _home_of_two_nights)


@pytest.fixture
def two_nights_copied(_home_of_two_nights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return a copy of `two_nights` that the test may change."""
    shutil.copytree(_home_of_two_nights / "var", tmp_path / "var")
    return tiny_settings(monkeypatch, tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Return a reported run of GOOD and BAD, the second with a broken file. All tests share it."""
    from tests.support.nights import run_good_and_bad  # imports MLflow, which takes 5 s

    with pytest.MonkeyPatch.context() as patch:
        return run_good_and_bad(patch, tmp_path_factory.mktemp("finished"))
