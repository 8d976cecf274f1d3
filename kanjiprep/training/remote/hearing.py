"""Signals that tell a process to end, heard so that what costs money is given back first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from kanjiprep.errors import Interrupted
from kanjiprep.training.remote.cloud.asking import Tell

Hear = Callable[[int, FrameType | None], None]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Hurried(BaseException):
    """Somebody does not want to wait until it is given back. No Exception, so that nothing on the way catches it."""


@contextmanager
def heeding(hear: Hear) -> Iterator[None]:
    """Have ``hear`` hear of the signals that end a process; one that is ignored, as by nohup, stays so."""
    is_main = threading.current_thread() is threading.main_thread()  # no other thread can hear signals
    heeded = [one for one in _SIGNALS if is_main and signal.getsignal(one) != signal.SIG_IGN]
    before = {one: signal.signal(one, hear) for one in heeded}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def interrupt(number: int, _frame: FrameType | None) -> None:
    """Raise, and be deaf until somebody else hears: giving back begins now.

    Raises:
        Interrupted: Always.
    """
    for one in _SIGNALS:
        if signal.getsignal(one) == interrupt:
            signal.signal(one, _nothing)
    raise Interrupted(f"told to end by {signal.Signals(number).name}", "", "run the same command again")


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """Hear and do nothing."""


def patient(name: str, tell: Tell) -> Hear:
    """What hears of signals while ``name`` is given back: the first is told of, the next ends the wait.

    Raises:
        Hurried: In what is returned, at the second signal.
    """
    heard: list[int] = []

    def _hear(number: int, _frame: FrameType | None) -> None:
        if heard:
            raise Hurried
        heard.append(number)
        tell(f"{name} is being given back, wait some minutes; ask once more to leave it, and it may go on billing")

    return _hear
