"""Runs on a box: launched, watched, stopped and pulled from here."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kanjiprep.cli import leaving, talk
from kanjiprep.errors import Interrupted, KanjiprepError, RemoteError, TrainerError, UsageError

if TYPE_CHECKING:
    from kanjiprep.training.pictures import Dataset
    from kanjiprep.training.plan import Plan
    from kanjiprep.training.presets import Preset
    from kanjiprep.training.remote.attending import Attended
    from kanjiprep.training.remote.place import Place
    from kanjiprep.training.remote.ssh.refusal import Unreachable
    from kanjiprep.training.remote.there import Job

LOCAL: Final = "local"
LAMBDA: Final = "lambda"
_BOOT_S: Final = 300.0


def refuse_unknown(where: str, key: Path | None = None) -> None:
    """Refuse a ``--on`` that is no place, and a key for a place that needs none.

    Raises:
        UsageError: If it is so.
    """
    if where not in (LOCAL, LAMBDA) and not where.startswith("ssh://"):
        raise UsageError(f"{where!r:.80} is no place to train", "--on", "give local, ssh://USER@HOST or lambda")
    if key is not None and where in (LOCAL, LAMBDA):
        raise UsageError(f"is for a box of your own, not for {where}", "--ssh-key", "leave it out")


def reached(run: Path, place: Place, quiet: bool) -> Attended:
    """As ``attended``, of a run whose box is there.

    Raises:
        RemoteError: If it is not there yet, or no longer.
    """
    if not place.address:
        raise RemoteError("its box was never reached", str(run), "look at kanjiprep remote ls")
    return attended(run, place, quiet)


def attended(run: Path, place: Place, quiet: bool) -> Attended:
    """The run of the copy ``run``, over a connection that is tried for ever, to a rented box for some minutes."""
    import platformdirs

    from kanjiprep.training.remote import attending
    from kanjiprep.training.remote.box.over_ssh import OverSsh
    from kanjiprep.training.remote.ssh.connection import Box

    say = _silent if quiet else talk.say
    # a rented box has keys of its own, and an address that another one had before
    keys = platformdirs.user_data_path("kanjiprep") / "ssh" / (place.rental or "own")
    box = Box(place.host, keys)
    patience_s = _BOOT_S if place.rental else None  # then Lambda is asked whether it is there at all
    return attending.Attended(OverSsh(box, patience_s, _tell(quiet)), place, run, say)


def _silent(_text: str) -> None:
    """Say nothing."""


def _tell(quiet: bool) -> Any:
    def tell(problem: Unreachable, pause_s: float) -> None:
        if not quiet:
            talk.say(f"{problem.where}: {problem.what}; tried again in {pause_s:.0f} s")

    return tell


def job_of(preset: Preset, dataset: tuple[str, Dataset], name: str, allow_arm: bool) -> Job:
    """What is launched: judged by the rules before any box is asked for.

    Args:
        preset: What is asked for.
        dataset: As the user named it, and as it was read.
        name: Of the run.
        allow_arm: Whether an ARM machine is tried.

    Raises:
        UsageError: If the name is taken.
        SpecError: If the rules find something with which the run must not start.
    """
    from kanjiprep import receipt
    from kanjiprep.cli.training import market, places_of
    from kanjiprep.training import plan as planning
    from kanjiprep.training import plan_text, run_folder
    from kanjiprep.training.remote import place
    from kanjiprep.training.remote.there import Job

    named, whole = dataset
    places = places_of(name)
    if place.read(places.run) is None:
        run_folder.refuse_begun(places.run)
    planned = planning.plan(preset, whole, places, market())
    _refuse(preset, planned)
    for line in plan_text.findings(planned.findings):
        talk.say(line)
    if not whole.digest:
        whole = dataclasses.replace(whole, digest=receipt.content_of(whole.folder))
    hub = whole.hub if _is_of_the_hub(named) else ""
    return Job(preset, whole, hub, planned, name, places.run, allow_arm)


def _is_of_the_hub(named: str) -> bool:
    from kanjiprep.publishing import hub_fetch

    return hub_fetch.parse(named) is not None


def _refuse(preset: Preset, planned: Plan) -> None:
    from kanjiprep.spec import SpecError
    from kanjiprep.training.plan import refusing

    if errors := refusing(planned.findings):
        raise SpecError(str(preset.folder), tuple(f"{one.rule}: {one.what} {one.fix}" for one in errors))


def place_of(job: Job, address: str, key: Path | None) -> Place:
    """Where the run will be.

    Raises:
        UsageError: If the address is none, or an earlier run of that name is elsewhere.
    """
    from kanjiprep.paths import resolved
    from kanjiprep.training.remote import place
    from kanjiprep.training.remote.ssh import address as addresses

    key_path = str(resolved(key)) if key else ""
    wanted = place.Place(str(addresses.parse(address)), job.name, key_path, dataset=str(job.dataset.folder))
    earlier = place.read(job.run)
    if earlier is not None and (earlier.address, earlier.rental) != (wanted.address, wanted.rental):
        what = f"a run of that name is on {earlier.address or earlier.rental}"
        raise UsageError(what, str(job.run), "look at it with kanjiprep monitor, or give the new run another --name")
    return wanted


def launch(job: Job, place: Place, detach: bool, as_json: bool) -> int:
    """Launch ``job`` on the user's own box and watch it to its end, unless it is left alone at once."""
    run = attended(job.run, place, as_json)
    attempt = start(run, job, as_json)
    if detach:
        leave(run, attempt, as_json)
        return 0
    return follow(run, as_json)[0]


def start(run: Attended, job: Job, as_json: bool) -> object:
    """The number of the attempt that runs on the box from now on."""
    from kanjiprep.training.remote import there
    from kanjiprep.training.remote.ssh import connection

    patience_s = _BOOT_S if run.place.rental else 0.0  # an address of the user's own may be a wrong one
    connection.again(lambda: connection.connect(run.far.box), patience_s=patience_s, tell=run.far.tell)
    with talk.progress(quiet=as_json) as progress:
        said = there.launch(run.far, run.place, job, progress, run.say)
    if not as_json:
        talk.say(
            f"started: attempt {said.get('attempt') or 1} of {job.name} on {run.place.address}; it needs nobody here"
        )
    return said.get("attempt")


def leave(run: Attended, attempt: object, as_json: bool) -> None:
    """Bring what is there, and leave the run alone."""
    with talk.progress(quiet=as_json) as progress:
        run.pull(progress)
    if as_json:
        talk.print_json({"run": run.run, "attempt": attempt, **_about(run)})
    else:
        leaving.say_how_to_attach(_leaving(run, as_json))


def _leaving(run: Attended, as_json: bool) -> leaving.Leaving:
    def end() -> None:
        stop(run, with_checkpoint=True, as_json=as_json)

    return leaving.Leaving(run.run, f"{run.place.name} on {run.place.address}", end, _about(run))


def follow(run: Attended, as_json: bool) -> tuple[int, bool]:
    """The exit code of a run that is watched, and whether it is over and all of it here."""
    try:
        return _watch(run, as_json)
    except KeyboardInterrupt as why:
        return Interrupted.exit_code, leaving.after(_leaving(run, as_json), why, as_json)


def _watch(run: Attended, as_json: bool) -> tuple[int, bool]:
    """As ``follow``; a trainer that nobody watches there still writes, and its box must not be given back."""
    from kanjiprep.cli import screens
    from kanjiprep.training.remote import attending

    with screens.screen(as_json) as shown:
        seen = attending.watch(run, shown, _no_progress)
    screens.show(seen, as_json, _about(run))
    return (TrainerError.exit_code, False) if seen.exit_code is None else (seen.exit_code, True)


def _no_progress(stage: str, done: int, total: int | None) -> None:
    """The screen shows how far the run is; a bar would draw over it."""


def _about(run: Attended) -> Mapping[str, object]:
    return {"on": run.place.address, "rental": run.place.rental or None}


def monitor(run: Attended, once: bool, tunnel: int | None, as_json: bool) -> tuple[int, bool]:
    """Look at a run on its box once, or to its end: the exit code, and whether it was seen to its end.

    Raises:
        UsageError: If a tunnel is wished for a look.
    """
    from kanjiprep.cli import screens
    from kanjiprep.training.remote.ssh import tunnel as tunnels

    if once or as_json:
        if tunnel is not None:
            raise UsageError("is for watching a run", "--tunnel", "leave out --once and --json")
        run = hurried(run)
        seen = run.look()
        with talk.progress(quiet=as_json) as progress:
            run.pull(progress)
        screens.show(seen, as_json, _about(run))
        return 0, False
    ports: Any = nullcontext() if tunnel is None else tunnels.tunnel(run.far.box, tunnel, tunnel)
    with ports:
        if tunnel is not None:
            talk.say(f"tunnel: http://127.0.0.1:{tunnel} is port {tunnel} of {run.place.address}")
        return follow(run, as_json)


def stop(run: Attended, *, with_checkpoint: bool, as_json: bool) -> tuple[int, bool]:
    """Stop a run on its box and bring here what it has made: 0, and that it is over."""
    with talk.progress(quiet=as_json) as progress:
        said = run.stop(progress, with_checkpoint=with_checkpoint)
        pulled = run.finish(progress)
    if as_json:
        talk.print_json({**said, "run": run.run, **_about(run), "checkpoints": pulled.kept})
        return 0, True
    exit_: dict[str, Any] = said.get("exit") or {}
    if exit_:
        reason = f": {exit_['reason']}" if exit_.get("reason") else ""
        talk.say(f"{exit_.get('status')} at step {exit_.get('step', 0):,}{reason}")
    else:
        talk.say(f"nothing was running in {run.place.name} on {run.place.address}")
    talk.say(f"all of it is in {run.run}, {pulled.kept} checkpoints, every file compared")
    return 0, True


def resume(run: Attended, limits: Mapping[str, Any], detach: bool, as_json: bool) -> tuple[int, bool]:
    """Go on with a run on its box."""
    options = {f"--{name.replace('_', '-').replace('policy', 'guard')}": value for name, value in limits.items()}
    with talk.progress(quiet=as_json) as progress:
        said = run.resume(options, _tokens(run), progress)
    if not detach:
        return follow(run, as_json)
    leave(run, said.get("attempt"), as_json)
    return 0, False


def _tokens(run: Attended) -> Mapping[str, str]:
    from kanjiprep.training import presets
    from kanjiprep.training.remote import there

    is_here = (run.run / presets.SPEC).is_file()
    return there.tokens(presets.load(str(run.run)).spec.tracker.service if is_here else "", os.environ)


def bring(wanted: str, quiet: bool) -> None:
    """Bring what the run on its box has made, if ``wanted`` is a copy of one; where that fails, say so and go on."""
    from kanjiprep.training.remote import place

    found = place.find(wanted)
    if found is None or not found[1].address:
        return
    try:
        with talk.progress(quiet=quiet) as progress:
            hurried(attended(*found, quiet)).pull(progress)
    except KanjiprepError as problem:
        talk.say(f"warning: {problem}; going on with what is here already")


def hurried(run: Attended) -> Attended:
    """``run``, but a box that cannot be reached is given up soon."""
    return dataclasses.replace(run, far=dataclasses.replace(run.far, patience_s=20.0))
