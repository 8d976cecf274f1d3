"""``rehearse`` and ``launch-simpletuner``: runs that start."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from kanjiprep.cli import completed, leaving, options, talk, there, watching
from kanjiprep.cli.training import launch_line, market, places_of, read_dataset, run_options
from kanjiprep.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from kanjiprep.training.launch import Prepared
    from kanjiprep.training.pictures import Dataset
    from kanjiprep.training.presets import Preset
    from kanjiprep.training.remote.there import Job
    from kanjiprep.training.running.files import Pulse
    from kanjiprep.training.trainer import Trainer

_POLICIES = ("off", "warn", "stop", "rollback")
_TRAINER = click.option(
    "--trainer",
    metavar="PATH",
    shell_complete=completed.file,
    help="SimpleTuner's environment, its Python or its script.  [default: looked for]",
)


@dataclass(frozen=True, slots=True)
class _Run:
    """A run folder to be made.

    Attributes:
        name: In runs/.
        trainer: Which SimpleTuner.
        quiet: Say nothing on the way.
        is_starting: Whether it is to be started at once.
        notes: Further files.
    """

    name: str
    trainer: Trainer
    quiet: bool
    is_starting: bool
    notes: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ways:
    """How a run elsewhere is launched: where and by which key, rented without asking, left alone, told in JSON."""

    where: str
    ssh_key: Path | None
    yes: bool
    detach: bool
    as_json: bool


@click.command(
    "launch-simpletuner",
    short_help="Render, check, start, watch and guard a run.",
    epilog="""\b
Examples:
  kanjiprep launch-simpletuner sd35-large-lora --dry-run
  kanjiprep launch-simpletuner sd35-large-lora
  kanjiprep launch-simpletuner sd35-large-lora --detach --max-usd 40 --guard rollback
  kanjiprep launch-simpletuner runs/sd35-large-lora --resume
  kanjiprep launch-simpletuner sd35-large-lora --on ssh://ubuntu@203.0.113.7
  kanjiprep launch-simpletuner sd35-large-lora --on lambda --max-usd 60""",
)
@run_options
@click.option("--name", metavar="NAME", help="Name of the run, a folder in runs/.  [default: the preset's]")
@click.option(
    "--dry-run", is_flag=True, help="Render and check, start nothing, and print the line that would start it."
)
@click.option("--detach", is_flag=True, help="Return as soon as the run has started.")
@click.option("--resume", is_flag=True, help="PRESET is a run: go on with it from its last checkpoint.")
@click.option(
    "--guard", type=click.Choice(_POLICIES), help="What to do when the run goes wrong.  [default: the preset's]"
)
@click.option(
    "--max-hours", type=click.FloatRange(0, min_open=True), metavar="H", help="Stop after H hours of training."
)
@click.option("--max-usd", type=click.FloatRange(0, min_open=True), metavar="USD", help="Stop at this cost.")
@click.option(
    "--on",
    "where",
    default="local",
    show_default=True,
    metavar="local|ssh://USER@HOST|lambda",
    shell_complete=completed.place,
    help="Train here, on a box that you have, or on one that is rented at Lambda.",
)
@click.option(
    "--ssh-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Private key for ssh://...  [default: as ssh finds it]",
)
@click.option("--yes", is_flag=True, help="Rent without asking.")
@click.option("--allow-arm", is_flag=True, help="Accept a box with an ARM processor, such as a GH200.")
@_TRAINER
@options.JSON
def launch_simpletuner(
    preset: str,
    dataset: str,
    settings: tuple[str, ...],
    name: str | None,
    guard: str | None,
    max_hours: float | None,
    max_usd: float | None,
    where: str,
    ssh_key: Path | None,
    yes: bool,
    allow_arm: bool,
    detach: bool,
    resume: bool,
    dry_run: bool,
    trainer: str | None,
    as_json: bool,
) -> int:
    """Train by PRESET in the folder runs/NAME, watched and guarded.

    PRESET is the name of a preset (see kanjiprep presets), or a folder with a run.toml. The rules look for traps,
    and SimpleTuner's own parser checks the files. If either refuses them, nothing is written.

    The run goes on if this terminal is closed, for a process of its own starts and guards the trainer. Ctrl-C asks
    whether to leave the run alone or to stop it.

    With --on the run is set up and started on another machine, which needs nobody here. What it makes is brought
    into runs/NAME as it goes. A rented box needs --max-hours or --max-usd. It is given back at the end, and Lambda
    is asked until it is gone.

    SimpleTuner is looked for in --trainer, in KANJIPREP_SIMPLETUNER, in the environment that kanjiprep
    setup-trainer makes, and on PATH.

    Exit code 0 means that the trainer says it is done, 6 that it failed, 7 that a limit stopped it, 8 that the
    guard did, and 130 that somebody did.
    """
    from kanjiprep.training import presets as shelf

    limits = {"policy": guard, "max_hours": max_hours, "max_usd": max_usd}
    wanted = {key: value for key, value in limits.items() if value is not None}
    there.refuse_unknown(where, None if resume else ssh_key)
    if resume:
        _refuse_with_resume(settings, name, dry_run, trainer)
        _refuse_place_with_resume(where, ssh_key, yes, allow_arm)
        return _go_on(preset, wanted, detach, as_json)
    words = (*settings, *(f"guard.{key}={value}" for key, value in wanted.items()))
    if where != there.LOCAL:
        _refuse_elsewhere(trainer, dry_run, where)
        found = shelf.load(preset, words)
        named = (dataset, read_dataset(dataset, as_json))
        job = there.job_of(found, named, _named(name, found.name), allow_arm)
        return _launch_there(job, Ways(where, ssh_key, yes, detach, as_json))
    found, engine = shelf.load(preset, words), _find(trainer)
    whole = read_dataset(dataset, as_json)
    prepared = _prepare(found, whole, _Run(_named(name, found.name), engine, as_json, is_starting=not dry_run))
    if dry_run:
        _tell_dry(prepared, as_json)
        return 0
    return _attend(prepared.run, detach, as_json)


def _refuse_with_resume(settings: tuple[str, ...], name: str | None, dry_run: bool, trainer: str | None) -> None:
    """A run goes on as it is; its learning rate would not even be read again."""
    is_given = click.get_current_context().get_parameter_source("dataset") is ParameterSource.COMMANDLINE
    options = {"--dataset": is_given, "--set": settings, "--name": name, "--dry-run": dry_run, "--trainer": trainer}
    given = [option for option, value in options.items() if value]
    if given:
        raise UsageError(
            f"{given[0]} cannot be had with --resume: a run goes on as it was launched",
            remedy="launch a new run for that; --guard, --max-hours and --max-usd can be changed",
        )


def _refuse_place_with_resume(where: str, ssh_key: Path | None, yes: bool, allow_arm: bool) -> None:
    given = {"--on": where != there.LOCAL, "--ssh-key": ssh_key, "--yes": yes, "--allow-arm": allow_arm}
    for option in (option for option, value in given.items() if value):
        raise UsageError(f"{option} cannot be had with --resume: a run goes on where it is", remedy="leave it out")


def _go_on(run: str, limits: dict[str, Any], detach: bool, as_json: bool) -> int:
    from kanjiprep.training.remote import place

    found = place.find(run)
    if found is not None:
        from kanjiprep.cli import renting

        attended = there.reached(*found, as_json)
        if attended.place.rental:
            remedy = f"stop it with kanjiprep stop {talk.short(attended.run)}, and launch a new run"
            raise UsageError("a run on a rented machine is not gone on with: its end was set before", run, remedy)
        return renting.attend(attended, lambda: there.resume(attended, limits, detach, as_json))
    return _attend(_resume(run, limits), detach, as_json)


def _refuse_elsewhere(trainer: str | None, dry_run: bool, where: str) -> None:
    given = next((name for name, value in {"--trainer": trainer, "--dry-run": dry_run}.items() if value), "")
    if given:
        raise UsageError(f"{given} is for a run on this machine, not on {where}", "", "plan it with kanjiprep plan")


def _launch_there(job: Job, ways: Ways) -> int:
    if ways.where == there.LAMBDA:
        from kanjiprep.cli import renting

        return renting.launch(job, yes=ways.yes, detach=ways.detach, as_json=ways.as_json)
    return there.launch(job, there.place_of(job, ways.where, ways.ssh_key), ways.detach, ways.as_json)


def _resume(run: str, limits: dict[str, Any]) -> Path:
    from kanjiprep.training.running import files, starting

    folder = files.find(run)
    starting.order_again(folder, limits)
    return folder


def _find(trainer: str | None) -> Trainer:
    from kanjiprep.training import trainer as trainers

    return trainers.find(trainer, os.environ, trainers.managed_folder(os.environ))


def _named(name: str | None, otherwise: str) -> str:
    return otherwise if name is None else name


def _prepare(preset: Preset, dataset: Dataset, run: _Run) -> Prepared:
    """The run folder, rendered and judged."""
    from kanjiprep.training import launch, plan_text

    places = places_of(run.name)
    request = launch.LaunchRequest(preset, dataset, places, run.trainer, market(), run.is_starting, run.notes)
    with talk.progress(quiet=run.quiet) as progress:
        prepared = launch.prepare(request, progress)
    if not run.quiet:
        for line in plan_text.findings(prepared.findings):
            talk.say(line)
        steps = prepared.steps
        talk.say(f"rendered: {prepared.run}, {steps.total:,} steps over {steps.pictures:,} pictures")
        talk.say(f"checked: SimpleTuner {prepared.trainer} accepts every key")
    return prepared


def _tell_dry(prepared: Prepared, as_json: bool) -> None:
    if as_json:
        talk.print_json({**dataclasses.asdict(prepared), "line": prepared.line})
    else:
        talk.say("Start it with:")
        talk.out(prepared.line)


def _attend(run: Path, detach: bool, as_json: bool, notes: Mapping[str, object] = MappingProxyType({})) -> int:
    """Start a supervisor and watch it to the end, unless it is left alone at once."""
    from kanjiprep.training.running import starting

    try:
        pulse = starting.start(run)
        if detach:
            _tell_detached(run, pulse, as_json)
            return 0
        if not as_json:
            talk.say(f"started: attempt {pulse.attempt} of {run}; it lives on without this terminal")
        return watching.watch(run, as_json, notes)
    except (KeyboardInterrupt, Interrupted) as why:
        leaving.after(_leaving(run, as_json), why, as_json)
        return Interrupted.exit_code


def _tell_detached(run: Path, pulse: Pulse, as_json: bool) -> None:
    if as_json:
        talk.print_json({"run": run, "attempt": pulse.attempt, "supervisor": pulse.supervisor.pid})
    else:
        leaving.say_how_to_attach(_leaving(run, as_json))


def _leaving(run: Path, as_json: bool) -> leaving.Leaving:
    return leaving.Leaving(run, str(run), lambda: watching.stop_run(run, with_checkpoint=True, as_json=as_json))


@click.command(
    short_help="Run a preset in small, on the CPU, before renting.",
    epilog="""\b
Examples:
  kanjiprep rehearse sd35-large-lora
  kanjiprep rehearse mine/ --dataset small/ --set training.batch=3""",
)
@run_options
@click.option("--name", metavar="NAME", help="Name of the run, a folder in runs/.  [default: rehearsal-PRESET]")
@_TRAINER
@options.JSON
def rehearse(
    preset: str, dataset: str, settings: tuple[str, ...], name: str | None, trainer: str | None, as_json: bool
) -> int:
    """See that a run of PRESET would start: in small, through the real trainer, on this CPU.

    It takes the same templates, captions and settings, a sample of the dataset, and a tiny random model of the
    same family. In minutes it comes to some steps, checkpoints and pictures. At the end it says what it changed,
    and what it does not prove. An earlier rehearsal of the same name is removed.

    PRESET is the name of a preset (see kanjiprep presets), or a folder with a run.toml.
    """
    from kanjiprep.training import presets as shelf
    from kanjiprep.training import rehearsal
    from kanjiprep.training.running import starting

    found, engine = shelf.load(preset, settings), _find(trainer)
    made = rehearsal.rehearsal_of(found, read_dataset(dataset, as_json))
    notes = {"changes": made.changes, "unproven": made.unproven}
    called = _named(name, f"rehearsal-{found.name}")
    wanted = _Run(called, engine, as_json, True, starting.rehearsal_notes(notes))
    starting.clear_rehearsal(places_of(wanted.name).run)
    prepared = _prepare(made.preset, made.dataset, wanted)
    for change in () if as_json else made.changes:
        talk.say(f"changed: {change}")
    code = _attend(prepared.run, False, as_json, notes)
    for phrase in () if as_json else made.unproven:
        talk.say(f"not proven: {phrase}")
    if code == 0 and not as_json:
        talk.say(f"Your run will start. Next: {launch_line(preset, dataset, settings, None, None)}")
    return code
