"""What is rented and not given back: for a list of it, and for one line before anything else is done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from kanjiprep.errors import RemoteError
from kanjiprep.training.remote.cloud import gone, ledger, leftovers
from kanjiprep.training.remote.cloud.api import CONSOLE
from kanjiprep.training.remote.cloud.gone import StillThere
from kanjiprep.training.remote.cloud.ledger import stamp
from kanjiprep.training.remote.cloud.leftovers import Leftover
from kanjiprep.training.remote.cloud.rental import Rental
from kanjiprep.training.remote.returning import Shop, asked_until

_LS: Final = "kanjiprep remote ls"
_NOT_SEEN = "not seen"
_NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Holding:
    """A rental that is not known to be over, or a machine that looks like one.

    Attributes:
        name: Under which it is rented; of a machine that the ledger does not know, its own.
        run: The run folder; empty if nobody knows.
        ids: Lambda's, of the machines that are there; without an answer, those of the ledger.
        state: Lambda's words; ``not seen`` if it has nothing of it, ``not known`` if it does not tell.
        age_s: Since it was asked for; None if nobody knows.
        usd_per_hour: Of all its machines.
        usd_so_far: At most; None if nobody knows.
        ends_at: When it has to be gone; None if nobody knows.
        is_past: Whether it should be gone by now.
        remedy: What to do.
        loud: What has to be seen, of one that is past its deadline or lost; else empty.
    """

    name: str
    run: str
    ids: tuple[str, ...]
    state: str
    age_s: float | None
    usd_per_hour: float
    usd_so_far: float | None
    ends_at: datetime | None
    is_past: bool
    remedy: str
    loud: str


def standing(shop: Shop) -> tuple[Holding, ...]:
    """All that is rented or looks like it, the oldest rental first, machines that nobody knows last.

    If Lambda does not tell, that is the state of each: what the ledger has is listed all the same.

    Args:
        shop: The world.

    Raises:
        RemoteError: If the ledger cannot be read or written.
    """
    now = shop.clock.now()
    before = ledger.read(shop.folder)
    try:
        left = leftovers.find_leftovers(shop.cloud, shop.folder, shop.clock)
    except RemoteError as problem:
        return tuple(_rented(one, None, str(problem), now) for one in before.open_rentals)
    rentals = {one.name: one for one in ledger.read(shop.folder).open_rentals}
    theirs = {name: [one for one in left if one.rental and one.rental.name == name] for name in rentals}
    for name in [name for name, seen in theirs.items() if not seen and _is_gone(shop, rentals[name])]:
        del rentals[name]
    strangers = [one for one in left if not one.rental or one.rental.name not in rentals]
    return (*(_rented(rentals[name], theirs[name], "", now) for name in rentals), *map(_stranger, strangers))


def _is_gone(shop: Shop, rental: Rental) -> bool:
    """Whether a rental that Lambda does not show is really over, which is then written down."""
    until = asked_until(rental, shop.clock.now())
    said = gone.verify_gone(shop.cloud, rental, 0, tell=lambda _: None, launched_until=until, clock=shop.clock)
    if isinstance(said, StillThere):
        return False
    ledger.append(shop.folder, ledger.Gone(rental.name, stamp(said.at)))
    return True


def reminder(folder: Path, now: datetime) -> str | None:
    """One line on what the ledger in ``folder`` says is still rented; None if nothing is. Nobody is asked."""
    try:
        rentals = ledger.read(folder).open_rentals
    except RemoteError as problem:
        return f"what is rented is not known: {problem}; look at {CONSOLE}"
    if not rentals:
        return None
    names = ", ".join(_named(one, now) for one in rentals[:3]) + (", ..." if len(rentals) > 3 else "")  # noqa: PLR2004
    rate = sum(_rate(one) for one in rentals)
    usd = sum(one.cost_so_far_usd(now) for one in rentals)
    return f"still rented: {names}; {rate:.2f} USD an hour, up to {usd:.2f} USD so far; see {_LS}"


def _named(rental: Rental, now: datetime) -> str:
    late = " (past its end)" if _is_past(rental, now) else ""
    trouble = " (not known to be gone)" if rental.state == "lost" else late
    return f"{rental.name} since {_span((now - rental.asked_at).total_seconds())}{trouble}"


def _rented(rental: Rental, there: Iterable[Leftover] | None, problem: str, now: datetime) -> Holding:
    """``there`` are its machines at Lambda, or None if that is not told, because of ``problem``."""
    machines = [] if there is None else [one.instance for one in there]
    state = ", ".join(dict.fromkeys(one.status for one in machines)) or (_NOT_KNOWN if there is None else _NOT_SEEN)
    return Holding(
        name=rental.name,
        run=rental.run,
        ids=rental.ids if there is None else tuple(one.id for one in machines),
        state=state,
        age_s=max(0.0, (now - rental.asked_at).total_seconds()),
        usd_per_hour=sum(one.usd_per_hour for one in machines) or _rate(rental),
        usd_so_far=rental.cost_so_far_usd(now),
        ends_at=rental.ends_at,
        is_past=_is_past(rental, now),
        remedy=_remedy(rental, there),
        loud=_loud(rental, state, problem, now),
    )


def _remedy(rental: Rental, there: Iterable[Leftover] | None) -> str:
    down = f"kanjiprep remote down {rental.name}"
    renamed = [one.instance.id for one in there or () if one.whose == "renamed"]
    if renamed:
        return f"somebody renamed {', '.join(renamed)}, so we do not end it; look at {CONSOLE}"
    if there is not None and not list(there):
        return f"see that it is gone: {down}"
    return f"when its run is over: {down}"


def _loud(rental: Rental, state: str, problem: str, now: datetime) -> str:
    past, lost = _is_past(rental, now), rental.state == "lost"
    if not (problem or past or lost):
        return ""
    words = [f"{rental.name} may still be running and cost {_rate(rental):.2f} USD an hour"]
    if past:
        words.append(f"{_span((now - rental.ends_at).total_seconds())} past its end")
    if lost:
        words.append(f"was not seen to be gone ({rental.why})")
    words.append(f"Lambda does not tell ({problem})" if problem else f"is {state} at Lambda")
    return f"{', '.join(words)}; give it back with kanjiprep remote down {rental.name}, or look at {CONSOLE}"


def _stranger(left: Leftover) -> Holding:
    one, known = left.instance, left.rental
    what = "was rented from another machine, or the list of it is lost" if known is None else "was given back"
    return Holding(
        name=one.name,
        run=known.run if known else "",
        ids=(one.id,),
        state=one.status,
        age_s=None,
        usd_per_hour=one.usd_per_hour,
        usd_so_far=None,
        ends_at=None,
        is_past=False,
        remedy=f"if it is yours, terminate it at {CONSOLE}",
        loud=f"{one.name} ({one.id}) {what}, is {one.status} and costs {one.usd_per_hour:.2f} USD an hour",
    )


def _is_past(rental: Rental, now: datetime) -> bool:
    return now > rental.ends_at


def _rate(rental: Rental) -> float:
    return rental.usd_per_hour * max(1, len(rental.ids))


def _span(seconds: float) -> str:
    minutes = max(0.0, seconds) / 60
    if minutes < 1:
        return "less than a minute"
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"  # noqa: PLR2004
