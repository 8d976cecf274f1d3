"""Work that is done one after the other, in a thread that keeps nobody from ending the process."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Lane:
    """A thread and what waits for it.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._waiting: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """What ``work`` gives or raises, after all that was submitted before."""
        future: Future[T] = Future()
        self._waiting.put((future, work))
        return future

    def close(self, patience_s: float) -> bool:
        """Have the thread end after all that waits; whether it has, within ``patience_s``."""
        self._waiting.put(None)
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (one := self._waiting.get()) is not None:
            future, work = one
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except BaseException as error:  # noqa: BLE001  # whoever waits is told
                    future.set_exception(error)
