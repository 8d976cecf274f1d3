"""``--on lambda``: a machine that is rented for a run, and given back."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kanjiprep.cli import talk, there
from kanjiprep.errors import Interrupted, KanjiprepError, RemoteError, UsageError
from kanjiprep.training.remote.ssh.refusal import Unreachable

if TYPE_CHECKING:
    from kanjiprep.training.remote.attending import Attended
    from kanjiprep.training.remote.cloud.rental import Rental
    from kanjiprep.training.remote.offers import Offer
    from kanjiprep.training.remote.place import Place
    from kanjiprep.training.remote.renting import Rented
    from kanjiprep.training.remote.returning import Shop
    from kanjiprep.training.remote.there import Job


def launch(job: Job, *, yes: bool, detach: bool, as_json: bool) -> int:
    """Rent a machine for ``job``, launch it there, watch it to its end and give the machine back."""
    from kanjiprep.training.remote import renting, shops

    shop = shops.open_shop(os.environ, to_rent=True)
    found = _offer(shop, job)
    name = renting.name_of(shop, job.run)
    _refuse_elsewhere(job.run, name)
    _confirm(job, found, yes)
    rented = _rent(shop, found, job, name)
    say(f"rented: {name}, {terms(rented.rental)}")
    run, attempt = _start(shop, job, rented, as_json)
    return attend(run, lambda: _left(run, attempt, as_json) if detach else there.follow(run, as_json))


def _left(run: Attended, attempt: object, as_json: bool) -> tuple[int, bool]:
    there.leave(run, attempt, as_json)
    return 0, False


def attend(run: Attended, action: Callable[[], tuple[int, bool]]) -> int:
    """The exit code of what is done with a run, after which a machine that was rented for it is given back.

    Args:
        run: It may be on a box of the user's own: then nothing is given back.
        action: Gives the exit code, and whether the run is over and all of it here. While the box cannot be reached
            it is done again, as long as Lambda has the machine.

    Raises:
        RemoteError: If the machine is gone, or is not known to be gone after it was given back.
    """
    from kanjiprep.training.remote import shops

    if not run.place.rental:
        return action()[0]
    shop = shops.open_shop(os.environ, to_rent=False)  # what giving back needs, before anything is waited for
    code, is_over = 0, False
    try:
        while True:
            try:
                code, is_over = action()
                break
            except Unreachable as problem:
                _refuse_gone(shop, run, problem)
    finally:
        if not is_over:
            _say_what_stays(shop, run)
    return end(run, code) if is_over else code


def _refuse_gone(shop: Shop, run: Attended, problem: Unreachable) -> None:
    """Go on if the machine may be there still."""
    from kanjiprep.training.remote.cloud import gone, ledger

    rental = ledger.read(shop.folder).of(run.place.rental)
    if rental is None:
        raise problem
    if rental.is_open:
        seen = gone.verify_gone(shop.cloud, rental, 0, tell=say, clock=shop.clock)
        if not isinstance(seen, gone.Gone):
            return
        ledger.append(shop.folder, ledger.Gone(rental.name, ledger.stamp(seen.at)))
    _forget(run.run, run.place.rental)
    remedy = "what was brought here before stays; launch a new run for the rest"
    raise RemoteError(
        "its machine is gone, and was not given back by this command", str(run.run), remedy
    ) from problem


def _say_what_stays(shop: Shop, run: Attended) -> None:
    from kanjiprep.training.remote.cloud import ledger

    with suppress(RemoteError):  # then the reminder of the next command says so
        rental = ledger.read(shop.folder).of(run.place.rental)
        if rental is not None and rental.is_open:
            say(f"{rental.name} stays rented, {terms(rental)}; kanjiprep stop {talk.short(run.run)} ends it sooner")


def _offer(shop: Shop, job: Job) -> Offer:
    from kanjiprep.training import gpus
    from kanjiprep.training.remote import offers
    from kanjiprep.training.remote.cloud.api import Lambda
    from kanjiprep.training.run_spec import CPU

    machine, guard = job.preset.spec.machine, job.preset.spec.guard
    if machine.gpu == CPU:
        raise UsageError("is cpu, and nothing is rented for that", "machine.gpu", "name a GPU, see kanjiprep plan")
    if not isinstance(shop.cloud, Lambda):
        raise UsageError("is no account that has prices", "Lambda", "set LAMBDA_API_KEY")
    wish = offers.Wish(machine.gpu, machine.gpus, guard.max_hours, guard.max_usd, job.allow_arm)
    return offers.offer(shop.cloud, gpus.load(), wish)


def _refuse_elsewhere(run: Path, name: str) -> None:
    from kanjiprep.training.remote import place

    earlier = place.read(run)
    if earlier is not None and earlier.address:
        down = f", or give its machine back with kanjiprep remote down {earlier.rental}" if earlier.rental else ""
        remedy = f"look at it with kanjiprep monitor{down}, or give the new run another --name"
        raise UsageError(f"a run of that name is on {earlier.address}", str(run), remedy)
    if earlier is not None and earlier.rental != name:
        what = f"a run of that name is on what is rented as {earlier.rental}"
        raise UsageError(what, str(run), "give the new run another --name")


def _rent(shop: Shop, offer: Offer, job: Job, name: str) -> Rented:
    from kanjiprep.training.remote import place, renting

    _refuse_elsewhere(job.run, name)  # once more: a run may have been launched while the question stood there
    place.write(job.run, place.Place("", job.name, dataset=str(job.dataset.folder), rental=name))
    with _forgotten_if_nothing_came(job.run, shop, name):
        return renting.rent(shop, offer, job.run, say)


def terms(rental: Rental) -> str:
    """What it costs and when that ends."""
    rate = rental.usd_per_hour * max(1, len(rental.ids))
    until = f"until {utc(rental.ends_at)} at the latest, and what is not here by then is lost"
    most = math.ceil(round(rental.max_usd * 100, 6)) / 100  # a limit is never rounded down
    return f"{rate:.2f} USD an hour, {most:,.2f} USD at most, {until}"


def utc(at: datetime) -> str:
    """``at`` for a reader."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _confirm(job: Job, offer: Offer, yes: bool) -> None:
    """Say what it costs at most, and what the plan says, and ask."""
    from kanjiprep.training.plan_text import band
    from kanjiprep.training.remote import shops

    talk.say(f"to rent: {offer}")
    kept = f"for up to {offer.keep_h:g} h if nothing here watches it then, within that limit"
    talk.say(f"it is given back when its run is over and brought here; until it is brought it is kept, {kept}")
    if problem := shops.switch_problem(os.environ):
        shout(f"warning: the machine may not be able to give itself back if this one is off: {problem}")
    hours = job.planned.costs.duration.total if job.planned.costs.duration else None
    if hours is not None:
        talk.say(f"the run is planned to take {band(hours)}")
        if hours.value > offer.quote.hours:
            talk.say(f"warning: it will be stopped after {offer.quote.time}, probably before its end")
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nothing is rented without your word", "--yes", "give it, or run this on a terminal")
    try:
        is_wanted = click.confirm("Rent it?", default=False, err=True)
    except click.Abort as error:
        raise Interrupted("nothing was rented") from error
    if not is_wanted:
        raise UsageError("nothing was rented: you said no")


@contextmanager
def _forgotten_if_nothing_came(run: Path, shop: Shop, name: str) -> Iterator[None]:
    """Remove the note of a rental from the run folder if nothing came of it and nothing is left."""
    from kanjiprep.training.remote.cloud import ledger

    try:
        yield
    except BaseException:
        with suppress(RemoteError):  # who cannot read the list does not know that nothing is left
            rental = ledger.read(shop.folder).of(name)
            if rental is None or not rental.is_open:
                _forget(run, name)
        raise


def _forget(run: Path, name: str) -> None:
    """The run folder is an ordinary one from now on, or none if nothing is in it; a note of another place stays."""
    from kanjiprep.training.remote import place

    with suppress(OSError, UsageError):  # it holds what was made, or a note that is not understood
        found = place.read(run)
        if found is not None and found.rental == name:
            (run / place.FILE).unlink()
            run.rmdir()


def _place(job: Job, rented: Rented) -> Place:
    from kanjiprep.training.remote import place
    from kanjiprep.training.remote.ssh.address import Address

    login = rented.login
    address, key = str(Address(login.user, login.ip)), str(login.key_file)
    found = place.Place(address, job.name, key, dataset=str(job.dataset.folder), rental=rented.name)
    place.write(job.run, found)
    return found


def _start(shop: Shop, job: Job, rented: Rented, as_json: bool) -> tuple[Attended, object]:
    """The attempt that runs on the rented box; if it does not come to that, the box is given back."""
    from kanjiprep.training.remote.hearing import heeding, interrupt

    with heeding(interrupt):
        try:
            run = there.attended(job.run, _place(job, rented), as_json)
            return run, there.start(run, dataclasses.replace(job, until=rented.deadlines.stop_at), as_json)
        except BaseException as problem:
            say(f"nothing runs on {rented.name}, so it is given back: {str(problem) or type(problem).__name__}")
            give_back(shop, rented.name, job.run)
            raise


def end(run: Attended, code: int) -> int:
    """The exit code of a run whose copy is whole, after its machine was given back, if one was rented.

    Raises:
        StillBilling: If it is not known to be gone.
    """
    from kanjiprep.training.remote import shops
    from kanjiprep.training.remote.cloud.gone import StillThere
    from kanjiprep.training.remote.returning import StillBilling

    name = run.place.rental
    if not name:
        return code
    try:
        shop = shops.open_shop(os.environ, to_rent=False)
    except KanjiprepError as problem:
        raise StillBilling(StillThere((name,), f"it was not given back: {problem}")) from problem
    give_back(shop, name, run.run)
    return code


def give_back(shop: Shop, name: str, run: Path) -> None:
    """End what is rented under ``name``, see that it is gone, and take the note of it out of the run folder.

    Ctrl-C is answered with what that may cost; the second ends the wait.

    Raises:
        StillBilling: If it is not known to be gone.
    """
    from kanjiprep.training.remote import returning
    from kanjiprep.training.remote.cloud.gone import StillThere
    from kanjiprep.training.remote.hearing import Hurried, heeding, patient

    say(f"giving back {name}; Lambda is asked until it is gone")
    said: object
    try:
        with heeding(patient(name, say)):
            said = returning.give_back(shop, name, say)
    except Hurried:
        said = StillThere((name,), "it was not waited for")
    except Exception as error:  # noqa: BLE001 - whatever it is, nobody knows what is there now
        said = StillThere((name,), f"giving it back went wrong: {str(error) or type(error).__name__}")
    if isinstance(said, StillThere):
        raise returning.StillBilling(said)
    say(f"gone: Lambda has nothing of {name} any more")
    _forget(run, name)


def say(line: str) -> None:
    """Talk while something is rented: a terminal that is gone keeps nothing from being given back."""
    with suppress(OSError):
        talk.say(line)


def shout(line: str) -> None:
    """A line that has to be seen."""
    talk.say(click.style(line, fg="red", bold=True), talk.color())
