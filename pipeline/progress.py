"""What can be watched of a run while it runs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pipeline.outcome import Manifest

log = logging.getLogger("closecast")


class Progress(Protocol):
    """Whoever wants to watch a run."""

    def started(self, ticker: str, step: str) -> None:
        """Tell that a step began."""

    def epoch(self, ticker: str, epoch: int, epochs: int, loss: float) -> None:
        """Tell that an epoch of training ended; `epochs` is the most there can be."""

    def ended(self, ticker: str, manifest: Manifest, *, reused: bool) -> None:
        """Tell that a step ended, well or not."""


class LogProgress:
    """Progress as plain lines of the log."""

    def started(self, ticker: str, step: str) -> None:
        """Say nothing: the end of a step says it all."""

    def epoch(self, ticker: str, epoch: int, epochs: int, loss: float) -> None:
        """Say so for the first epoch and each tenth."""
        if epoch == 1 or epoch % 10 == 0:
            log.info("%s train: epoch %d of at most %d, loss %.6f", ticker, epoch, epochs, loss)

    def ended(self, ticker: str, manifest: Manifest, *, reused: bool) -> None:
        """Say how a step ended, with its findings."""
        how = "FAILED" if manifest.failed else "reused" if reused else f"{manifest.seconds:.1f} s"
        log.info("%s %s: %s", ticker, manifest.step, how)
        for finding in manifest.outcome.findings:
            log.log(
                logging.ERROR if finding.severity == "critical" else logging.WARNING,
                "%s %s: %s: %s", ticker, manifest.step, finding.severity, finding,
            )  # fmt: skip
