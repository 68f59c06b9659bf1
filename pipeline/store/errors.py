"""What the libraries of stores raise, in words for people: each library has classes of its own."""

from __future__ import annotations

from pipeline.errors import PipelineError, StoreError, Unavailable, without_secrets

# By name: importing the libraries of all stores to know their classes would take seconds.
_AWAY = {"ConnectionError", "TimeoutError", "HTTPClientError", "ClientConnectionError", "ClientPayloadError"}
_LONGEST = 400


def refused(verb: str, url: str, error: Exception) -> PipelineError:
    """Return the error of a store that failed, without the secrets that its address may hold.

    Args:
        verb: what was tried: "read", "write" ...
        url: the address of the file.
        error: what its library raised.
    """
    received, remote = without_secrets(f"{url}: {_reason(url, error)}", url)[:_LONGEST], "://" in url
    if isinstance(error, ImportError) or "Protocol not known" in str(error):
        return StoreError(
            "The store's driver must be installed.",
            received,
            "Run `.venv/bin/uv pip install --editable '.[gcs]'` in the checkout ('.[s3]' for s3://), again when the "
            "lock has changed. Or correct CLOSECAST_STORE.",
        )
    if remote and _may_pass(error):
        return Unavailable(
            "The store must answer.",
            received,
            "Look whether it runs and whether its address is right (AWS_ENDPOINT_URL for s3://), and try again.",
        )
    return StoreError(
        f"The store must let this run {verb} its files.",
        received,
        "Look whether the bucket exists, and whether address and keys are right (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID "
        "... for s3://) and may read, write, list and delete."
        if remote
        else "Check that the folder exists, belongs to you and has room, or set CLOSECAST_STORE to another place.",
    )


def _reason(url: str, error: Exception) -> str:
    reason = str(getattr(error, "strerror", None) or error) or type(error).__name__
    return "No such file" if isinstance(error, FileNotFoundError) and reason.strip("/") in url else reason


def _may_pass(error: Exception) -> bool:
    """Return whether another try may succeed: no answer came, or one that says busy, or broken for now."""
    if _AWAY & {kind.__name__ for kind in type(error).__mro__}:
        return True
    answer = getattr(error.__cause__, "response", {})  # of botocore; Google's errors have a code themselves
    status = str(answer.get("ResponseMetadata", {}).get("HTTPStatusCode") or getattr(error, "code", ""))
    return status in {"409", "429"} or status.startswith("5")
