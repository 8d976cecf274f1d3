"""Whom renting asks at Lambda, and by what clock it waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from kanjiprep.training.remote.cloud.api import Instance

Tell = Callable[[str], None]
"""Says what goes on."""


class Cloud(Protocol):
    """An account at Lambda; ``api.Lambda`` is one."""

    def instances(self) -> tuple[Instance, ...]:
        """Every instance."""

    def instance(self, instance_id: str) -> Instance | None:
        """One of them, or None."""

    def terminate(self, ids: Iterable[str]) -> tuple[str, ...]:
        """End instances, and give the ids that are terminating."""


@dataclass(frozen=True, slots=True)
class Clock:
    """How time passes; another for tests.

    Attributes:
        now: The time of day, for what is written down.
        tick: Seconds, for what is waited for.
        pause: Sleeps.
    """

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    tick: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


CLOCK: Final = Clock()
