"""Channels on this machine and an empty memory of alerts."""

import apprise
import pytest

from pipeline.alerting import delivery
from pipeline.store.folder import Folder
from tests.support.alert_channels import mailbox, webhook


@pytest.fixture
def hook():
    """Run a webhook."""
    with webhook() as running:
        yield running


@pytest.fixture
def box():
    """Run a mail server."""
    with mailbox() as running:
        yield running


@pytest.fixture
def memory(tmp_path):
    """Return an empty memory of alerts."""
    return Folder(str(tmp_path / "store" / "_alerts"))


@pytest.fixture(scope="package", autouse=True)
def _plugins():
    """Load Apprise's services before anything is timed."""
    apprise.Apprise.instantiate("json://localhost")


@pytest.fixture
def impatient(monkeypatch):
    """Make a hanging channel cost seconds, which are many times the pause between two messages."""
    monkeypatch.setattr(delivery, "_PATIENCE_SECONDS", 5.0)
    monkeypatch.setattr(delivery, "_PAUSE_SECONDS", 0.1)
