"""Renting a machine and giving it back. On every way out of a failed launch it is given back, or said loudly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from kanjiprep.errors import RemoteError, os_reason
from kanjiprep.paths import resolved
from kanjiprep.training import locks
from kanjiprep.training.remote.cloud import gone, ledger, leftovers, money, naming
from kanjiprep.training.remote.cloud.api import CONSOLE, ENDING
from kanjiprep.training.remote.cloud.asking import Tell
from kanjiprep.training.remote.cloud.gone import StillThere
from kanjiprep.training.remote.cloud.ledger import Asked, stamp
from kanjiprep.training.remote.cloud.money import Deadlines
from kanjiprep.training.remote.cloud.rental import Rental
from kanjiprep.training.remote.hearing import heeding, interrupt
from kanjiprep.training.remote.offers import Offer
from kanjiprep.training.remote.returning import Shop, asked_until, last_asked, strike_out, undo
from kanjiprep.training.remote.sky import task as tasks
from kanjiprep.training.remote.sky.answers import Launched, Login
from kanjiprep.training.remote.sky.task import Task

_OVER: Final = ENDING | {"preempted"}


@dataclass(frozen=True, slots=True)
class Rented:
    """A machine that is ours until it is given back.

    Attributes:
        name: Under which it is rented.
        login: How it is reached.
        rental: What the ledger has of it.
        deadlines: When its run has to stop, and it has to be gone.
    """

    name: str
    login: Login
    rental: Rental
    deadlines: Deadlines


def name_of(shop: Shop, run: Path) -> str:
    """The name under which a machine is rented for the run in ``run``.

    Raises:
        UsageError: If that is no path of a folder.
        RemoteError: If this machine has no identity, and gets none.
    """
    return naming.name_of(resolved(run), naming.machine_id(shop.folder))


def rent(shop: Shop, offer: Offer, run: Path, tell: Tell) -> Rented:
    """Rent what is offered for a run, once.

    From the moment when the ledger knows of it, whatever goes wrong has it given back and seen to be gone, also
    Ctrl-C and SIGTERM. What went wrong is then raised. What is returned, the caller has to give back.

    Args:
        shop: The world.
        offer: What the user agreed to.
        run: The run folder.
        tell: Says what goes on.

    Raises:
        RemoteError: If a machine is rented for this run already or about to be, or it cannot be rented.
        StillBilling: If it went wrong and a machine may still be there.
        Interrupted: If the process was told to end.
        UsageError: If a value makes no sense.
    """
    name = name_of(shop, run)
    with _alone(shop.folder, name):
        _refuse_second(shop, name, tell)
        at = shop.clock.now()
        task = _task(name, offer, money.deadlines(at, offer.quote.hours))
        tasks.render(task)  # what makes no sense is said before anything is written down
        return _rent(shop, task, _asked(name, at, run, offer), tell)


def _refuse_second(shop: Shop, name: str, tell: Tell) -> None:
    """Refuse if the ledger or Lambda has something of that name; what is gone by itself is written down as gone."""
    rental, now = leftovers.adopt(shop.cloud, shop.folder, shop.clock).of(name), shop.clock.now()
    if rental is not None and rental.is_open:
        launched_until = asked_until(rental, now)
        said = gone.verify_gone(shop.cloud, rental, 0, tell=tell, launched_until=launched_until, clock=shop.clock)
        if isinstance(said, StillThere):
            what = f"a machine is rented for this run already, since {stamp(rental.asked_at)}: {said.why}"
            raise RemoteError(what, name, f"give it back with: kanjiprep remote down {name}")
        ledger.append(shop.folder, ledger.Gone(name, stamp(said.at)))
    strangers = [one for one in shop.cloud.instances() if naming.is_named(one.name, name) and not one.is_gone]
    if strangers:
        what = f"Lambda has a machine {strangers[0].name} already that we did not rent: {strangers[0].id}"
        raise RemoteError(what, name, f"look at {CONSOLE}")


def _task(name: str, offer: Offer, deadlines: Deadlines) -> Task:
    quote = offer.quote
    return Task(
        name=name,
        instance_type=quote.instance_type,
        max_hourly_cost=quote.usd_per_hour * quote.machines,
        deadline=int(deadlines.switch_at.timestamp()),
        num_nodes=quote.machines,
        silent_minutes=round(offer.keep_h * 60),
    )


def _asked(name: str, at: datetime, run: Path, offer: Offer) -> Asked:
    quote = offer.quote
    return Asked(
        name=name,
        at=stamp(at),
        run=str(resolved(run)),
        instance_type=quote.instance_type,
        usd_per_hour=quote.usd_per_hour,
        max_hours=quote.hours,
        max_usd=quote.usd_most,
    )


def _rent(shop: Shop, task: Task, asked: Asked, tell: Tell) -> Rented:
    began, launched = False, None
    with heeding(interrupt):
        try:
            ledger.append(shop.folder, asked)
            began = True
            launched = shop.engine.launch(task)
            return _rented(shop, launched, tell)
        except BaseException as cause:
            if began:
                now = shop.clock.now()
                undo(shop, asked, None if launched else last_asked(asked, cause, now), cause, tell)
            else:
                strike_out(shop, asked.name, tell)
            raise


def _rented(shop: Shop, launched: Launched, tell: Tell) -> Rented:
    """What was launched, written down, after one look whether Lambda says the same of it."""
    name, at = launched.cluster, stamp(shop.clock.now())
    ledger.append(shop.folder, *(ledger.Launched(name, at, one) for one in launched.instance_ids))
    if not (launched.instance_ids and launched.logins):
        raise RemoteError("SkyPilot says that it was launched, and not what or where", name, "try again")
    login = _looked_at(shop, launched, tell)
    shop.engine.arm(name)
    rental = ledger.read(shop.folder).of(name)
    if rental is None:
        raise RemoteError("somebody took the list of what is rented away", name, "try again")
    return Rented(name, login, rental, money.deadlines(rental.asked_at, rental.max_hours))


def _looked_at(shop: Shop, launched: Launched, tell: Tell) -> Login:
    """The login of the head at the address that Lambda gives; SkyPilot's word is taken if Lambda does not tell."""
    login = launched.logins[0]
    try:
        leftovers.adopt(shop.cloud, shop.folder, shop.clock)
        head = shop.cloud.instance(launched.instance_ids[0])
    except RemoteError as problem:
        tell(f"{launched.cluster} was launched and cannot be looked at: {problem}")
        return login
    if head is None or head.status in _OVER:
        state = f"is {head.status}" if head else "is no longer there"
        raise RemoteError(f"{launched.instance_ids[0]} was launched and {state}", launched.cluster, "try again")
    if head.ip and head.ip != login.ip:
        tell(f"{launched.cluster} is at {head.ip}, not at {login.ip}")
        return replace(login, ip=head.ip)
    return login


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    """Hold the lock of a name, which ends with the process however that ends."""
    path = folder / f".{name}.lock"
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            stack.enter_context(locks.held(path, waits=False))
        except BlockingIOError as error:
            what = "another process rents a machine for this run right now"
            raise RemoteError(what, str(path), "wait for it, or stop it") from error
        except OSError as error:
            what = f"cannot be locked: {os_reason(error)}"
            raise RemoteError(what, str(path), "free the space or fix it") from error
        yield
