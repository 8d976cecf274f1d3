from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from kanjiprep.dataset import workers
from kanjiprep.errors import InputError, KanjiprepError


def double(numbers: Sequence[int]) -> list[tuple[int, int]]:
    return [(os.getpid(), 2 * number) for number in numbers]


def fail(numbers: Sequence[int]) -> None:
    raise InputError("broken", str(numbers[0]))


def die(numbers: Sequence[int]) -> None:
    os._exit(9)


def test_results_come_in_order_from_other_processes() -> None:
    results = [pair for run in workers.in_processes(double, range(10), 2, 3) for pair in run]
    assert [number for _, number in results] == list(range(0, 20, 2))
    assert os.getpid() not in {pid for pid, _ in results}


def test_threads_give_results_in_order_and_errors_as_they_were() -> None:
    results = [pair for run in workers.in_threads(double, range(10), 2, 3) for pair in run]
    assert results == [(os.getpid(), number) for number in range(0, 20, 2)]
    with pytest.raises(InputError, match="0: broken"):
        list(workers.in_threads(fail, range(10), 2, 3))


def test_one_worker_is_this_process() -> None:
    assert {pid for run in workers.in_processes(double, range(10), 1, 3) for pid, _ in run} == {os.getpid()}


def test_a_workers_error_comes_through_as_it_was() -> None:
    with pytest.raises(InputError, match="0: broken"):
        list(workers.in_processes(fail, range(10), 2, 3))


def test_a_worker_that_dies_is_told() -> None:
    with pytest.raises(KanjiprepError, match="a worker process died; free memory or give fewer --workers"):
        list(workers.in_processes(die, range(10), 2, 3))


def sleep(seconds: Sequence[int]) -> None:
    time.sleep(seconds[0])


def test_processes_end_when_their_parent_is_killed() -> None:
    code = "from tests.integration.test_workers import *; list(workers.in_processes(sleep, [60, 60], 2, 1))"
    parent = subprocess.Popen([sys.executable, "-c", code])
    while len(children := children_of(parent.pid)) < 3:  # two workers, and multiprocessing's own tracker
        assert parent.poll() is None
        time.sleep(0.02)
    time.sleep(1)
    parent.kill()
    parent.wait()
    for _ in range(500):
        if not any(Path(f"/proc/{pid}").exists() for pid in children):
            return
        time.sleep(0.02)
    pytest.fail(f"processes {children} outlived their parent")


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_there_is_at_least_one_processor() -> None:
    assert workers.available() >= 1
