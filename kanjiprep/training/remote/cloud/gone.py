"""Giving back: end what is ours, ask Lambda until it is gone, and find what nobody gave back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, Protocol

from kanjiprep.errors import RemoteError
from kanjiprep.training.remote.cloud import ledger, naming
from kanjiprep.training.remote.cloud.api import CONSOLE, ENDING, Instance
from kanjiprep.training.remote.cloud.ledger import Book, stamp
from kanjiprep.training.remote.cloud.rental import Rental

PATIENCE_S: Final = 300.0
SETTLED_S: Final = 120.0
"""A launch whose answer was lost may show its machine late: an empty list says nothing sooner."""

_LONGEST_PAUSE_S = 15.0
_AGAIN_S = 30.0
Tell = Callable[[str], None]


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


@dataclass(frozen=True, slots=True)
class Gone:
    """Lambda was asked and has nothing of the rental any more.

    Attributes:
        at: When that was so.
    """

    at: datetime


@dataclass(frozen=True, slots=True)
class StillThere:
    """Nobody knows that the rental is gone, and it may cost money.

    Attributes:
        ids: Of machines that are there, or are not known to be gone.
        why: In one phrase.
    """

    ids: tuple[str, ...]
    why: str

    def __str__(self) -> str:
        """The loud word, with the place where a person can look."""
        what = f"{', '.join(self.ids) or 'a machine'} may still be running and cost money: {self.why}"
        return f"{what}; look at {CONSOLE} and terminate it there"


@dataclass(frozen=True, slots=True)
class Leftover:
    """A machine at Lambda that looks like ours.

    Attributes:
        instance: As Lambda tells of it.
        rental: In our ledger; None if another ledger, on another machine perhaps, has it.
        whose: ``ours`` is in the ledger, ``adopted`` is so from now on, ``renamed`` has an id of ours under a
            name that is not, ``unknown`` has a name as we give them and is in no list of ours.
    """

    instance: Instance
    rental: Rental | None
    whose: Literal["ours", "adopted", "renamed", "unknown"]


def adopt(cloud: Cloud, folder: Path, clock: Clock = CLOCK) -> Book:
    """The ledger in ``folder``, with every machine written down that has a name for which we asked.

    Raises:
        RemoteError: If Lambda does not tell, or the ledger cannot be read or written.
    """
    new = _unknown(ledger.read(folder), cloud.instances(), clock)
    ledger.append(folder, *new)
    return ledger.read(folder)


def find_leftovers(cloud: Cloud, folder: Path, clock: Clock = CLOCK) -> tuple[Leftover, ...]:
    """Every machine at Lambda that looks like ours and is not gone, whether somebody still works with it or not.

    One that the ledger in ``folder`` does not know is written down there if the ledger has asked for its name: the
    answer to the launch was lost. Others are only told of, and never ended by us.

    Raises:
        RemoteError: If Lambda does not tell, or the ledger cannot be read or written.
    """
    instances = tuple(one for one in cloud.instances() if not one.is_gone)
    new = _unknown(ledger.read(folder), instances, clock)
    ledger.append(folder, *new)
    book, adopted = ledger.read(folder), {one.id for one in new}
    found = (_leftover(book, one, one.id in adopted) for one in instances)
    return tuple(one for one in found if one)


def end(cloud: Cloud, rental: Rental) -> tuple[str, ...]:
    """Have Lambda end the machines of ``rental``, and give the ids that it says it is terminating.

    Only ids of the rental are ended, and only while their names are still the rental's.

    Raises:
        RemoteError: If Lambda does not tell or refuses, or what it did is not known.
    """
    ours = [one for one in cloud.instances() if one.id in rental.ids and naming.is_named(one.name, rental.name)]
    return cloud.terminate(one.id for one in ours if one.status not in ENDING)


def verify_gone(
    cloud: Cloud,
    rental: Rental,
    patience_s: float = PATIENCE_S,
    *,
    tell: Tell,
    launched_until: datetime | None = None,
    clock: Clock = CLOCK,
) -> Gone | StillThere:
    """Ask Lambda until every machine of ``rental``, and every one with its name, is terminated or no longer there.

    What goes wrong on the way is told once and tried again.

    Args:
        cloud: The account.
        rental: Whose end is to be seen.
        patience_s: After so many seconds the answer is what is known by then.
        tell: Says what goes wrong on the way.
        launched_until: When somebody last may have asked for a machine, if it is not known what became of that;
            by default the time of the rental, if no machine of it was ever seen.
        clock: Passes; another for tests.
    """
    began, pause_s, told = clock.tick(), 1.0, ""
    while True:
        there = _look(cloud, rental, launched_until, clock.now())
        if isinstance(there, Gone):
            return there
        if clock.tick() - began >= patience_s:
            return there
        if there.why != told:
            told = there.why
            tell(f"{rental.name} is not known to be gone yet: {told}")
        clock.pause(min(pause_s, max(0.1, patience_s - (clock.tick() - began))))
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def give_back(
    cloud: Cloud,
    folder: Path,
    name: str,
    patience_s: float = PATIENCE_S,
    *,
    tell: Tell,
    launched_until: datetime | None = None,
    clock: Clock = CLOCK,
) -> Gone | StillThere:
    """End everything that was rented under ``name``, see that it is gone, and write down which of the two it is.

    A second call is safe, and the way to go on after a crash. If an end is not heeded, it is asked for again.

    Args:
        cloud: The account.
        folder: Of the ledger.
        name: Of the rental.
        patience_s: In all.
        tell: Says what goes wrong on the way.
        launched_until: When somebody last may have asked for a machine, if it is not known what became of that;
            by default the time of the rental, if no machine of it was ever seen.
        clock: Passes; another for tests.

    Raises:
        RemoteError: If the ledger cannot be read, or has never heard of ``name``.
    """
    book = ledger.read(folder)
    rental = book.of(name)
    if rental is None:
        raise RemoteError(f"nothing was rented under {name!r:.80}", str(folder / ledger.FILE), f"look at {CONSOLE}")
    _note(folder, tell, ledger.Ending(name, stamp(clock.now())))
    began = clock.tick()
    while True:
        rental = _end_what_is_seen(cloud, folder, book, rental, tell, clock)
        left_s = patience_s - (clock.tick() - began)
        said = verify_gone(
            cloud, rental, min(left_s, _AGAIN_S), tell=tell, launched_until=launched_until, clock=clock
        )
        if isinstance(said, Gone):
            _note(folder, tell, ledger.Gone(name, stamp(said.at)))
            return said
        if clock.tick() - began >= patience_s:
            break
    ids = said.ids or ("",)
    _note(folder, tell, *(ledger.Lost(name, stamp(clock.now()), one, said.why) for one in ids))
    return said


def _end_what_is_seen(cloud: Cloud, folder: Path, book: Book, rental: Rental, tell: Tell, clock: Clock) -> Rental:
    """``rental`` with every machine that is seen under its name, when all of them have been asked to end."""
    try:
        seen = [one for one in _unknown(book, cloud.instances(), clock) if one.name == rental.name]
        new = [one for one in seen if not (rental.is_open and one.id in rental.ids)]
        _note(folder, tell, *new)
        ids = tuple(dict.fromkeys((*rental.ids, *(one.id for one in new))))
        rental = replace(rental, ids=ids, state="launched" if new else rental.state)
        end(cloud, rental)
    except RemoteError as problem:  # what it did shows when it is looked at; the whole is tried again
        tell(str(problem))
    return rental


def _note(folder: Path, tell: Tell, *events: ledger.Event) -> None:
    """Write down what happened; a full disk is told of, and keeps no machine running."""
    try:
        ledger.append(folder, *events)
    except RemoteError as problem:
        tell(str(problem))


def _look(cloud: Cloud, rental: Rental, launched_until: datetime | None, now: datetime) -> Gone | StillThere:
    try:
        instances = {one.id: one for one in cloud.instances()}
        named = {one.id for one in instances.values() if naming.is_named(one.name, rental.name)}
        # each is asked for by its id too: a list may be late, or shorter than what there is
        asked = {one: instances.get(one) or cloud.instance(one) for one in sorted(named | set(rental.ids))}
    except RemoteError as problem:
        return StillThere(rental.ids, str(problem))
    there = [one for one in asked.values() if one and not one.is_gone]
    if there:
        return StillThere(tuple(one.id for one in there), _why(there, rental))
    launched_at = launched_until or (None if asked else rental.asked_at)
    if launched_at and now < launched_at + timedelta(seconds=SETTLED_S):
        return StillThere((), "it was asked for a moment ago, and may show itself late")
    return Gone(now)


def _why(there: list[Instance], rental: Rental) -> str:
    words = []
    for one in there:
        is_ours = naming.is_named(one.name, rental.name)
        name = "" if is_ours else f", under the name {one.name!r}, which is not ours, so that we do not end it"
        words.append(f"{one.id} is {one.status}{name}")
    return ", ".join(words)


def _unknown(book: Book, instances: Iterable[Instance], clock: Clock) -> list[ledger.Launched]:
    """What is there under a name that was asked for, and is not written down yet."""
    known = {one for rental in book.rentals if rental.is_open for one in rental.ids}
    new = [one for one in instances if not one.is_gone and one.id not in known]
    owned = [(rental, one) for one in new if (rental := _owner(book, one))]
    return [ledger.Launched(rental.name, stamp(clock.now()), one.id) for rental, one in owned]


def _owner(book: Book, instance: Instance) -> Rental | None:
    """The rental whose name an instance carries; of two that fit, the one that says more."""
    names = [rental.name for rental in book.rentals if naming.is_named(instance.name, rental.name)]
    return book.of(max(names, key=len)) if names else None


def _leftover(book: Book, instance: Instance, is_new: bool) -> Leftover | None:
    rental = _owner(book, instance)
    if rental:
        return Leftover(instance, rental, "adopted" if is_new else "ours")
    by_id = next((one for one in reversed(book.rentals) if instance.id in one.ids), None)
    if by_id:
        return Leftover(instance, by_id, "renamed")
    return Leftover(instance, None, "unknown") if instance.name.startswith(naming.PREFIX) else None
