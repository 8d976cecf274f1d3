"""What a run would be, cost and suffer from, before a cent is spent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kanjiprep.errors import UsageError
from kanjiprep.training import configs, curve, disk, gpus, machines, memory, models, pictures, rules, schedule, speed
from kanjiprep.training.configs import Places, RenderedConfig
from kanjiprep.training.curve import Scheduler
from kanjiprep.training.disk import Disk, Pictures
from kanjiprep.training.machines import Length, Machine, Market
from kanjiprep.training.memory import Memory
from kanjiprep.training.pictures import Dataset
from kanjiprep.training.presets import Preset
from kanjiprep.training.prices import NoPrices
from kanjiprep.training.provenance import Figure, scale
from kanjiprep.training.rules import Context, Finding, Subject
from kanjiprep.training.rules.clipping import STABLE_RATE
from kanjiprep.training.run_spec import CPU, MOST_STEPS, RunSpec
from kanjiprep.training.schedule import Steps
from kanjiprep.training.speed import Drawing, Duration

_CURVE_POINTS: Final = 201


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run would be.

    Attributes:
        free_disk_bytes: None for the disk of the machine to rent.
        checkpoints: Steps of those that stand in its output folder already.
        previous: The config that made them.
    """

    free_disk_bytes: int | None = None
    checkpoints: tuple[int, ...] = ()
    previous: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Another number of steps beside the run's own, and what the difference costs.

    Attributes:
        what: Whose number it is, as in ``36,000 as set by hand``.
        steps: The number.
        more: Steps more than the run has; negative if fewer.
        hours: Of so many steps, without sign.
        usd: Of so many steps, without sign.
    """

    what: str
    steps: int
    more: int
    hours: Figure | None
    usd: Figure | None


@dataclass(frozen=True, slots=True)
class Rates:
    """The learning rate over the run.

    Attributes:
        asked: The shape that the spec asks for.
        scheduler: What it became, in SimpleTuner's terms.
        returns: Steps at which it is back at its peak.
        above_stable: Share of steps taken above ``STABLE_RATE``; None where no stable rate is on record.
        points: (step, rate) of some two hundred steps, the first and the last among them.
    """

    asked: str
    scheduler: Scheduler
    returns: tuple[int, ...]
    above_stable: float | None
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Costs:
    """What the run takes.

    Attributes:
        memory: On each GPU.
        disk: In bytes.
        duration: In hours on the machine asked for; None on a CPU.
        step_seconds: Of one step there; None on a CPU.
        machine: The one asked for; None for a CPU.
        others: Every other kind, for comparison.
        price_note: Why there is no live price; empty if there is one, or none was asked for.
    """

    memory: Memory
    disk: Disk
    duration: Duration | None
    step_seconds: Figure | None
    machine: Machine | None
    others: tuple[Machine, ...]
    price_note: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A run before it starts.

    Attributes:
        preset: Its name.
        title: Its one line.
        own_templates: Templates beside it, which may render something else than the spec says.
        dataset: Folder of the pictures.
        digest: Of the dataset; empty if it is not known.
        hub: ``NAMESPACE/NAME@COMMIT`` where it stands on the Hub; empty if it is not known.
        buckets: Pictures by bucket.
        steps: How long.
        differences: Other numbers of steps, beside.
        rates: The learning rate.
        pictures: Checkpoints and validation.
        model: The model's name.
        model_parameters: Numbers in it.
        trained_parameters: Numbers that the optimizer moves.
        costs: What it takes.
        findings: What the rules have to say.
    """

    preset: str
    title: str
    own_templates: tuple[str, ...]
    dataset: str
    digest: str
    hub: str
    buckets: dict[str, int]
    steps: Steps
    differences: tuple[Difference, ...]
    rates: Rates
    pictures: Pictures
    model: str
    model_parameters: int
    trained_parameters: int
    costs: Costs
    findings: tuple[Finding, ...]


def plan(
    preset: Preset,
    dataset: Dataset,
    places: Places,
    market: Market,
    gpu: str | None = None,
    place: Place = Place(),
) -> Plan:
    """The plan of ``preset`` on ``dataset``.

    Args:
        preset: What is asked for.
        dataset: What it is trained on.
        places: Where the run would be.
        market: GPUs and prices.
        gpu: Another GPU than the spec names.
        place: What is known of the run folder and its disk.

    Raises:
        UsageError: If there is no such GPU, it cannot train in bf16, or the run is endless.
    """
    spec = preset.spec
    buckets = pictures.buckets(dataset.pictures, spec.training.resolution_px)
    steps = _steps(spec, buckets)
    rendered = configs.render(spec, steps, preset.prompts, places, preset.templates)
    made = pictures_of(rendered, steps)
    workload = machines.workload_of(spec)
    costs = _costs(spec, steps, len(dataset.pictures), made, market, spec.machine.gpu if gpu is None else gpu)
    model = models.model_of(workload.family, workload.flavour)
    return Plan(
        preset=preset.name,
        title=spec.title,
        own_templates=tuple(preset.own_templates()),
        dataset=str(dataset.folder),
        digest=dataset.digest,
        hub=dataset.hub,
        buckets=buckets,
        steps=steps,
        differences=tuple(differences(steps, costs)),
        rates=_rates_of(spec, steps.total),
        pictures=made,
        model=model.name,
        model_parameters=model.parameters,
        trained_parameters=models.trained_parameters(workload),
        costs=costs,
        findings=judge(rendered, dataset, steps, spec, costs, place),
    )


def _steps(spec: RunSpec, buckets: Mapping[str, int]) -> Steps:
    """How long the run is, if that is a length that can be planned for."""
    steps = schedule.count(spec, buckets)
    if steps.total > MOST_STEPS:
        raise UsageError(f"the run would have {steps.total:,} steps", "training", f"plan for at most {MOST_STEPS:,}")
    return steps


def _costs(spec: RunSpec, steps: Steps, samples: int, made: Pictures, market: Market, gpu: str) -> Costs:
    """What such a run takes, on machines with ``gpu`` and on others."""
    workload = machines.workload_of(spec)
    space = disk.disk(workload, samples, made, spec.machine.sharding)
    written = scale(space.checkpoint.total, made.checkpoints, "bytes")
    length = Length(workload, steps.total, samples, drawing_of(spec, made), written)
    at = None if gpu == CPU else gpus.gpu_named(market.catalogue, gpu)
    needed = memory.vram(workload, spec.machine.sharding)
    elsewhere = [one for one in market.catalogue.gpu if at is not None and one is not at]
    return Costs(
        memory=needed,
        disk=space,
        duration=length.on(at) if at else None,
        step_seconds=speed.step_seconds(workload, at) if at else None,
        machine=machines.machine_of(at, length, needed, market) if at else None,
        others=tuple(machines.machine_of(one, length, needed, market) for one in elsewhere),
        price_note=market.live.reason if isinstance(market.live, NoPrices) else "",
    )


def pictures_of(rendered: RenderedConfig, steps: Steps) -> Pictures:
    """Checkpoints and pictures of a run with these files.

    Source: SimpleTuner 4.10.1 trainer.py: at multiples of the interval, and not once more at the end.
    """
    every, looks = (int(rendered.config[f"{what}_step_interval"]) for what in ("checkpoint", "validation"))
    written = steps.total // every
    kept = min(written, int(rendered.config["checkpoints_total_limit"]))
    return Pictures(every, written, kept, looks, steps.total // looks, len(rendered.prompts))


def drawing_of(spec: RunSpec, made: Pictures) -> Drawing:
    """The validation pictures of the whole run."""
    return Drawing(made.rounds * made.prompts, spec.validation.inference_steps, spec.validation.guidance > 1)


def _rates_of(spec: RunSpec, total_steps: int) -> Rates:
    """The learning rate over so many steps of ``spec``."""
    scheduler = curve.scheduler_of(spec, total_steps)
    every = curve.rates(scheduler)
    picks = sorted({round(index * total_steps / (_CURVE_POINTS - 1)) for index in range(_CURVE_POINTS)})
    is_large = (spec.model.family, spec.model.flavour, spec.model.train) == ("sd3", "large", "lora")
    is_on_record = is_large and spec.optimizer.name != "prodigy"  # its rate is a factor, and near 1
    above = sum(rate > STABLE_RATE for rate in every[:-1]) / total_steps
    points = tuple((step, every[step]) for step in picks)
    return Rates(spec.schedule.shape, scheduler, curve.returns(scheduler), above if is_on_record else None, points)


def differences(steps: Steps, costs: Costs) -> Iterator[Difference]:
    """The textbook's number of steps and one set by hand, beside the trainer's own count."""
    price = costs.machine.usd_per_hour if costs.machine else None
    for what, number in (("by the textbook formula", steps.textbook), ("as set by hand", steps.by_hand)):
        if number is not None and number != steps.total:
            more = number - steps.total
            hours = scale(costs.step_seconds, abs(more) / 3600, "h") if costs.step_seconds else None
            yield Difference(what, number, more, hours, machines.usd_of(hours, price))


def judge(
    rendered: RenderedConfig,
    dataset: Dataset,
    steps: Steps,
    spec: RunSpec,
    costs: Costs,
    place: Place,
) -> tuple[Finding, ...]:
    """What the rules find in the rendered files, with all that is known beside them.

    Args:
        rendered: The files.
        dataset: What they are for.
        steps: The length of the run.
        spec: What was asked for.
        costs: What it takes.
        place: Where it would be.
    """
    clip, t5 = pictures.over_window(dataset)
    space, duration = costs.disk, costs.duration
    context = Context(
        samples=len(dataset.pictures),
        bucket_sizes=pictures.buckets(dataset.pictures, spec.training.resolution_px),
        captions_over_clip=clip,
        captions_over_t5=t5,
        gpus=spec.machine.gpus,
        total_steps=steps.total,
        checkpoint_bytes=round(space.checkpoint.total.value),
        other_bytes=round(space.total.value - space.checkpoints.value),
        free_disk_bytes=_disk_bytes(costs.machine) if place.free_disk_bytes is None else place.free_disk_bytes,
        output_checkpoints=place.checkpoints,
        previous=place.previous,
        training_s=duration.training.value * 3600 if duration else None,
        validation_s=duration.validation.value * 3600 if duration else None,
    )
    return rules.judge(Subject(rendered.config, rendered.backends, context))


def _disk_bytes(machine: Machine | None) -> int | None:
    return round(machine.disk_gib * 2**30) if machine and machine.disk_gib else None


def refusing(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Those of ``findings`` with which a run must not start."""
    return tuple(finding for finding in findings if finding.severity == "error")
