"""What stores raise, in words for people."""

import pytest

from pipeline.errors import StoreError, Unavailable
from pipeline.store.errors import refused


class HTTPClientError(Exception):
    """As botocore names what a connection does; its children have names of their own."""


class ReadTimeoutError(HTTPClientError):
    """The same."""


def answered(status: int) -> OSError:
    """Return what s3fs raises for an answer of S3."""
    error = OSError(5, "words of the server")
    error.__cause__ = type(
        "ClientError", (Exception,), {"response": {"ResponseMetadata": {"HTTPStatusCode": status}}}
    )()
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionResetError(104, "reset"), Unavailable),
        (TimeoutError(), Unavailable),
        (ReadTimeoutError("slow"), Unavailable),
        *((answered(status), Unavailable) for status in (409, 429, 500, 503)),
        *((answered(status), StoreError) for status in (400, 403, 404, 412)),
        (PermissionError("Access Denied"), StoreError),
        (ImportError("Please install gcsfs"), StoreError),
    ],
)
def test_what_may_pass_is_worth_another_try(error, kind):
    """No answer, or one that says busy; all else needs a person."""
    assert type(refused("read", "s3://bucket/x", error)) is kind


def test_a_driver_that_is_missing_is_installed_from_the_checkout():
    """No index has a package `closecast`."""
    assert "-r pyproject.toml --extra gcs`" in refused("read", "gs://b/x", ImportError("Please install gcsfs")).todo


def test_a_full_disk_needs_a_person():
    """The path is named."""
    error = refused("write", "/data/x", OSError(28, "No space left on device"))
    assert str(error).splitlines()[1] == "Received: /data/x: No space left on device"
    assert not error.retryable


def test_an_error_without_words_has_its_name():
    """`TimeoutError()` says nothing."""
    assert "s3://bucket/x: TimeoutError" in str(refused("read", "s3://bucket/x", TimeoutError()))
