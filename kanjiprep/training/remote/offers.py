"""What can be rented at Lambda now with the GPU that is wished for, where, and what it costs at most."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from kanjiprep.errors import RemoteError, UsageError
from kanjiprep.training import gpus as tables
from kanjiprep.training.gpus import Catalogue
from kanjiprep.training.prices import LivePrice
from kanjiprep.training.remote.cloud import money
from kanjiprep.training.remote.cloud.money import Quote

_ARM: Final = frozenset({"gh200"})
"""GPUs that sit beside a 64-bit Arm processor, for which not every package of the trainer is made."""
_KEEP_H: Final = 12.0
"""A night: for a laptop that sleeps when the run ends."""
_LEAST_H: Final = 0.5
"""Lambda boots for up to 25 minutes."""
_MOST_OTHERS = 4


class Market(Protocol):
    """Who tells what there is to rent; ``api.Lambda`` does."""

    def types(self) -> Mapping[str, LivePrice]:
        """Every instance type by name."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A machine that can be rented now.

    Attributes:
        gpu: Name of its GPU in our table.
        gpus: How many it has.
        region: Where there is one; another is tried when there is none left.
        quote: What it costs.
        keep_h: So long it is kept after the end of its run if nobody pulls what it made; its own end stands.
    """

    gpu: str
    gpus: int
    region: str
    quote: Quote
    keep_h: float = _KEEP_H

    @property
    def instance_type(self) -> str:
        """Lambda's name of it."""
        return self.quote.instance_type

    def __str__(self) -> str:
        """The sentence that the user confirms."""
        return f"{self.quote}; there is one in {self.region} now"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a user wants to rent.

    Attributes:
        gpu: As our table calls it.
        gpus: How many in one machine.
        hours_cap: The user's --max-hours.
        usd_cap: The user's --max-usd.
        allow_arm: Whether a 64-bit Arm machine is welcome.
    """

    gpu: str
    gpus: int
    hours_cap: float | None
    usd_cap: float | None
    allow_arm: bool = False


def offer(
    cloud: Market, catalogue: Catalogue, wish: Wish, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Offer:
    """The cheapest machine that fits ``wish`` and that Lambda has to rent now.

    Args:
        cloud: Tells what there is.
        catalogue: Which machine has which GPU.
        wish: What it has to be.
        now: The clock; another for tests.

    Raises:
        UsageError: If that is no GPU or machine of ours, or there is no cap, or one that makes no sense.
        RemoteError: If Lambda does not tell, or has none now.
    """
    _machines_for(catalogue, wish)
    live = cloud.types()
    return choose(live, now().isoformat(timespec="seconds"), catalogue, wish)


def _machines_for(catalogue: Catalogue, wish: Wish) -> tuple[str, ...]:
    """Lambda's names of the machines that would do, before Lambda is asked anything.

    Raises:
        UsageError: If there can be none, or there is no cap.
    """
    if wish.hours_cap is None and wish.usd_cap is None:
        what = "nothing is rented without a limit"
        raise UsageError(what, "", "give --max-hours or --max-usd; Lambda charges until a machine is ended")
    gpu = tables.gpu_named(catalogue, wish.gpu)
    if gpu.name in _ARM and not wish.allow_arm:
        what = f"{gpu.name} sits in a 64-bit Arm machine, for which not every package of the trainer is made"
        raise UsageError(what, "", "take another GPU, or allow it with --allow-arm")
    fit = tuple(one.name for one in tables.instances_with(catalogue, gpu.name, wish.gpus))
    if not fit:
        counts = sorted({one.gpus for one in catalogue.instance if one.gpu == gpu.name})
        known = f"there are machines with {', '.join(map(str, counts))}" if counts else "take another GPU"
        raise UsageError(f"Lambda has no machine with {wish.gpus} x {gpu.name}", "", known)
    return fit


def choose(live: Mapping[str, LivePrice], read_at: str, catalogue: Catalogue, wish: Wish) -> Offer:
    """The cheapest of what there is that fits; of two that cost the same, the first by name.

    Args:
        live: What Lambda has.
        read_at: When it told that (ISO, UTC).
        catalogue: Which machine has which GPU.
        wish: What it has to be.

    Raises:
        UsageError: If there can be none, or a cap makes no sense.
        RemoteError: If Lambda has none now.
    """
    fit = _machines_for(catalogue, wish)
    known = [live[name] for name in fit if name in live]
    if not known:
        raise RemoteError(f"Lambda no longer has {' or '.join(fit)}", "", _others(live, catalogue, wish))
    free = [one for one in known if one.regions]
    if not free:
        names = " or ".join(one.name for one in known)
        raise RemoteError(f"Lambda has no {names} to rent now", "", _others(live, catalogue, wish))
    best = min(free, key=lambda one: (one.usd_per_hour, one.name))
    quote = money.quote(best, read_at, wish.hours_cap, wish.usd_cap)
    if quote.hours < _LEAST_H:
        what = f"{quote.time} is not enough: a machine may take that long to start"
        raise UsageError(what, quote.decided_by, f"allow at least {_LEAST_H:g} h")
    return Offer(wish.gpu, wish.gpus, best.regions[0], quote)


def _others(live: Mapping[str, LivePrice], catalogue: Catalogue, wish: Wish) -> str:
    """What else can be rented now, the cheapest first, as the user can ask for it."""
    wanted = [one for one in catalogue.instance if one.name in live and (wish.allow_arm or one.gpu not in _ARM)]
    free = [(live[one.name], one) for one in wanted if live[one.name].regions]
    free.sort(key=lambda pair: (pair[0].usd_per_hour, pair[0].name))
    words = [f"{one.gpus} x {one.gpu} at {price.usd_per_hour:.2f} USD an hour" for price, one in free]
    more = f" and {len(words) - _MOST_OTHERS} more" if len(words) > _MOST_OTHERS else ""
    if not words:
        return "try later; nothing else that we know can be rented now either"
    return f"try later, or take {', '.join(words[:_MOST_OTHERS])}{more}"
