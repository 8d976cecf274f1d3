"""Points in time that a clock which is set in between cannot falsify."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time, told by two clocks.

    Attributes:
        at: UTC, ISO 8601, for people and for other machines.
        up_s: Seconds since this machine was switched on, sleep included.
        boot: Which time it was switched on; ``up_s`` of two moments can be compared only if it is the same.
    """

    at: str
    up_s: float
    boot: str


def now() -> Moment:
    """This moment."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Moment(at, round(time.clock_gettime(time.CLOCK_BOOTTIME), 3), boot_id())


def boot_id() -> str:
    """A name of this boot of this machine; empty where the system gives none."""
    return _BOOT_ID.read_text("ascii")[:8] if _BOOT_ID.exists() else ""


def is_time(text: object) -> bool:
    """Whether ``text`` is a time as ``Moment.at`` tells it."""
    try:
        return isinstance(text, str) and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def seconds(start: Moment, end: Moment) -> float:
    """Seconds from ``start`` to ``end``, never below 0.

    By the clock that nobody sets where both are of one boot, by the calendar elsewhere.
    """
    if start.boot and start.boot == end.boot:
        return max(0.0, end.up_s - start.up_s)
    return max(0.0, (_calendar(end) - _calendar(start)).total_seconds())


def _calendar(moment: Moment) -> datetime:
    return datetime.fromisoformat(moment.at)
