"""What a rental costs at most, and when it has to end for that to be true."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from kanjiprep.errors import UsageError
from kanjiprep.training.prices import LivePrice

_LEAST_HOURS = 1 / 3600
_MOST_HOURS = 24 * 366.0
_MOST_USD = 1e6
_LONGEST_GRACE_H = 0.25
_GRACE = 0.1
_LONGEST_SWITCH_H = 8 / 60
_SWITCH = 0.2
"""From the moment when a machine's job ends: five idle minutes, and the rounds of whoever looks at that."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What is asked of the user before anything is rented.

    Attributes:
        instance_type: Lambda's name of it.
        machines: How many of them.
        usd_per_hour: Of one.
        read_at: When Lambda told that price (ISO, UTC).
        hours: After so many, everything has to be gone.
        usd_most: What it costs until then; Lambda counts begun minutes.
        decided_by: Which cap is the tighter one, as its option is called.
    """

    instance_type: str
    machines: int
    usd_per_hour: float
    read_at: str
    hours: float
    usd_most: float
    decided_by: str

    def __str__(self) -> str:
        """The sentence that the user confirms."""
        count = f"{self.machines} x " if self.machines > 1 else ""
        rate = self.usd_per_hour * self.machines
        source = f"by Lambda's API at {self.read_at}"
        return f"{count}{self.instance_type}, {rate:.2f} USD an hour {source}, at most {self.time}: {self.usd} USD"

    @property
    def time(self) -> str:
        """The hours in words."""
        minutes = self.hours * 60
        if minutes < 1:
            return f"{minutes * 60:.3g} s"
        return f"{self.hours:.4g} h" if minutes >= 60 else f"{minutes:.3g} min"  # noqa: PLR2004

    @property
    def usd(self) -> str:
        """The most that it costs, never rounded down."""
        return f"{math.ceil(round(self.usd_most * 100, 6)) / 100:,.2f}"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """When what has to happen for a rental to stay within its caps.

    Attributes:
        stop_at: The run ends, with time left to pull its last checkpoint.
        switch_at: The machines begin to give themselves back, pulled or not.
        end_at: They are gone.
    """

    stop_at: datetime
    switch_at: datetime
    end_at: datetime


def quote(price: LivePrice, read_at: str, hours_cap: float | None, usd_cap: float | None, machines: int = 1) -> Quote:
    """What a rental costs at most; the tighter of the two caps decides.

    Args:
        price: Of one machine.
        read_at: When Lambda told it (ISO, UTC).
        hours_cap: The user's --max-hours.
        usd_cap: The user's --max-usd.
        machines: How many.

    Raises:
        UsageError: If there is no cap or no machine at all, a cap is no number that can be meant, or one of money
            buys less than a minute.
    """
    _check("--max-hours", hours_cap, _LEAST_HOURS, _MOST_HOURS)
    _check("--max-usd", usd_cap, 0, _MOST_USD)
    if hours_cap is None and usd_cap is None:
        what = "nothing is rented without a limit"
        raise UsageError(what, price.name, "give --max-hours or --max-usd; Lambda charges until a machine is ended")
    if machines < 1:
        raise UsageError(f"{machines} machines cannot be rented", price.name, "rent one")
    rate = price.usd_per_hour * machines
    bought_min = math.inf if usd_cap is None else math.floor(round(usd_cap / rate * 60, 6))
    if bought_min < 1:
        what = f"--max-usd {usd_cap:g} buys less than a minute at {rate:.2f} USD an hour"
        raise UsageError(what, price.name, "give more, or rent something cheaper")
    wished_min = math.inf if hours_cap is None else hours_cap * 60
    minutes = min(bought_min, wished_min)
    usd_most = max(1, math.ceil(round(minutes, 6))) / 60 * rate
    by = "--max-hours" if wished_min <= bought_min else "--max-usd"
    hours = minutes / 60 if hours_cap is None else min(minutes / 60, hours_cap)
    return Quote(price.name, machines, price.usd_per_hour, read_at, hours, usd_most, by)


def deadlines(asked_at: datetime, hours: float, grace_h: float | None = None) -> Deadlines:
    """When a run has to stop and its machines to be gone, if they were asked for at ``asked_at``.

    Args:
        asked_at: When the first was asked for; the time to boot counts, for nobody knows when Lambda's count begins.
        hours: After so many, everything is gone.
        grace_h: Between the two; by default a tenth, and at most a quarter of an hour.
    """
    grace = min(_LONGEST_GRACE_H, hours * _GRACE) if grace_h is None else min(grace_h, hours)
    end_at = asked_at + timedelta(hours=hours)
    switch_at = end_at - timedelta(hours=min(_LONGEST_SWITCH_H, hours * _SWITCH))
    return Deadlines(switch_at - timedelta(hours=grace), switch_at, end_at)


def _check(option: str, cap: float | None, least: float, most: float) -> None:
    if cap is not None and not least < cap <= most:
        raise UsageError(f"{option} is {cap:g}, and has to be above {least:.1g} and at most {most:,.0f}")
