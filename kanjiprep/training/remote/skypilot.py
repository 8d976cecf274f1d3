"""SkyPilot as renting asks for it, with a mark on every launch, so that one that outlived us is found and cut off."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import time
from dataclasses import dataclass
from typing import Final, Protocol

import psutil

from kanjiprep.errors import RemoteError
from kanjiprep.training.remote.sky import engine
from kanjiprep.training.remote.sky.answers import Launched
from kanjiprep.training.remote.sky.child import Engine
from kanjiprep.training.remote.sky.task import Task

MARK: Final = "KANJIPREP_RENTAL"
"""In the environment of a launch and of all that it starts: what is being rented."""
PATIENCE_S: Final = 5.0
IDLE_MIN: Final = 5


class Renter(Protocol):
    """Who rents machines and gives them back; ``SkyPilot`` does."""

    def launch(self, task: Task) -> Launched:
        """Rent what ``task`` wants, once."""

    def arm(self, name: str) -> None:
        """See that the machines of that name will give themselves back when their job is over."""

    def cut_off(self, name: str) -> bool:
        """End a launch of that name that is still under way somewhere on this machine; whether there was one."""

    def down(self, name: str) -> bool:
        """Give the machines of that name back; False if none are known."""


@dataclass(frozen=True, slots=True)
class SkyPilot:
    """The real one.

    Attributes:
        engine: Which SkyPilot.
        patience_s: From asking a launch to end to insisting, and from insisting to giving up.
    """

    engine: Engine
    patience_s: float = PATIENCE_S

    def launch(self, task: Task) -> Launched:
        """Rent what ``task`` wants, once.

        Raises:
            RemoteError: If nothing becomes of it; see ``engine.launch``.
        """
        marked = dataclasses.replace(self.engine, words={**self.engine.words, MARK: task.name})
        return engine.launch(marked, task)

    def arm(self, name: str) -> None:
        """See that the machines of that name will give themselves back when their job is over.

        Raises:
            RemoteError: If they will not.
        """
        for _ in range(2):
            found = engine.status(self.engine, name)
            if found is not None and found.ends_by_itself:
                return
            engine.autostop(self.engine, name, IDLE_MIN)
        raise RemoteError("would not give itself back if this machine were off", name, "try again")

    def cut_off(self, name: str) -> bool:
        """End a launch of that name that goes on although the one who asked was killed; whether there was one."""
        return cut_off(name, self.patience_s)

    def down(self, name: str) -> bool:
        """Give the machines of that name back; False if SkyPilot knows none.

        Raises:
            RemoteError: If they may still be there.
        """
        return engine.down(self.engine, name)


def cut_off(name: str, patience_s: float = PATIENCE_S) -> bool:
    """End every launch of that name that is under way on this machine; whether there was one."""
    found = left = _marked(name)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)
        deadline = time.monotonic() + patience_s
        while (left := _marked(name)) and time.monotonic() < deadline:
            time.sleep(0.05)
    return bool(found)


def _marked(name: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == name:
                found.append(process)
    return found
