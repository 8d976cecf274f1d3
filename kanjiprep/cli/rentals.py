"""``setup-remote``, ``remote ls``, ``remote down`` and the reminder: what it takes to rent, and what is rented."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kanjiprep.cli import completed, options, renting, talk, there
from kanjiprep.cli.guessing import Guessing
from kanjiprep.errors import KanjiprepError, RemoteError, UsageError

if TYPE_CHECKING:
    from kanjiprep.training.remote.cloud.rental import Rental
    from kanjiprep.training.remote.holdings import Holding
    from kanjiprep.training.remote.returning import Shop


@click.command(
    "setup-remote",
    short_help="Make an environment for SkyPilot, which rents machines.",
    epilog="""\b
Examples:
  kanjiprep setup-remote --dry-run
  LAMBDA_API_KEY=... kanjiprep setup-remote""",
)
@options.dry_run("do nothing")
@options.JSON
def setup_remote(dry_run: bool, as_json: bool) -> None:
    """Make an environment of its own for SkyPilot, which rents machines for launch-simpletuner --on lambda.

    Nothing is rented and nothing costs money yet. The key is that of LAMBDA_API_KEY. It goes to rented machines
    too, for they need it to give themselves back. No key of another cloud is used, or copied to a machine.

    A second call verifies what is there, and writes the key anew.
    """
    from kanjiprep.training.remote.sky import home, setup

    where = home.managed_folder(os.environ)
    agreed = setup.plan(where)
    for step in () if as_json else agreed.steps:
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
        talk.say(
            "Next: kanjiprep launch-simpletuner sd35-large-lora --on lambda --max-usd 60; it asks before it rents"
        )


@click.group(
    cls=Guessing,
    short_help="Show and end what is rented.",
    no_args_is_help=True,
    epilog="""\b
Examples:
  kanjiprep remote ls
  kanjiprep remote down kanjiprep-sd35-large-lora-1a2b3c""",
)
def remote() -> None:
    """List the machines that are rented for runs, or give one back."""


@remote.command(
    "ls",
    short_help="List what is rented and what it costs.",
    epilog="""\b
Examples:
  kanjiprep remote ls
  kanjiprep remote ls --json""",
)
@options.JSON
def ls(as_json: bool) -> int:
    """List what is rented, what it costs, and when that ends.

    The list that kanjiprep keeps is compared with what Lambda has.

    Exit code 7 means that something may cost money without a reason: it is past its end, is not known to be gone,
    or looks like a machine of kanjiprep but is not in its list.
    """
    from kanjiprep.training.remote import holdings, shops

    found = holdings.standing(shops.open_shop(os.environ, to_rent=False))
    loud = [one.loud for one in found if one.loud]
    if as_json:
        times = [one.ends_at.isoformat(timespec="seconds") if one.ends_at else None for one in found]
        talk.print_json([{**dataclasses.asdict(one), "ends_at": at} for one, at in zip(found, times, strict=True)])
        return RemoteError.exit_code if loud else 0
    for one in found:
        talk.out(_line(one))
    for line in loud:
        renting.shout(line)
    if not found:
        talk.say("nothing is rented")
    for one in found:
        talk.say(f"{one.name}: {one.remedy}")
    return RemoteError.exit_code if loud else 0


def _line(one: Holding) -> str:
    """A machine in a line: what it is, since when, what it costs, when it ends, and for which run."""
    words = [
        one.name,
        one.state,
        "" if one.age_s is None else f"since {one.age_s / 3600:.1f} h",
        f"{one.usd_per_hour:.2f} USD an hour",
        "" if one.usd_so_far is None else f"up to {one.usd_so_far:.2f} USD so far",
        "" if one.ends_at is None else f"until {renting.utc(one.ends_at)} at the latest",
        one.run,
    ]
    return "  ".join(filter(None, words))


@remote.command(
    "down",
    short_help="Give one back, after its run was stopped and brought here.",
    epilog="""\b
Examples:
  kanjiprep remote down kanjiprep-sd35-large-lora-1a2b3c
  kanjiprep remote down kanjiprep-sd35-large-lora-1a2b3c --lose-results""",
)
@click.argument("name", shell_complete=completed.rental)
@click.option("--lose-results", is_flag=True, help="Bring nothing here first. What is only there is lost.")
@options.JSON
def down(name: str, lose_results: bool, as_json: bool) -> None:
    """Give back the machine NAME, after its run was stopped and brought here.

    NAME is as kanjiprep remote ls shows it. Lambda is asked until the machine is gone. If not all of the run can
    be brought here, the machine is kept and goes on costing money, unless --lose-results is given.
    """
    from kanjiprep.spec import did_you_mean
    from kanjiprep.training.remote import shops
    from kanjiprep.training.remote.cloud import ledger

    shop = shops.open_shop(os.environ, to_rent=False)
    book = ledger.read(shop.folder)
    rental = book.of(name)
    if rental is None:
        guess = did_you_mean(name, [one.name for one in book.open_rentals])
        raise UsageError(f"nothing was rented under {name!r:.80}", "", f"look at kanjiprep remote ls{guess}")
    run = Path(rental.run)
    if not lose_results:
        _bring(shop, rental, run, as_json)
    renting.give_back(shop, name, run)
    if as_json:
        talk.print_json({"name": name, "gone": True, "run": run if run.is_dir() else None})


def _bring(shop: Shop, rental: Rental, run: Path, quiet: bool) -> None:
    """Stop the run and bring all of it here, if it has come to a run and its machine is still there."""
    from kanjiprep.training.remote import place, pull
    from kanjiprep.training.remote.cloud import gone

    try:
        if isinstance(gone.verify_gone(shop.cloud, rental, 0, tell=renting.say, clock=shop.clock), gone.Gone):
            renting.say(f"Lambda has nothing of {rental.name} any more, so nothing more can be brought from there")
            return
        found = place.read(run)
        if found is None or found.rental != rental.name:
            raise RemoteError("says nothing of it, and only there stands how it is reached", str(run))
        attended = there.hurried(there.attended(run, found, quiet)) if found.address else None
        if attended is None or not pull.is_there(attended.far, found):
            renting.say(f"no run was started on {rental.name}, so there is nothing to bring")
            return
        with talk.progress(quiet=quiet) as progress:
            attended.stop(progress, with_checkpoint=True)
            attended.finish(progress)
    except KanjiprepError as problem:
        what = f"is kept and goes on costing money, for not all of its run could be brought here: {problem}"
        raise RemoteError(what, rental.name, "try again, or give --lose-results") from problem


def remind(tell: Callable[[str], None]) -> None:
    """Say what is still rented, if anything is; nobody is asked."""
    from kanjiprep.training.remote import holdings
    from kanjiprep.training.remote.cloud import ledger

    line = holdings.reminder(ledger.default_folder(), datetime.now(UTC))
    if line:
        tell(line)
