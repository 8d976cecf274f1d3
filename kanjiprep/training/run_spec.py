"""What a run asks for, in the field's words: the table of a preset's ``run.toml``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal

from kanjiprep.spec import Bounds, did_you_mean

MOST_STEPS: Final = 1_000_000
"""Longest run that is planned for; thirty times the longest that we know of."""
Count = Annotated[int, Bounds(least=1, most=MOST_STEPS)]
"""A whole number from 1."""
Whole = Annotated[int, Bounds(least=0, most=MOST_STEPS)]
"""A whole number from 0."""
Seed = Annotated[int, Bounds(least=1, most=2**32 - 1)]
"""What numpy takes for a seed, but 0, which means the time of day to SimpleTuner."""
Share = Annotated[float, Bounds(least=0, most=1)]
"""A fraction from 0 to 1."""
Rate = Annotated[float, Bounds(above=0, most=1e6)]
"""A number above 0."""

TINY: Final = "tiny"
"""The flavour of the random model of rehearsals, which kanjiprep makes itself."""
FLAVOURS: Final[Mapping[str, tuple[str, ...]]] = {"sd3": ("large", "medium", TINY), "sd1x": ("1.5", TINY)}
"""Flavours by family."""

CPU: Final = "cpu"
"""The name in ``machine.gpu`` of no GPU at all."""

SIZE_STEP_PX: Final = 64
"""Pictures are trained and validated at multiples of this. Source: SimpleTuner models/sd3/model.py."""


@dataclass(frozen=True, slots=True)
class Model:
    """Which weights are trained, and which part of them.

    Attributes:
        family: ``sd3`` is Stable Diffusion 3.5, ``sd1x`` is Stable Diffusion 1.5.
        flavour: One of its family's.
        path: Folder or Hub repository to take instead of the flavour's own; empty for its own.
        train: An adapter beside the frozen weights (``lora``), or all weights (``full``).
        precision: Of the frozen weights. Training itself is in bf16 with any of them.
    """

    family: Literal["sd3", "sd1x"] = "sd3"
    flavour: str = "large"
    path: str = ""
    train: Literal["lora", "full"] = "lora"
    precision: Literal["bf16", "int8", "nf4"] = "bf16"


@dataclass(frozen=True, slots=True)
class Lora:
    """The adapter; read when ``model.train`` is ``lora``.

    Attributes:
        rank: Width of the two matrices.
        alpha: The adapter is applied times alpha / rank; left out for the rank.
        dropout: Share of the adapter's inputs that are dropped in training.
        targets: Which modules get one, by their names in diffusers.
    """

    rank: Annotated[int, Bounds(least=1, most=16_384)] = 64
    alpha: Rate | None = None
    dropout: Share = 0.0
    targets: tuple[str, ...] = ("to_q", "to_k", "to_v", "to_out.0")


@dataclass(frozen=True, slots=True)
class Optimizer:
    """How weights move.

    Attributes:
        name: In SimpleTuner's words.
        learning_rate: At the peak of the schedule.
        weight_decay: Left out for the optimizer's own.
        clip: By the norm of the whole gradient, by the value of each element, or not at all.
        clip_at: The limit; with ``off`` it is not read.
    """

    name: Literal[
        "adamw_bf16",
        "torch-adamw",
        "optimi-adamw",
        "optimi-stableadamw",
        "optimi-lion",
        "bnb-adamw8bit",
        "bnb-lion8bit-paged",
        "prodigy",
    ] = "adamw_bf16"
    learning_rate: Rate = 1e-4
    weight_decay: Annotated[float, Bounds(least=0)] | None = None
    clip: Literal["norm", "value", "off"] = "norm"
    clip_at: Rate = 0.1


@dataclass(frozen=True, slots=True)
class Schedule:
    """The learning rate over the run, named for what it does.

    Attributes:
        shape: ``constant``; ``linear`` and ``polynomial`` fall to the end of the run; ``cosine`` falls
            once along a half wave; ``periodic-cosine`` falls and climbs for ever, which is what
            SimpleTuner calls cosine.
        warmup_steps: Steps of a straight climb from 0. The trainer has no cosine with a warmup: a
            ``cosine`` with one becomes a straight fall, at most 0.11 of the peak away from it.
        end_learning_rate: Where it ends; ``linear`` ends at 0 and ``constant`` does not end.
        power: Of ``polynomial``; 1 is a straight line.
        half_period_steps: From peak to valley of ``periodic-cosine``.
    """

    shape: Literal["constant", "cosine", "polynomial", "linear", "periodic-cosine"] = "polynomial"
    warmup_steps: Whole = 0
    end_learning_rate: Annotated[float, Bounds(least=0)] = 1e-6
    power: Rate = 1.0
    half_period_steps: Count | None = None


@dataclass(frozen=True, slots=True)
class Training:
    """How long, and in what portions.

    Attributes:
        epochs: Passes over the dataset; left out if ``steps`` says how long.
        steps: Optimizer steps; left out if ``epochs`` says how long.
        batch: Pictures at a time on one GPU.
        accumulation: Batches added up before a step.
        repeats: Further times that each picture is seen in an epoch; 0 is once.
        resolution_px: Side of the square whose area every picture is scaled to.
        caption_dropout: Share of pictures trained without their caption.
        gradient_checkpointing: Compute activations twice, to keep fewer of them.
        flow_shift: Of the noise schedule of SD3; 1 is none.
        seed: Of the trainer.
        steps_by_hand: A number of steps set elsewhere, that ``plan`` is to compare with.
    """

    epochs: Count | None = None
    steps: Count | None = None
    batch: Count = 1
    accumulation: Count = 1
    repeats: Whole = 0
    resolution_px: Annotated[int, Bounds(least=SIZE_STEP_PX, most=4096)] = 1024
    caption_dropout: Share = 0.1
    gradient_checkpointing: bool = True
    flow_shift: Rate = 1.0
    seed: Seed = 42
    steps_by_hand: Count | None = None


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """When weights are kept.

    Attributes:
        every_steps: Steps between; left out if ``every_epochs`` says when.
        every_epochs: Epochs between; left out if ``every_steps`` says when.
        keep: At most so many, the oldest go first; left out to keep all, so that all can be judged.
    """

    every_steps: Count | None = None
    every_epochs: Count | None = None
    keep: Count | None = None


@dataclass(frozen=True, slots=True)
class Validation:
    """Pictures made on the way, to look at and to judge.

    Attributes:
        every_steps: Steps between; left out for whenever a checkpoint is made.
        prompts: By the short names that picture files get.
        libraries: Files of prompts: shipped ones by name, others by path.
        style: A file of prompt prefix, suffix and negative prompt: a shipped one by name, or a path.
        size_px: Width and height.
        inference_steps: Of the sampler.
        guidance: Scale of classifier-free guidance.
        skip_layers: Blocks left out of a third pass in a part of the sampling; none by default.
        seed: The same for every checkpoint, so that pictures can be compared.
    """

    every_steps: Count | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()
    style: str = "plain"
    size_px: Annotated[int, Bounds(least=SIZE_STEP_PX, most=4096)] = 1024
    inference_steps: Count = 30
    guidance: Annotated[float, Bounds(least=0)] = 3.0
    skip_layers: tuple[Whole, ...] = ()
    seed: Seed = 42


@dataclass(frozen=True, slots=True)
class Tracker:
    """Who else is told; ``training_metrics.jsonl`` is always written.

    Attributes:
        service: A further tracker. TensorBoard is none: SimpleTuner 4.10.1 crashes with it at start.
        project: The name there.
    """

    service: Literal["none", "wandb", "swanlab", "comet_ml"] = "none"
    project: str = "kanjiprep"


@dataclass(frozen=True, slots=True)
class Machine:
    """What the run is planned for; ``plan --gpu`` compares others.

    Attributes:
        gpu: A name of ``gpus.toml``, or ``cpu``.
        gpus: How many of them.
        sharding: What several GPUs divide among them instead of each holding all: ``zero2`` gradients
            and optimizer, ``full`` the weights too.
    """

    gpu: str = "a100-40gb-sxm"
    gpus: Count = 1
    sharding: Literal["none", "zero2", "full"] = "none"


@dataclass(frozen=True, slots=True)
class Guard:
    """What is done about a run that goes wrong while nobody looks.

    Attributes:
        policy: ``off`` looks at nothing; ``warn`` tells; ``stop`` ends a run that explodes, stalls or paints
            nothing but black or noise; ``rollback`` goes back to the last checkpoint before an explosion and on
            from there at a lower rate, and stops for the rest. The limits hold with any of them.
        most_rollbacks: After so many the run is stopped.
        rate_factor: A rolled back run goes on at this share of the rate that was planned from there on.
        stall_minutes: Without a sign of life for so long, a run is taken for stalled.
        max_hours: Of running, all attempts together; left out for no limit.
        max_usd: The same in dollars, by the price of the machine.
    """

    policy: Literal["off", "warn", "stop", "rollback"] = "stop"
    most_rollbacks: Annotated[int, Bounds(least=1, most=100)] = 2
    rate_factor: Annotated[float, Bounds(above=0, most=1)] = 0.5
    stall_minutes: Annotated[float, Bounds(above=0, most=100_000)] = 30.0
    max_hours: Annotated[float, Bounds(above=0, most=1e6)] | None = None
    max_usd: Annotated[float, Bounds(above=0, most=1e9)] | None = None


@dataclass(frozen=True, slots=True)
class RunSpec:
    """A run as asked for.

    Attributes:
        title: One line.
        why: The reasons, as prose.
    """

    title: str = ""
    why: str = ""
    model: Model = field(default_factory=Model)
    lora: Lora = field(default_factory=Lora)
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    training: Training = field(default_factory=Training)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    validation: Validation = field(default_factory=Validation)
    tracker: Tracker = field(default_factory=Tracker)
    machine: Machine = field(default_factory=Machine)
    guard: Guard = field(default_factory=Guard)


def contradictions(spec: RunSpec) -> tuple[str, ...]:
    """What no single key shows: pairs that exclude or need each other, one phrase each."""
    judges = (_model, _lengths, _schedule, _sizes, _validation, _guard)
    return tuple(problem for judge in judges for problem in judge(spec))


def _model(spec: RunSpec) -> Iterator[str]:
    flavours = FLAVOURS[spec.model.family]
    if spec.model.flavour not in flavours:
        guess = did_you_mean(spec.model.flavour, flavours)
        yield f"model.flavour must be one of {', '.join(map(repr, flavours))} for {spec.model.family}" + (
            f", not {spec.model.flavour!r}{guess}"
        )
    if spec.model.path.startswith(("/", ".", "~")) and not Path(spec.model.path).exists():
        yield f"model.path {spec.model.path!r} is not there"
    if spec.model.train == "full" and spec.model.precision != "bf16":
        yield f"model.precision {spec.model.precision!r} is for frozen weights; a full fine-tune needs 'bf16'"
    if spec.model.train == "lora" and not spec.lora.targets:
        yield "lora.targets is empty, so nothing would be trained"
    if spec.machine.gpu == CPU and spec.machine.gpus > 1:
        yield "machine.gpus is more than 1 where machine.gpu is 'cpu'"
    if spec.machine.sharding != "none" and spec.machine.gpus == 1:
        yield f"machine.sharding {spec.machine.sharding!r} needs more than one GPU in machine.gpus"


def _lengths(spec: RunSpec) -> Iterator[str]:
    for where, epochs, steps in (
        ("training", spec.training.epochs, spec.training.steps),
        ("checkpoints", spec.checkpoints.every_epochs, spec.checkpoints.every_steps),
    ):
        names = "epochs and steps" if where == "training" else "every_epochs and every_steps"
        if epochs is not None and steps is not None:
            yield f"{where}.{names.replace(' and ', f' and {where}.')} are both set; keep one"
        if epochs is None and steps is None:
            yield f"{where}.{names.replace(' and ', f' and {where}.')} are both missing; set one"


def _schedule(spec: RunSpec) -> Iterator[str]:
    schedule = spec.schedule
    if (schedule.shape == "periodic-cosine") != (schedule.half_period_steps is not None):
        yield "schedule.half_period_steps belongs to the shape 'periodic-cosine', and it needs one"
    if schedule.shape == "periodic-cosine" and schedule.warmup_steps:
        yield "schedule.warmup_steps cannot be had with the shape 'periodic-cosine'; it starts at its peak"
    if schedule.shape not in ("constant", "linear") and schedule.end_learning_rate >= spec.optimizer.learning_rate:
        yield (
            f"schedule.end_learning_rate {schedule.end_learning_rate:g} is not below "
            f"optimizer.learning_rate {spec.optimizer.learning_rate:g}"
        )
    if len(spec.title.splitlines()) > 1:
        yield "title is more than one line; why is for more"
    if spec.training.steps is not None and schedule.warmup_steps >= spec.training.steps:
        yield f"schedule.warmup_steps {schedule.warmup_steps:,} leaves nothing of {spec.training.steps:,} steps"


def _sizes(spec: RunSpec) -> Iterator[str]:
    for path, size_px in (
        ("training.resolution_px", spec.training.resolution_px),
        ("validation.size_px", spec.validation.size_px),
    ):
        if size_px % SIZE_STEP_PX:
            near = max(SIZE_STEP_PX, round(size_px / SIZE_STEP_PX) * SIZE_STEP_PX)
            yield f"{path} {size_px} is no multiple of {SIZE_STEP_PX}; the nearest is {near}"


def _validation(spec: RunSpec) -> Iterator[str]:
    if not spec.validation.prompts and not spec.validation.libraries:
        yield "validation.prompts and validation.libraries are both empty; without pictures nothing can be judged"
    if spec.model.family != "sd3" and spec.validation.skip_layers:
        yield f"validation.skip_layers is of sd3 and not of {spec.model.family}"


def _guard(spec: RunSpec) -> Iterator[str]:
    if spec.guard.policy == "rollback" and spec.model.train != "lora":
        yield "guard.policy 'rollback' goes on from the weights of a LoRA; for model.train 'full' take 'stop'"
