"""Giving back: end what is ours, and ask Lambda until it is gone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from kanjiprep.errors import RemoteError
from kanjiprep.training.remote.cloud import ledger, leftovers, naming
from kanjiprep.training.remote.cloud.api import CONSOLE, ENDING, Instance
from kanjiprep.training.remote.cloud.asking import CLOCK, Clock, Cloud, Tell
from kanjiprep.training.remote.cloud.ledger import Book, stamp
from kanjiprep.training.remote.cloud.rental import Rental

PATIENCE_S: Final = 300.0
SETTLED_S: Final = 120.0
"""A launch whose answer was lost may show its machine late: an empty list says nothing sooner."""

_LONGEST_PAUSE_S = 15.0
_AGAIN_S = 30.0


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
        launched_until: As for ``verify_gone``.
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
        if isinstance(said, Gone) or clock.tick() - began >= patience_s:
            break
    _note(folder, tell, *_outcome(name, said, stamp(clock.now())))
    return said


def _outcome(name: str, said: Gone | StillThere, at: str) -> list[ledger.Event]:
    """What the ledger keeps of how a giving back went."""
    if isinstance(said, Gone):
        return [ledger.Gone(name, stamp(said.at))]
    return [ledger.Lost(name, at, one, said.why) for one in said.ids or ("",)]


def _end_what_is_seen(cloud: Cloud, folder: Path, book: Book, rental: Rental, tell: Tell, clock: Clock) -> Rental:
    """``rental`` with every machine that is seen under its name, when all of them have been asked to end."""
    try:
        seen = [one for one in leftovers.unknown(book, cloud.instances(), clock) if one.name == rental.name]
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
