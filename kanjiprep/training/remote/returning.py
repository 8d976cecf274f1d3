"""Giving back what was rented, by SkyPilot and without it, and the way out of a rental that went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from kanjiprep.errors import RemoteError, UsageError
from kanjiprep.training.remote.cloud import gone, ledger, leftovers
from kanjiprep.training.remote.cloud.asking import CLOCK, Clock, Cloud, Tell
from kanjiprep.training.remote.cloud.gone import PATIENCE_S, SETTLED_S, Gone, StillThere
from kanjiprep.training.remote.cloud.ledger import Asked, stamp
from kanjiprep.training.remote.cloud.rental import Rental
from kanjiprep.training.remote.hearing import Hurried, heeding, patient
from kanjiprep.training.remote.sky.answers import EngineError
from kanjiprep.training.remote.sky.engine import LAUNCH_S
from kanjiprep.training.remote.skypilot import Renter

_HEARD: Final = frozenset({"capacity", "refused"})
"""Troubles in which Lambda answered each launch: nothing is there whose answer was lost."""


@dataclass(frozen=True, slots=True)
class Shop:
    """All of the world that renting uses.

    Attributes:
        cloud: The account at Lambda, which is asked whether something is gone.
        engine: Rents, and gives back.
        folder: Of the ledger.
        clock: Passes.
        patience_s: So long is waited until what is given back is gone.
    """

    cloud: Cloud
    engine: Renter
    folder: Path
    clock: Clock = CLOCK
    patience_s: float = PATIENCE_S


class StillBilling(RemoteError):
    """A machine may still cost money, and nobody but a person can see to it.

    Attributes:
        said: What is known.
    """

    def __init__(self, said: StillThere) -> None:
        super().__init__(str(said))
        self.said = said


def give_back(shop: Shop, name: str, tell: Tell) -> Gone | StillThere:
    """End all that was rented under ``name`` and see that it is gone; a second call is safe, at any time.

    A launch of that name that is still under way is cut off. Machines that the ledger does not know are left alone.

    Args:
        shop: The world.
        name: Of the rental.
        tell: Says what goes on.

    Raises:
        RemoteError: If the ledger cannot be read, or has never heard of ``name``.
    """
    rental = ledger.read(shop.folder).of(name)
    if rental is None:
        raise RemoteError(
            f"nothing was rented under {name!r:.80}", str(shop.folder / ledger.FILE), "look at kanjiprep remote ls"
        )
    was_cut_off = shop.engine.cut_off(name)
    now = shop.clock.now()
    _down(shop, name, tell)
    return _end(shop, name, now if was_cut_off else asked_until(rental, now), tell)


def asked_until(rental: Rental, now: datetime) -> datetime | None:
    """When a machine may last have been asked for; None for what the ledger says.

    If the one who asked was killed, its launch may have gone on until a moment ago.
    """
    is_known = bool(rental.ids) or not rental.is_open
    return None if is_known or now > rental.asked_at + timedelta(seconds=LAUNCH_S) else now


def last_asked(asked: Asked, cause: BaseException, now: datetime) -> datetime:
    """When Lambda may last have been asked for a machine without telling what became of that."""
    asked_at = datetime.fromisoformat(asked.at)
    if isinstance(cause, EngineError):
        if cause.may_be_left:
            return asked_at if cause.trouble in _HEARD else now
        return asked_at - timedelta(seconds=SETTLED_S)
    could_not_start = isinstance(cause, (RemoteError, UsageError))
    return asked_at - timedelta(seconds=SETTLED_S) if could_not_start else now


def strike_out(shop: Shop, name: str, tell: Tell) -> None:
    """Have the ledger say that nothing is rented, as far as it can be written at all."""
    try:
        rental = ledger.read(shop.folder).of(name)
        if rental is not None and rental.is_open:
            ledger.append(shop.folder, ledger.Gone(name, stamp(shop.clock.now())))
    except RemoteError as problem:
        tell(str(problem))


def undo(shop: Shop, asked: Asked, until: datetime | None, cause: BaseException, tell: Tell) -> None:
    """Give back what may be there of a rental that went wrong; whoever is in a hurry hears what that may cost.

    Args:
        shop: The world.
        asked: What was asked for.
        until: When Lambda may last have been asked without telling what became of it, if that is not known.
        cause: What went wrong.
        tell: Says what goes on.

    Raises:
        StillBilling: If something may be left.
    """
    name = asked.name
    try:
        with heeding(patient(name, tell)):
            tell(f"{name} could not be rented, and is given back now: {str(cause) or type(cause).__name__}")
            said = _given_back(shop, asked, until, tell)
    except Hurried:
        said = StillThere(_ids(shop, name), "it was not waited for")
    except Exception as error:  # noqa: BLE001 - whatever it is, nobody knows what is there now
        said = StillThere(_ids(shop, name), f"giving it back went wrong: {str(error) or type(error).__name__}")
    if isinstance(said, StillThere):
        raise StillBilling(said) from cause


def _given_back(shop: Shop, asked: Asked, until: datetime | None, tell: Tell) -> Gone | StillThere:
    name = asked.name
    if shop.engine.cut_off(name):
        until = shop.clock.now()
    try:
        # before anything is ended or asked again
        rental = leftovers.adopt(shop.cloud, shop.folder, shop.clock).of(name)
    except RemoteError as problem:
        tell(str(problem))
        rental = None
    tell(f"Lambda has {', '.join(rental.ids)}" if rental and rental.ids else "no machine of it is known")
    _down(shop, name, tell)
    if _is_known(shop, name, tell):
        return _end(shop, name, until, tell)
    rental = ledger.fold([asked])[0]
    return gone.verify_gone(shop.cloud, rental, shop.patience_s, tell=tell, launched_until=until, clock=shop.clock)


def _down(shop: Shop, name: str, tell: Tell) -> None:
    try:
        shop.engine.down(name)
    except Exception as error:  # noqa: BLE001 - whatever it is, we end the machine without SkyPilot
        tell(f"SkyPilot does not give {name} back, so we do: {str(error) or type(error).__name__}")


def _end(shop: Shop, name: str, launched_until: datetime | None, tell: Tell) -> Gone | StillThere:
    return gone.give_back(
        shop.cloud, shop.folder, name, shop.patience_s, tell=tell, launched_until=launched_until, clock=shop.clock
    )


def _is_known(shop: Shop, name: str, tell: Tell) -> bool:
    try:
        return ledger.read(shop.folder).of(name) is not None
    except RemoteError as problem:
        tell(str(problem))
        return False


def _ids(shop: Shop, name: str) -> tuple[str, ...]:
    try:
        rental = ledger.read(shop.folder).of(name)
    except RemoteError:  # then the word is about a machine whose id nobody knows
        return ()
    return rental.ids if rental else ()
