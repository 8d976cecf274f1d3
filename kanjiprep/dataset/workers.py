"""Work spread over processes that end with their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from typing import TypeVar

from kanjiprep.errors import KanjiprepError

Item = TypeVar("Item")
Result = TypeVar("Result")


def available() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def spread(
    work: Callable[[Sequence[Item]], Result], items: Sequence[Item], workers: int, chunk: int = 64
) -> Iterator[Result]:
    """``work`` on each run of ``chunk`` items, in order, on ``workers`` processes (in this one for 1).

    Args:
        work: A picklable function of a run of items.
        items: Picklable.
        workers: How many processes, from 1.
        chunk: How many items at once: large enough to hide the cost of passing them.

    Raises:
        KanjiprepError: If a process dies; whatever ``work`` raises comes through.
    """
    chunks = [items[start : start + chunk] for start in range(0, len(items), chunk)]
    if workers == 1 or len(chunks) <= 1:
        yield from map(work, chunks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(chunks)), context, _end_with_parent) as pool:
        try:
            yield from pool.map(work, chunks)
        except BrokenProcessPool as error:
            raise KanjiprepError("a worker process died", remedy="free memory or give fewer --workers") from error
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
