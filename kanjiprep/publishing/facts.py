"""What a model card tells of a training, as values; no path of any machine is among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Base:
    """What was trained.

    Attributes:
        family: ``sd3`` or ``sd1x``.
        flavour: Of the family.
        repo: On the Hub; empty for a model that is on no Hub.
        is_copy: Whether it was read from a folder, by whose flavour we know ``repo``.
        precision: In which its frozen weights were held.
    """

    family: str
    flavour: str
    repo: str
    is_copy: bool
    precision: str


@dataclass(frozen=True, slots=True)
class Adapter:
    """The LoRA as it was planned; its own file knows better.

    Attributes:
        rank: Width of its matrices.
        alpha: It is applied times alpha / rank.
        targets: Modules that have one.
    """

    rank: int
    alpha: float
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pictures:
    """What it was trained on.

    Attributes:
        digest: Of the dataset; empty if it is not known.
        count: How many.
        hub_dataset: Repository on the Hub that it came from; empty for a folder.
        hub_revision: Commit there.
        captions: The first ones.
    """

    digest: str
    count: int
    hub_dataset: str
    hub_revision: str
    captions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How it was trained.

    Attributes:
        total_steps: As planned.
        steps_per_epoch: As the trainer counts.
        batch: Pictures at a time on one GPU.
        accumulation: Batches a step.
        pictures_a_step: On all GPUs together.
        planned_rate: Learning rate at the peak, by the spec.
        learning_rate: The same of the attempt that made the checkpoint: lower after a rollback.
        shape: Of the learning rate, in the words of run.toml, as the trainer really ran it.
        warmup_steps: Of a climb from 0.
        optimizer: SimpleTuner's name of it.
        clip: Gradients by ``norm``, by ``value``, or ``off``.
        clip_at: The limit.
        resolution_px: Side of a picture.
        caption_dropout: Share of pictures trained without their caption.
        seed: Of the trainer.
    """

    total_steps: int
    steps_per_epoch: int
    batch: int
    accumulation: int
    pictures_a_step: int
    planned_rate: float
    learning_rate: float
    shape: str
    warmup_steps: int
    optimizer: str
    clip: str
    clip_at: float
    resolution_px: int
    caption_dropout: float
    seed: int

    @property
    def epochs(self) -> float:
        """As planned."""
        return self.total_steps / self.steps_per_epoch


@dataclass(frozen=True, slots=True)
class Machine:
    """What it was trained with.

    Attributes:
        gpus: Name of each that was used; none for a CPU.
        kanjiprep: Our version.
        simpletuner: Its version.
        packages: Versions by name.
    """

    gpus: tuple[str, ...]
    kanjiprep: str
    simpletuner: str
    packages: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Warned:
    """An alert of the guard, a warning or an error."""

    text: str
    step: int


@dataclass(frozen=True, slots=True)
class Course:
    """What became of it.

    Attributes:
        steps: Done.
        hours: Of a trainer running.
        usd: By the price of the machine; None if it has none.
        alerts: In the order in which they came, those of attempts that were undone too.
        rollbacks: How many.
        ended: Status of the last attempt; empty if its end is not on record.
        reason: Why, in one line; empty if all went well.
    """

    steps: int
    hours: float
    usd: float | None
    alerts: tuple[Warned, ...]
    rollbacks: int
    ended: str
    reason: str


@dataclass(frozen=True, slots=True)
class Validated:
    """How validation pictures were painted.

    Attributes:
        inference_steps: Of the sampler.
        guidance: Scale of classifier-free guidance.
        size_px: Width and height.
        seed: Of the noise.
        skip_layers: Blocks left out of a third pass; none for no such pass.
    """

    inference_steps: int
    guidance: float
    size_px: int
    seed: int
    skip_layers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A training.

    Attributes:
        name: Of the run folder.
        title: One line of its preset.
        base: What was trained.
        adapter: What came of it.
        pictures: What it was trained on.
        recipe: How.
        machine: With what.
        course: What became of it.
        validation: How its pictures were painted.
    """

    name: str
    title: str
    base: Base
    adapter: Adapter
    pictures: Pictures
    recipe: Recipe
    machine: Machine
    course: Course
    validation: Validated
