"""Work spread over threads, or over processes that end with their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from typing import TypeVar

from kanjiprep.errors import KanjiprepError

Item = TypeVar("Item")
Result = TypeVar("Result")


def available() -> int:
    """How many processors this process may use, 8 at most: a fifth of drawing holds the interpreter's lock."""
    return min(8, len(os.sched_getaffinity(0)))


def in_threads(
    work: Callable[[Sequence[Item]], Result], items: Sequence[Item], workers: int, chunk: int = 64
) -> Iterator[Result]:
    """``work`` on each run of ``chunk`` items, in order, on ``workers`` threads (in this one for 1).

    For work that cairo, zlib or Pillow do without the interpreter's lock: threads start at once, pass
    nothing around, and end with their process.

    Raises:
        Exception: Whatever ``work`` raises.
    """
    runs = _runs(items, chunk)
    if workers == 1:
        yield from map(work, runs)
        return
    with ThreadPoolExecutor(workers) as pool:
        yield from _results(pool, work, runs)


def in_processes(
    work: Callable[[Sequence[Item]], Result], items: Sequence[Item], workers: int, chunk: int = 64
) -> Iterator[Result]:
    """``work`` on each run of ``chunk`` items, in order, on ``workers`` processes (in this one for 1).

    For work in Python itself. ``work`` and the items must be picklable; the processes end with this one.

    Raises:
        KanjiprepError: If a process dies; whatever ``work`` raises comes through.
    """
    runs = _runs(items, chunk)
    if workers == 1 or len(runs) <= 1:
        yield from map(work, runs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(runs)), context, _end_with_parent) as pool:
        try:
            yield from _results(pool, work, runs)
        except BrokenProcessPool as error:
            raise KanjiprepError("a worker process died", remedy="free memory or give fewer --workers") from error


def _runs(items: Sequence[Item], chunk: int) -> list[Sequence[Item]]:
    return [items[start : start + chunk] for start in range(0, len(items), chunk)]


def _results(
    pool: Executor, work: Callable[[Sequence[Item]], Result], runs: list[Sequence[Item]]
) -> Iterator[Result]:
    try:
        yield from pool.map(work, runs)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _end_with_parent() -> None:
    """Leave interrupts to the parent, and end when it ends, be it by kill -9."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
