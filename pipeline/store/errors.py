"""Errors of the store: the exceptions of each store's library as errors of the pipeline."""

from __future__ import annotations

from pipeline.errors import PipelineError, StoreError, Unavailable, without_secrets

# By name: importing the libraries of all stores for their classes would take seconds.
_AWAY = {"ConnectionError", "TimeoutError", "HTTPClientError", "ClientConnectionError", "ClientPayloadError"}
_LONGEST = 400


def refused(verb: str, url: str, error: Exception) -> PipelineError:
    """Return the error of a store that failed, without the secrets in its address.

    Args:
        verb: the operation that failed: "read", "write" ...
        url: the address of the file.
        error: the exception of its library.
    """
    received = without_secrets(f"{url}: {_reason(url, error)}", url)[:_LONGEST]
    remote = "://" in url
    if isinstance(error, ImportError) or "Protocol not known" in str(error):
        return StoreError(
            "The store's driver must be installed.",
            received,
            "Run `.venv/bin/uv pip install --python .venv/bin/python -r pyproject.toml --extra gcs` in the checkout "
            "(s3 for s3://), and again after the lock has changed. Or correct CLOSECAST_STORE.",
        )
    if remote and _may_pass(error):
        return Unavailable(
            "The store must answer.",
            received,
            "Check that it runs and that its address is right (AWS_ENDPOINT_URL for s3://), then try again.",
        )
    check_folder = "Check that the folder exists, belongs to you and has room, or set CLOSECAST_STORE to another place."
    check_bucket = (
        "Check that the bucket exists, that address and keys are right (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID ... for "
        "s3://), and that the keys may read, write, list and delete."
    )
    return StoreError(
        f"The store must let this run {verb} its files.", received, check_bucket if remote else check_folder
    )


def _reason(url: str, error: Exception) -> str:
    """Return the text of an exception: its class without a text, "No such file" where it only repeats the path."""
    reason = str(getattr(error, "strerror", None) or error) or type(error).__name__
    return "No such file" if isinstance(error, FileNotFoundError) and reason.strip("/") in url else reason


def _may_pass(error: Exception) -> bool:
    """Return whether another try may succeed: the server did not answer, was busy, or failed for now."""
    if _AWAY & {kind.__name__ for kind in type(error).__mro__}:
        return True
    answer = getattr(error.__cause__, "response", {})  # of botocore; errors of Google have a `code`
    status = str(answer.get("ResponseMetadata", {}).get("HTTPStatusCode") or getattr(error, "code", ""))
    return status in {"409", "429"} or status.startswith("5")
