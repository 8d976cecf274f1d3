"""One rental: from the moment when a machine is asked for until Lambda has nothing of it any more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

State = Literal["asked", "launched", "ending", "gone", "lost"]


@dataclass(frozen=True, slots=True)
class Rental:
    """What is rented for a run.

    Attributes:
        name: Under which it is rented.
        run: The run folder.
        instance_type: Lambda's name of it.
        usd_per_hour: Of one machine.
        asked_at: When the first was asked for.
        max_hours: After so many hours it has to be gone.
        max_usd: What it may cost at most.
        ids: Lambda's, of every machine that was seen under the name.
        state: ``asked`` is not known to be there, ``lost`` is not known to be gone; only ``gone`` is over.
        gone_at: When Lambda was asked and had nothing of it any more.
        why: What stands in the way, if it is lost.
    """

    name: str
    run: str
    instance_type: str
    usd_per_hour: float
    asked_at: datetime
    max_hours: float
    max_usd: float
    ids: tuple[str, ...] = ()
    state: State = "asked"
    gone_at: datetime | None = None
    why: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it may still cost money."""
        return self.state != "gone"

    @property
    def ends_at(self) -> datetime:
        """When it has to be gone."""
        return self.asked_at + timedelta(hours=self.max_hours)

    def cost_so_far_usd(self, now: datetime) -> float:
        """At most so much; Lambda counts begun minutes, and only from the first sign of health."""
        if self.state == "gone" and not self.ids:
            return 0.0
        seconds = ((self.gone_at or now) - self.asked_at).total_seconds()
        return math.ceil(max(0.0, seconds) / 60) / 60 * self.usd_per_hour * max(1, len(self.ids))
