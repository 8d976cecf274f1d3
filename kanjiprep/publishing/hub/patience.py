"""How long we wait for the Hub, and how often we ask again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from kanjiprep.progress import Progress
from kanjiprep.publishing.hub.courier import Hub, HubFault, Report
from kanjiprep.publishing.hub.fault import Fault

T = TypeVar("T")

DEADLINE_S: Final = 1800.0
"""147 MB at 1 Mbit/s take 20 minutes."""
_CALL_S: Final = 60.0
"""The Hub itself gives up on a commit after 60 s."""
_SILENCE_S: Final = 180.0
_WAITS_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
ATTEMPTS: Final = len(_WAITS_S) + 1
_TICK_S: Final = 1.0
_LEAST_S: Final = 1.0
"""For less, no attempt is begun."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited, in all and at a time.

    Attributes:
        deadline_s: For all waiting together.
        until: Moment of ``clock`` at which it ends.
        call_s: For an answer.
        silence_s: For a sign of progress in an upload or download.
        say: Tells the user in a line why there is a wait.
        progress: Hears the wait and the bytes.
        clock: Seconds.
        sleep: Waits so many seconds.
    """

    deadline_s: float
    until: float
    call_s: float
    silence_s: float
    say: Callable[[str], None]
    progress: Progress
    clock: Callable[[], float] = field(default=time.monotonic)
    sleep: Callable[[float], None] = field(default=time.sleep)

    def anew(self) -> Patience:
        """The same, from now on: what was done here meanwhile is not the Hub's to answer for."""
        return replace(self, until=self.clock() + self.deadline_s)

    def left_s(self) -> float:
        """Seconds until the deadline, at least 0."""
        return max(0.0, self.until - self.clock())


def within(deadline_s: float, say: Callable[[str], None], progress: Progress) -> Patience:
    """Patience that ends after ``deadline_s`` seconds, with shares of it for a single answer."""
    return Patience(
        deadline_s=deadline_s,
        until=time.monotonic() + deadline_s,
        call_s=min(_CALL_S, deadline_s / 4),
        silence_s=min(_SILENCE_S, deadline_s / 3),
        say=say,
        progress=progress,
    )


def ask(hub: Hub, patience: Patience, call: str, **arguments: Any) -> Any:
    """The answer to a call that may be repeated, asked again while its faults are of the passing kind.

    Raises:
        HubFault: The last one, if it is of no passing kind or the deadline is near.
    """
    return insist(patience, lambda within_s: hub.call(call, min(patience.call_s, within_s), arguments))


def insist(patience: Patience, attempt: Callable[[float], T], most: int = ATTEMPTS) -> T:
    """What ``attempt`` gives, repeated with waits while its faults pass.

    Args:
        patience: Until when.
        attempt: Gets the seconds that are left.
        most: How often, at most.

    Raises:
        HubFault: As ``ask``.
    """
    number = 1
    while True:
        try:
            return attempt(max(patience.left_s(), _LEAST_S))
        except HubFault as error:
            asked = error.fault.retry_after_s
            pause_s = asked if asked is not None else _WAITS_S[min(number, len(_WAITS_S)) - 1]
            if not error.fault.is_passing or number >= most or pause_s + _LEAST_S >= patience.left_s():
                raise
            number += 1
            _wait(patience, error.fault, pause_s, f"attempt {number} of {most}")


def _wait(patience: Patience, fault: Fault, pause_s: float, then: str) -> None:
    why = short(fault)
    asked = ", as it asks" if fault.retry_after_s is not None else ""
    patience.say(f"{why}; waiting {pause_s:.0f} s{asked}, then {then}")
    end = patience.clock() + pause_s
    while (left_s := end - patience.clock()) > 0:
        patience.sleep(min(_TICK_S, left_s))


def short(fault: Fault) -> str:
    """``fault`` in a few words."""
    status = f" ({fault.status})" if fault.status else ""
    words = {
        "busy": "the Hub is busy",
        "server": "the Hub has trouble",
        "network": "the network failed",
        "no hub": "what answers is no Hub",
        "timeout": "the Hub does not answer",
        "died": "the client of the Hub died",
        "conflict": "the Hub is at another change",
    }
    return f"{words.get(fault.kind, fault.what)}{status}"


def reporter(patience: Patience, stage: str) -> Report:
    """What turns bytes into progress of ``stage``, in kB so that bars stay readable."""
    return lambda done, total: patience.progress(stage, done // 1000, total // 1000 or None)
