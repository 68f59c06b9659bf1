"""PostgreSQL on loopback for one test module, without the rest of the stack."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.errors import PipelineError
from pipeline.operations import servers
from tests.support.stacks import settings_for

if TYPE_CHECKING:
    from collections.abc import Iterator


def home_of_servers() -> Path:
    """Return a new folder that PostgreSQL's account can enter; skip the test where its programs are missing."""
    try:
        servers.commands()
    except PipelineError as missing:
        if os.environ.get("REQUIRE_CLUSTER"):
            raise
        pytest.skip(f"{missing.rule} {missing.received}")
    home = Path(tempfile.mkdtemp(prefix="closecast-"))  # pytest's own folder keeps out PostgreSQL's account
    home.chmod(0o711)
    return home


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Yield the URL of an empty database."""
    home = home_of_servers()
    settings = settings_for(home)
    var = settings.var_dir
    var.mkdir(mode=0o711, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        try:
            servers.prepare(settings)
            patch.setenv("PGPASSFILE", servers.environment(settings)["PGPASSFILE"])
            with servers.temporary_postgres(settings):
                yield servers.database_url(settings, "mlflow")
        finally:
            shutil.rmtree(home)
