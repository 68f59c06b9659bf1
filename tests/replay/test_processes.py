"""Tasks in processes: a few at a time, new ones meanwhile, and an error of one of them."""

import os
from collections import deque
from concurrent.futures import Future

import pytest

from pipeline.replay.processes import processes, worked


def test_each_task_is_yielded_with_its_result_and_few_wait_in_the_pool():
    """Also a task that is added meanwhile; the third one starts after the first has ended."""
    started = []

    def start(task):
        started.append(task)
        future = Future()
        future.set_result(task * 10)
        return future

    left = deque([1, 2, 3])
    found = {}
    for task, result in worked(left, 2, start):
        if not found:
            assert started == [1, 2]
            left.append(4)
        found[task] = result
    assert found == {1: 10, 2: 20, 3: 30, 4: 40}


@pytest.mark.parametrize("workers", [1, 2])
def test_the_error_of_a_task_ends_the_others(workers):
    """It is raised where the result is asked for."""
    with pytest.raises(ZeroDivisionError), processes(workers) as pool:
        list(worked(deque([1, 0, 1]), workers, lambda task: pool.submit(divmod, 1, task)))


def test_one_worker_is_this_process():
    """Two are others."""
    for workers, here in ((1, True), (2, False)):
        with processes(workers) as pool:
            assert (pool.submit(os.getpid).result() == os.getpid()) is here
