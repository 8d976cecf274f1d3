"""Processes that are still the ones that were started, whatever their numbers are used for by now."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from kanjiprep.training.running import moments

RUN_VARIABLE: Final = "KANJIPREP_RUN"
"""In the environment of a trainer and of all that it starts: which run they belong to, by ``run_id``."""
_START_FIELD: Final = 19
"""Of /proc/PID/stat after the name, counted from 0. Source: proc(5), field 22."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A process, not to be confused with a later one of the same number.

    Attributes:
        pid: Its number.
        started: When, in ticks since the machine was switched on, which nobody can set.
        boot: Of the machine.
    """

    pid: int
    started: int
    boot: str


def identify(pid: int) -> Identity | None:
    """The process that has the number ``pid`` now; None if there is none, or it is dead and not yet buried."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else Identity(pid, int(fields[_START_FIELD]), moments.boot_id())


def run_id(run: Path) -> str:
    """A name of the folder ``run`` that moves with it and that a copy does not have.

    Raises:
        FileNotFoundError: If it is not there.
    """
    status = run.stat()
    return f"{status.st_dev:x}.{status.st_ino:x}"


def is_alive(identity: Identity | None, run: str) -> bool:
    """Whether the very process is there and belongs to the run with the name ``run``."""
    if identity is None or identify(identity.pid) != identity:
        return False
    try:
        return psutil.Process(identity.pid).environ().get(RUN_VARIABLE) == run
    except (psutil.Error, OSError):  # gone in this moment, or somebody else's
        return False


def members(run: str) -> list[int]:
    """Numbers of all processes that belong to the trainer of the run with that name, wherever they went."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(RUN_VARIABLE) == run:
                found.append(process.pid)
    return sorted(found)


def end(run: str, patience_s: float, reap: Callable[[], object] = lambda: None) -> list[int]:
    """End every process of the trainer of a run; the numbers of those that could not be ended.

    Args:
        run: Its name, by ``run_id``.
        patience_s: From asking to insisting, and from insisting to giving up.
        reap: Buries the dead among our children.
    """
    left = members(run)
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal(left, number)
        deadline = time.monotonic() + patience_s
        while left and time.monotonic() < deadline:
            reap()
            time.sleep(0.05)
            left = members(run)
    return left


def _signal(pids: Collection[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
