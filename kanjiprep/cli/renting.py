"""Machines that are rented: ``--on lambda``, ``setup-remote``, ``remote ls`` and ``remote down``."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kanjiprep.cli import talk, there
from kanjiprep.errors import KanjiprepError, RemoteError, UsageError

if TYPE_CHECKING:
    from kanjiprep.training.remote.attending import Attended
    from kanjiprep.training.remote.offers import Offer
    from kanjiprep.training.remote.place import Place
    from kanjiprep.training.remote.renting import Rented
    from kanjiprep.training.remote.returning import Shop
    from kanjiprep.training.remote.there import Job

_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")


def launch(job: Job, *, yes: bool, detach: bool, as_json: bool) -> int:
    """Rent a machine for ``job``, launch it there, watch it to its end and give the machine back."""
    from kanjiprep.training.remote import place, renting, shops

    shop = shops.open_shop(os.environ, to_rent=True)
    found = _offer(shop, job)
    name = renting.name_of(shop, job.run)
    _refuse_elsewhere(job.run, name)
    _confirm(job, found, yes)
    place.write(job.run, place.Place("", job.name, dataset=str(job.dataset.folder), rental=name))
    with _forgotten_if_nothing_came(job.run, shop, name):
        rented = renting.rent(shop, found, job.run, talk.say)
    run = there.attended(job.run, _place(job, rented), as_json)
    attempt = _start(shop, run, job, rented, as_json)
    talk.say(
        f"{name} is given back at {rented.deadlines.end_at:%Y-%m-%d %H:%M} UTC at the latest, whatever happens here"
    )
    if detach:
        there.leave(run, attempt, as_json)
        return 0
    code, is_over = there.follow(run, as_json)
    return end(run, code) if is_over else code


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
    caps = (guard.max_hours, guard.max_usd)
    return offers.offer(shop.cloud, gpus.load(), machine.gpu, machine.gpus, *caps, allow_arm=job.allow_arm)


def _refuse_elsewhere(run: Path, name: str) -> None:
    from kanjiprep.training.remote import place

    earlier = place.read(run)
    if earlier is not None and earlier.address:
        remedy = "look at it with kanjiprep monitor, or give the new run another --name"
        raise UsageError(f"a run of that name is on {earlier.address}", str(run), remedy)
    if earlier is not None and earlier.rental != name:
        raise UsageError(f"was for {earlier.rental}", str(run), "give the new run another --name")


def _confirm(job: Job, offer: Offer, yes: bool) -> None:
    """Say what it costs at most, and what the plan says, and ask."""
    from kanjiprep.training.plan_text import band
    from kanjiprep.training.remote import shops

    talk.say(f"to rent: {offer}")
    if problem := shops.switch_problem(os.environ):
        _shout(f"warning: the machine may not be able to give itself back if this one is off: {problem}")
    hours = job.planned.costs.duration.total if job.planned.costs.duration else None
    if hours is not None:
        talk.say(f"the plan: {band(hours)}")
        if hours.value > offer.quote.hours:
            talk.say(f"warning: it will be stopped after {offer.quote.time}, probably before its end")
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nothing is rented without your word", "--yes", "give it, or run this on a terminal")
    if not click.confirm("Rent it?", default=False, err=True):
        raise UsageError("nothing was rented", "", "as you said")


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
                _forget(run)
        raise


def _forget(run: Path) -> None:
    """The run folder is an ordinary one from now on, or none if nothing is in it."""
    from kanjiprep.training.remote import place

    (run / place.FILE).unlink(missing_ok=True)
    with suppress(OSError):  # it holds what was made
        run.rmdir()


def _place(job: Job, rented: Rented) -> Place:
    from kanjiprep.training.remote import place
    from kanjiprep.training.remote.ssh.address import Address

    login = rented.login
    address, key = str(Address(login.user, login.ip)), str(login.key_file)
    found = place.Place(address, job.name, key, dataset=str(job.dataset.folder), rental=rented.name)
    place.write(job.run, found)
    return found


def _start(shop: Shop, run: Attended, job: Job, rented: Rented, as_json: bool) -> object:
    """The attempt that runs on the rented box; if it does not come to that, the box is given back."""
    try:
        return there.start(run, dataclasses.replace(job, until=rented.deadlines.stop_at), as_json)
    except BaseException as problem:
        talk.say(f"nothing runs on {rented.name}, so it is given back: {str(problem) or type(problem).__name__}")
        _give_back(shop, rented.name, run.run)
        raise


def end(run: Attended, code: int) -> int:
    """The exit code of a run whose copy is whole, after its machine was given back, if one was rented.

    Raises:
        RemoteError: If it is not known to be gone.
    """
    from kanjiprep.training.remote import shops

    if run.place.rental:
        _give_back(shops.open_shop(os.environ, to_rent=False), run.place.rental, run.run)
    return code


def _give_back(shop: Shop, name: str, run: Path | None) -> None:
    from kanjiprep.training.remote import returning
    from kanjiprep.training.remote.cloud.gone import StillThere

    talk.say(f"giving back {name}; Lambda is asked until it is gone")
    said = returning.give_back(shop, name, talk.say)
    if isinstance(said, StillThere):
        raise returning.StillBilling(said)
    talk.say(f"gone: Lambda has nothing of {name} any more")
    if run is not None:
        _forget(run)


@click.command(
    "setup-remote",
    short_help="Make an environment for SkyPilot, which rents machines.",
    epilog="""\b
Examples:
  kanjiprep setup-remote --dry-run
  LAMBDA_API_KEY=... kanjiprep setup-remote""",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done and downloaded, and do nothing.")
@_JSON
def setup_remote(dry_run: bool, as_json: bool) -> None:
    """Make an environment and a home of its own for SkyPilot, by which --on lambda rents machines.

    The home holds Lambda's key from LAMBDA_API_KEY and no other cloud's, so that nothing else can be found
    there or copied to a machine. The key does go to rented machines: they need it to give themselves back. A
    second call verifies, and writes the key anew.
    """
    from kanjiprep.training.remote.sky import home, setup

    where = home.managed_folder(os.environ)
    agreed = setup.plan(where)
    for step in () if as_json and not dry_run else agreed.steps:
        talk.say(step)
    if dry_run:
        if as_json:
            talk.print_json({**dataclasses.asdict(agreed), "steps": agreed.steps})
        return
    with talk.progress(quiet=as_json) as progress:
        engine = setup.setup(where, progress)
    if as_json:
        talk.print_json({"python": engine.python, "home": engine.home})
    else:
        talk.say(f"ready: SkyPilot, {engine.python}")
        talk.say("Next: kanjiprep launch-simpletuner PRESET --on lambda --max-usd 60")


@click.group(
    short_help="Show and end what is rented.",
    no_args_is_help=True,
    epilog="""\b
Examples:
  kanjiprep remote ls
  kanjiprep remote down NAME""",
)
def remote() -> None:
    """Machines that were rented for runs: which there are, and the end of one."""


@remote.command("ls", epilog="\b\nExamples:\n  kanjiprep remote ls\n  kanjiprep remote ls --json")
@_JSON
def ls(as_json: bool) -> int:
    """List what is rented, and whatever at Lambda looks like it.

    What our list has is compared with what Lambda says. Exit code 7 means that something is past its end, or is
    not known to be gone.
    """
    from kanjiprep.training.remote import holdings, shops

    found = holdings.standing(shops.open_shop(os.environ, to_rent=False))
    loud = [one.loud for one in found if one.loud]
    if as_json:
        talk.print_json(found)
        return RemoteError.exit_code if loud else 0
    for one in found:
        age = "" if one.age_s is None else f"  {one.age_s / 3600:.1f} h"
        usd = "" if one.usd_so_far is None else f"  up to {one.usd_so_far:.2f} USD so far"
        click.echo(f"{one.name}  {one.state}{age}  {one.usd_per_hour:.2f} USD/h{usd}  {one.run}")
    for line in loud:
        _shout(line)
    if not found:
        talk.say("nothing is rented")
    for one in found:
        talk.say(f"{one.name}: {one.remedy}")
    return RemoteError.exit_code if loud else 0


@remote.command(
    "down",
    epilog="""\b
Examples:
  kanjiprep remote down kanjiprep-sd35-large-lora-1a2b3c
  kanjiprep remote down kanjiprep-sd35-large-lora-1a2b3c --lose-results""",
)
@click.argument("name")
@click.option("--lose-results", is_flag=True, help="Bring nothing here first.")
@_JSON
def down(name: str, lose_results: bool, as_json: bool) -> None:
    """Give back what is rented under NAME, after its run was stopped and brought here.

    Lambda is asked until it is gone. If not everything can be brought here the machine is kept, unless
    --lose-results is given. Nothing that is not in our list is ever ended.
    """
    from kanjiprep.training.remote import shops
    from kanjiprep.training.remote.cloud import ledger

    shop = shops.open_shop(os.environ, to_rent=False)
    rental = ledger.read(shop.folder).of(name)
    run = Path(rental.run) if rental and Path(rental.run).is_dir() else None
    if run is not None and not lose_results:
        _bring(run, name, as_json)
    _give_back(shop, name, run)
    if as_json:
        talk.print_json({"name": name, "gone": True, "run": run})


def _bring(run: Path, name: str, quiet: bool) -> None:
    from kanjiprep.training.remote import place

    found = place.read(run)
    if found is None or not found.address or found.rental != name:
        return
    attended = there.hurried(there.attended(run, found, quiet))
    try:
        with talk.progress(quiet=quiet) as progress:
            attended.stop(progress, with_checkpoint=True)
            attended.finish(progress)
    except KanjiprepError as problem:
        what = f"not everything of its run could be brought here, so it is kept: {problem}"
        raise RemoteError(what, name, "try again, or give --lose-results") from problem


def remind(tell: Callable[[str], None]) -> None:
    """Say what is still rented, if anything is; nobody is asked."""
    from datetime import UTC, datetime

    from kanjiprep.training.remote import holdings
    from kanjiprep.training.remote.cloud import ledger

    line = holdings.reminder(ledger.default_folder(), datetime.now(UTC))
    if line:
        tell(line)


def _shout(line: str) -> None:
    color = False if os.environ.get("NO_COLOR") else None
    click.echo(click.style(line, fg="red", bold=True), err=True, color=color)
