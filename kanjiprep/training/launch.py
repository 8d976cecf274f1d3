"""From a preset and a dataset to a run folder that the trainer accepts, and the command that starts it."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kanjiprep.errors import UsageError
from kanjiprep.progress import Progress
from kanjiprep.spec import SpecError
from kanjiprep.training import configs, deep_check, plan, run_folder, tiny_model
from kanjiprep.training import trainer as trainers
from kanjiprep.training.configs import Places, RenderedConfig
from kanjiprep.training.machines import Market
from kanjiprep.training.pictures import Dataset
from kanjiprep.training.plan import Place, Plan
from kanjiprep.training.presets import Preset
from kanjiprep.training.provenance import Figure
from kanjiprep.training.rules import Finding
from kanjiprep.training.run_spec import CPU, TINY
from kanjiprep.training.running import files, gpu, surroundings
from kanjiprep.training.running.files import Order
from kanjiprep.training.schedule import Steps
from kanjiprep.training.trainer import Trainer


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """What is to be launched.

    Attributes:
        preset: What is asked for.
        dataset: What it is trained on.
        places: The run folder and the tiny model's.
        trainer: The SimpleTuner that will run it.
        market: For the price of the machine.
        starting: Whether it is to be started at once, so that the folder is taken from then on.
        notes: Further files of a run that is to be started, by name.
    """

    preset: Preset
    dataset: Dataset
    places: Places
    trainer: Trainer
    market: Market
    starting: bool = False
    notes: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that could start.

    Attributes:
        run: Its folder.
        preset: Name of what was asked for.
        dataset: Folder of the pictures.
        digest: Of the dataset.
        hub: ``NAMESPACE/NAME@COMMIT`` where it stands on the Hub; empty if it is not known.
        steps: Its length.
        findings: What the rules had to say; no errors among them.
        trainer: Version of SimpleTuner that accepted the files.
        command: The words that start it, in the folder ``run``.
        environment: Variables to set beside one's own.
    """

    run: Path
    preset: str
    dataset: Path
    digest: str
    hub: str
    steps: Steps
    findings: tuple[Finding, ...]
    trainer: str
    command: tuple[str, ...]
    environment: Mapping[str, str]

    @property
    def line(self) -> str:
        """The command as one line of a shell."""
        unset = [word for name in sorted(trainers.MISLEADING) for word in ("-u", name)]
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        return f"cd {shlex.quote(str(self.run))} && {shlex.join(['env', *unset, *variables, *self.command])}"


def prepare(request: LaunchRequest, progress: Progress) -> Prepared:
    """Render the run folder, judged by the rules and by the trainer's own parser; start nothing.

    Raises:
        UsageError: If a run has begun in the folder, it cannot be written, a limit in dollars has no price, or there
            are not enough GPUs here.
        SpecError: If rules or parser find something with which the run must not start.
        TrainerError: If the trainer cannot be asked.
    """
    preset, places, trainer = request.preset, request.places, request.trainer
    if request.starting:
        _refuse_without_gpus(preset)
    run_folder.refuse_begun(places.run)
    here = Place(_free_bytes(places.run))
    planned = plan.plan(preset, request.dataset, places, request.market, place=here)
    if request.starting:
        _refuse_unpriced(preset, planned)
    _refuse(str(preset.folder), [f"{one.rule}: {one.what} {one.fix}" for one in plan.refusing(planned.findings)])
    rendered = configs.render(preset.spec, planned.steps, preset.prompts, places, preset.templates)
    progress("ask the trainer", 0, 1)
    checked = deep_check.check(trainer, rendered.config, rendered.backends)
    _refuse(f"SimpleTuner {checked.version}", [str(problem) for problem in checked.problems])
    progress("ask the trainer", 1, 1)
    model = preset.spec.model
    if model.flavour == TINY and not model.path:
        tiny_model.make(trainer, places.tiny_model(model.family), model.family)
    prepared = _prepared(request, planned, checked.version)
    beside = _beside(request, planned, prepared, rendered) if request.starting else {}
    run_folder.write(places.run, preset, rendered, request.dataset, beside)
    return prepared


def _refuse_without_gpus(preset: Preset) -> None:
    machine = preset.spec.machine
    found = 0 if machine.gpu == CPU else len(gpu.read())
    if machine.gpu != CPU and found < machine.gpus:
        what = f"is {machine.gpus} x {machine.gpu}, and nvidia-smi shows {found} GPUs here"
        raise UsageError(what, "machine.gpus", f"launch it where they are; here, kanjiprep rehearse {preset.name}")


def _refuse_unpriced(preset: Preset, planned: Plan) -> None:
    machine = preset.spec.machine
    if preset.spec.guard.max_usd is not None and _price(planned) is None:
        what = f"has no price for {machine.gpus} x {machine.gpu}"
        raise UsageError(what, "guard.max_usd", "limit the hours with --max-hours")


def _price(planned: Plan) -> Figure | None:
    return planned.costs.machine.usd_per_hour if planned.costs.machine else None


def _prepared(request: LaunchRequest, planned: Plan, version: str) -> Prepared:
    preset, run = request.preset, request.places.run
    on_gpu = preset.spec.machine.gpu != CPU
    wandb = preset.spec.tracker.service == "wandb"
    return Prepared(
        run=run,
        preset=preset.name,
        dataset=request.dataset.folder,
        digest=request.dataset.digest,
        hub=request.dataset.hub,
        steps=planned.steps,
        findings=planned.findings,
        trainer=version,
        command=tuple(trainers.command(request.trainer, preset.spec.machine.gpus)),
        environment=trainers.environment(run / run_folder.CONFIG, {}, on_gpu=on_gpu, wandb=wandb),
    )


def _beside(request: LaunchRequest, planned: Plan, prepared: Prepared, rendered: RenderedConfig) -> dict[str, bytes]:
    """launch.json and environment.json."""
    spec, price = request.preset.spec, _price(planned)
    order = Order(
        command=prepared.command,
        environment=prepared.environment,
        total_steps=planned.steps.total,
        steps_per_epoch=planned.steps.per_epoch,
        on_gpu=spec.machine.gpu != CPU,
        trainer=prepared.trainer,
        guard=spec.guard,
        usd_per_hour=price.value if price else None,
        price_source=price.source if price else "",
        prompts=len(rendered.prompts),
        checkpoint_bytes=round(planned.costs.disk.checkpoint.total.value),
        most_checkpoints=int(rendered.config["checkpoints_total_limit"]),
        can_roll_back=spec.model.train == "lora",
    )
    about = surroundings.read(request.trainer, request.dataset, order.on_gpu)
    ours = {run_folder.ORDER: files.order_bytes(order), files.ENVIRONMENT: surroundings.to_bytes(about)}
    return {**ours, **request.notes}


def _free_bytes(folder: Path) -> int:
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(nearest).free


def _refuse(where: str, problems: Sequence[str]) -> None:
    if problems:
        raise SpecError(where, tuple(problems))
