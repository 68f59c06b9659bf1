"""Progress of a run, for readers who watch it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pipeline.outcome import Manifest

log = logging.getLogger("closecast")


class Progress(Protocol):
    """A receiver of the events of a run."""

    def started(self, ticker: str, step: str) -> None:
        """Receive the start of a step."""

    def epoch(self, ticker: str, epoch: int, epochs: int, loss: float) -> None:
        """Receive the end of an epoch; early stopping may end the training before `epochs`."""

    def ended(self, ticker: str, manifest: Manifest, *, reused: bool) -> None:
        """Receive the end of a step, failed or not."""


class LogProgress:
    """Progress as plain lines of the log."""

    def started(self, ticker: str, step: str) -> None:
        """Log nothing: the line at the end of a step names the step."""

    def epoch(self, ticker: str, epoch: int, epochs: int, loss: float) -> None:
        """Log the first epoch and each tenth."""
        if epoch == 1 or epoch % 10 == 0:
            log.info("%s train: epoch %d of at most %d, loss %.6f", ticker, epoch, epochs, loss)

    def ended(self, ticker: str, manifest: Manifest, *, reused: bool) -> None:
        """Log the end of a step, with its findings."""
        log.info("%s %s: %s", ticker, manifest.step, _result(manifest, reused=reused))
        for finding in manifest.outcome.findings:
            log.log(
                logging.ERROR if finding.severity == "critical" and not finding.asks else logging.WARNING,
                "%s %s: %s: %s", ticker, manifest.step, finding.severity, finding,
            )  # fmt: skip


def _result(manifest: Manifest, *, reused: bool) -> str:
    if manifest.waiting:
        return "waits for a decision"
    if manifest.failed:
        return "FAILED"
    return "reused" if reused else f"{manifest.seconds:.1f} s"
