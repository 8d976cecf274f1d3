"""``presets``, ``plan`` and ``setup-trainer``: what comes before a run."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from kanjiprep.cli import completed, options, talk
from kanjiprep.cli.places import PLACE
from kanjiprep.errors import UsageError

if TYPE_CHECKING:
    from kanjiprep.publishing.first_attempt.export import Exported
    from kanjiprep.training.configs import Places
    from kanjiprep.training.machines import Market
    from kanjiprep.training.pictures import Dataset
    from kanjiprep.training.plan import Plan
    from kanjiprep.training.presets import Preset

Command = TypeVar("Command", bound=Callable[..., Any])


def run_options(command: Command) -> Command:
    """The options that say what to run on what."""
    for option in (
        click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="KEY=VALUE",
            shell_complete=completed.setting,
            help="Change a value of the preset, as in lora.rank=64; repeatable.",
        ),
        click.option(
            "--dataset",
            default="dataset",
            show_default=True,
            metavar="PATH|REPO_ID[@REV]",
            shell_complete=completed.folder,
            help="The dataset to train on, a folder or on the Hub.",
        ),
        click.argument("preset", shell_complete=completed.preset),
    ):
        command = option(command)
    return command


@click.command(
    short_help="List the presets, or print one.",
    epilog="""\b
Examples:
  kanjiprep presets
  kanjiprep presets sd35-large-lora
  mkdir mine && kanjiprep presets sd35-large-lora > mine/run.toml""",
)
@click.argument("name", required=False, shell_complete=completed.preset)
@options.JSON
def presets(name: str | None, as_json: bool) -> None:
    """List the presets, or print the run.toml of NAME.

    A preset is a folder with a run.toml. To have your own, copy one, change it, and give the path of its folder
    where a command wants a PRESET. A config.json.j2 beside the run.toml takes the place of the shipped template.
    """
    from kanjiprep.training import presets as shelf

    if name is not None:
        found = shelf.load(name)
        if as_json:
            talk.print_json({"name": found.name, "spec": found.spec, "prompts": found.prompts.by_name})
        else:
            talk.out(shelf.to_toml(found.resolved_spec()).decode(), nl=False)
        return
    titles = {known: shelf.load(known).spec.title for known in shelf.names()}
    if as_json:
        talk.print_json([{"name": known, "title": title} for known, title in titles.items()])
        return
    for known, title in titles.items():
        talk.out(f"{known:<28}{title}")
    talk.say("Next: kanjiprep plan sd35-large-lora")


@click.command(
    short_help="Say what a run would be and cost.",
    epilog="""\b
Examples:
  kanjiprep plan sd35-large-lora
  kanjiprep plan sd35-large-lora --dataset me/kanji@v1.0
  kanjiprep plan sd35-large-lora --gpu h100-80gb-sxm --set lora.rank=64
  kanjiprep plan sd35-large-lora-lr1.05e-3 --samples 6413 --curve rate.png
  kanjiprep plan sd15-full --gpu a100-40gb-sxm --export-diffusers attempt1""",
)
@run_options
@click.option(
    "--gpu", metavar="GPU", shell_complete=completed.gpu, help="Plan for this GPU.  [default: the preset's]"
)
@click.option(
    "--samples",
    type=click.IntRange(1, 10_000_000),
    metavar="N",
    help="Plan for N square pictures, without a dataset.",
)
@click.option(
    "--name",
    metavar="NAME",
    shell_complete=completed.run,
    help="Plan to go on with the run in runs/NAME, from its last checkpoint.",
)
@click.option("--curve", type=PLACE, metavar="FILE", help="Draw the learning rate into this .svg or .png file.")
@click.option(
    "--export-diffusers",
    "export_to",
    type=PLACE,
    metavar="FOLDER",
    help="Write this run out for diffusers' own script; for sd15-full.",
)
@options.JSON
def plan(
    preset: str,
    dataset: str,
    settings: tuple[str, ...],
    samples: int | None,
    gpu: str | None,
    name: str | None,
    curve: Path | None,
    export_to: Path | None,
    as_json: bool,
) -> int:
    """Say what a run of PRESET would be and cost, before a cent is spent.

    First come the steps as the trainer counts them and the learning rate as it really runs. Then come memory,
    disk, hours and dollars, each with its uncertainty and source, and every trap that the rules find.

    PRESET is the name of a preset (see kanjiprep presets), or a folder with a run.toml. Prices are Lambda's own
    if LAMBDA_API_KEY is set, and else from a dated table.

    With --export-diffusers a full fine-tune of Stable Diffusion 1.5 is written out for diffusers' own script:
    pictures and captions, the command line, and a script for Modal. Nothing is started.

    Exit code 2 means that the run would not start as meant.
    """
    from kanjiprep.training import curve as curves
    from kanjiprep.training import curve_picture, plan_text, run_folder
    from kanjiprep.training import plan as planning
    from kanjiprep.training import presets as shelf
    from kanjiprep.training.pictures import nominal

    found = shelf.load(preset, settings)
    _refuse_both(samples)
    _refuse_unexportable(found, samples, export_to)
    picture = None if curve is None else _curve_place(curve)
    whole = nominal(samples, found.spec.training.resolution_px) if samples else read_dataset(dataset, as_json)
    places = places_of(found.name if name is None else name)
    place = planning.Place() if name is None else planning.Place(None, *run_folder.earlier(places.run))
    made = planning.plan(found, whole, places, market(), gpu, place)
    rates = curves.rates(made.rates.scheduler)
    if picture is not None:
        curve_picture.write(picture, rates, f"{made.preset}: learning rate by step")
    exported = None if export_to is None else _export(found, whole, made, export_to, as_json)
    if as_json:
        talk.print_json(made if exported is None else {**dataclasses.asdict(made), "exported": exported})
    else:
        for line in plan_text.lines(made, rates):
            talk.out(line)
        rehearse = launch_line(preset, dataset, settings, gpu, None, "rehearse")
        _advise(made, rehearse, launch_line(preset, dataset, settings, gpu, name))
    if exported is not None and not as_json:
        talk.say(f"{exported.status}: {talk.short(exported.folder)}")
        talk.say(f"Or: see {talk.short(exported.folder / 'READ_ME.md')} for the same with diffusers' own script")
    return UsageError.exit_code if planning.refusing(made.findings) else 0


def _refuse_both(samples: int | None) -> None:
    is_given = click.get_current_context().get_parameter_source("dataset") is ParameterSource.COMMANDLINE
    if samples is not None and is_given:
        raise UsageError("is for a dataset that is not there yet", "--samples", "leave out one of the two")


def _curve_place(curve: Path) -> Path:
    from kanjiprep.metadata import refuse_in_dataset
    from kanjiprep.paths import picture_place
    from kanjiprep.training import curve_picture

    refuse_in_dataset("--curve", curve)
    return picture_place(curve, curve_picture.SUFFIXES)


def _refuse_unexportable(preset: Preset, samples: int | None, export_to: Path | None) -> None:
    from kanjiprep.paths import resolved
    from kanjiprep.publishing.first_attempt import command, standing

    if export_to is None:
        return
    command.refuse_unfit(preset)
    if samples is not None:
        raise UsageError("--export-diffusers needs the pictures themselves", "--samples", "give --dataset instead")
    standing.refuse_foreign(resolved(export_to))


def _export(preset: Preset, dataset: Dataset, made: Plan, folder: Path, quiet: bool) -> Exported:
    from kanjiprep.publishing.first_attempt import export

    with talk.progress(quiet=quiet) as progress:
        return export.export(preset, dataset, made, folder, progress)


def launch_line(
    preset: str,
    dataset: str,
    settings: tuple[str, ...],
    gpu: str | None,
    name: str | None,
    command: str = "launch-simpletuner",
) -> str:
    """The command that launches that very run, or does with it what ``command`` does."""
    wanted = settings if gpu is None else (*settings, f"machine.gpu={gpu}")
    options = [word for setting in wanted for word in ("--set", setting)]
    options += ["--dataset", dataset] if dataset != "dataset" else []
    options += [] if name is None else ["--name", name]
    return shlex.join(["kanjiprep", command, preset, *options])


def _advise(made: Plan, rehearse: str, launch: str) -> None:
    from kanjiprep.training.plan import refusing

    errors, machine = len(refusing(made.findings)), made.costs.machine
    if errors:
        talk.say(f"This would not start as meant: {errors} {'error' if errors == 1 else 'errors'} above")
    elif machine is not None and machine.verdict == "does not fit":
        talk.say(f"This does not fit: {machine.title}. See the others above, or change the run")
    elif any(one.severity == "warning" for one in made.findings):
        talk.say(f"Next: mend what is warned of, or rehearse it: {rehearse}")
    else:
        talk.say(f"Next: {rehearse}, then {launch}")


@click.command(
    "setup-trainer",
    short_help="Make an environment for SimpleTuner.",
    epilog="""\b
Examples:
  kanjiprep setup-trainer --dry-run
  kanjiprep setup-trainer --accelerator cuda""",
)
@click.option(
    "--accelerator",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="What SimpleTuner is to run on.",
)
@click.option(
    "--where",
    type=PLACE,
    metavar="FOLDER",
    help="Where to make the environment.  [default: among the user's data]",
)
@options.dry_run("do nothing")
@options.JSON
def setup_trainer(where: Path | None, accelerator: Any, dry_run: bool, as_json: bool) -> None:
    """Make an environment of its own for SimpleTuner, in versions that work together.

    SimpleTuner needs Python 3.12 or newer, which uv finds or downloads. On a GPU it needs a driver that is new
    enough, which is looked at first. A second call only verifies what is there.
    """
    from kanjiprep.paths import resolved
    from kanjiprep.training import setup_trainer as setting_up
    from kanjiprep.training import trainer as trainers
    from kanjiprep.training.setup_plan import SetupRequest

    folder = resolved(where) if where else trainers.managed_folder(os.environ)
    request = SetupRequest(folder, accelerator)
    agreed = setting_up.plan(request)
    if dry_run:
        if as_json:
            talk.print_json({**dataclasses.asdict(agreed), "steps": agreed.steps})
        for step in () if as_json else agreed.steps:
            talk.say(step)
        return
    if not as_json:
        for step in agreed.steps:
            talk.say(step)
    with talk.progress(quiet=as_json) as progress:
        engine = setting_up.setup(request, progress)
    if as_json:
        talk.print_json(engine)
    else:
        talk.say(f"ready: SimpleTuner {engine.version}, {engine.python}")
        talk.say("Next: kanjiprep rehearse sd35-large-lora")


def read_dataset(dataset: str, quiet: bool) -> Dataset:
    """The dataset in a folder, or of the Hub, with progress."""
    from kanjiprep.cli import publishing
    from kanjiprep.training import pictures

    folder = publishing.folder_of(dataset, quiet)
    with talk.progress(quiet=quiet) as progress:
        return pictures.read(folder, progress)


def places_of(name: str) -> Places:
    """Where the files of the run called ``name`` are.

    Raises:
        UsageError: If it is no name of a folder.
    """
    import platformdirs

    from kanjiprep.paths import resolved, unportable
    from kanjiprep.training.configs import Places

    if why := unportable(name):
        raise UsageError(f"{name!r:.80} is no name of a folder in runs/: {why}", remedy="give another with --name")
    if twin := _twin(name):
        raise UsageError(f"differs by case only from {twin}, which is there", name, f"name it {twin}, or otherwise")
    return Places(resolved(Path("runs") / name), platformdirs.user_cache_path("kanjiprep"))


def _twin(name: str) -> str:
    """The run that macOS and Windows would take for ``name``, though it is spelt otherwise; empty if none is."""
    try:
        there = {one.name for one in Path("runs").iterdir() if one.is_dir()}
    except OSError:
        return ""
    twins = (one for one in there if one.lower() == name.lower())
    return "" if name in there else next(twins, "")


def market() -> Market:
    """GPUs and prices, live ones if LAMBDA_API_KEY is set."""
    from kanjiprep.training import gpus, prices
    from kanjiprep.training.machines import Market

    key = os.environ.get("LAMBDA_API_KEY", "")
    endpoint = os.environ.get("KANJIPREP_LAMBDA_ENDPOINT", prices.ENDPOINT)
    return Market(gpus.load(), prices.fetch(key, endpoint) if key else None)
