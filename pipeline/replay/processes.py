"""The processes of a replay: as many tasks at a time as there are workers, and an end of all of them with Ctrl-C."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeVar

Task = TypeVar("Task")


def worked(left: deque[Task], workers: int, start: Callable[[Task], Future[Any]]) -> Iterator[tuple[Task, Any]]:
    """Yield each task with its result as it ends; the caller may add tasks meanwhile."""
    running: dict[Future[Any], Task] = {}
    while left or running:
        while left and len(running) < workers:
            task = left.popleft()
            running[start(task)] = task
        future = next(iter(wait(running, return_when=FIRST_COMPLETED).done))
        yield running.pop(future), future.result()


@contextmanager
def processes(workers: int) -> Iterator[Executor]:
    """Yield a pool of processes; for one worker, this process itself."""
    if workers <= 1:
        with _Here() as here:
            yield here
        return
    # TensorFlow must not be loaded before a fork. Workers ignore Ctrl-C: this process ends them.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, _ignore_interrupt) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()
            raise


def _ignore_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Here(Executor):
    """Does each task at once, in this process."""

    def submit(self, task: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:  # noqa: ANN401
        future: Future[Any] = Future()
        try:
            future.set_result(task(*args, **options))
        except Exception as error:  # noqa: BLE001 - `result` raises it
            future.set_exception(error)
        return future
