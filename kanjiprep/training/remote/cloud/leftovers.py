"""What of ours is at Lambda: written down if we asked for it, and told of if nobody gave it back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kanjiprep.training.remote.cloud import ledger, naming
from kanjiprep.training.remote.cloud.api import Instance
from kanjiprep.training.remote.cloud.asking import CLOCK, Clock, Cloud
from kanjiprep.training.remote.cloud.ledger import Book, stamp
from kanjiprep.training.remote.cloud.rental import Rental


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
    new = unknown(ledger.read(folder), cloud.instances(), clock)
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
    new = unknown(ledger.read(folder), instances, clock)
    ledger.append(folder, *new)
    book, adopted = ledger.read(folder), {one.id for one in new}
    found = (_leftover(book, one, one.id in adopted) for one in instances)
    return tuple(one for one in found if one)


def unknown(book: Book, instances: Iterable[Instance], clock: Clock) -> list[ledger.Launched]:
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
