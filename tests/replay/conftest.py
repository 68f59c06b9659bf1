"""What the tests of replays share."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.tiny import tiny_settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.replays import Ran


@pytest.fixture(scope="session")
def _seven_nights(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    from tests.support import replays  # imports MLflow

    home = tmp_path_factory.mktemp("seven-nights")
    with pytest.MonkeyPatch.context() as patch:
        tiny_settings(patch, home)
        return replays.ran(home)


@pytest.fixture
def seven_nights(_seven_nights: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Return a copy of a store that ran AAA for seven nights; the settings of the environment are its own."""
    shutil.copytree(_seven_nights.home / "var", tmp_path / "var")
    tiny_settings(monkeypatch, tmp_path)
    return _seven_nights._replace(home=tmp_path)
