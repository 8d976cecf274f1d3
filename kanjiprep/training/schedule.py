"""How many steps a run takes, counted as the trainer counts them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from kanjiprep.training.run_spec import Checkpoints, RunSpec


@dataclass(frozen=True, slots=True)
class Portions:
    """What decides how an epoch is cut into steps.

    Attributes:
        batch: Pictures at a time on one GPU.
        accumulation: Batches added up before a step.
        gpus: Each takes its part of every bucket.
        repeats: Further times that each picture is seen in an epoch.
    """

    batch: int
    accumulation: int = 1
    gpus: int = 1
    repeats: int = 0

    @property
    def pictures_a_step(self) -> int:
        """Pictures that move the weights together."""
        return self.batch * self.accumulation * self.gpus


@dataclass(frozen=True, slots=True)
class Steps:
    """The length of a run.

    Attributes:
        per_epoch: As the trainer counts.
        total: Of the whole run.
        epochs: total / per_epoch.
        pictures: Of the dataset.
        short_buckets: Pictures by bucket that cannot fill one step, for which the trainer refuses to start.
        textbook: What samples * repeats / batch * epochs gives, rounded down.
        by_hand: What was set elsewhere.
    """

    per_epoch: int
    total: int
    epochs: float
    pictures: int
    short_buckets: Mapping[str, int]
    textbook: int
    by_hand: int | None


def steps_per_epoch(buckets: Mapping[str, int], portions: Portions) -> int:
    """Optimizer steps of one epoch, if there are no ``short_buckets``.

    Every bucket (pictures of one shape) is cut by itself, and its last batch is filled up rather than
    dropped.

    Args:
        buckets: Pictures by bucket, of the whole dataset.
        portions: Batch, accumulation, GPUs, repeats.

    Source: SimpleTuner 4.10.1 metadata/backends/parquet.py __len__, base.py
        split_buckets_between_processes, trainer.py _recalculate_training_steps.
    """
    batches = sum(
        math.ceil(math.ceil(size / portions.gpus) * (portions.repeats + 1) / portions.batch)
        for size in buckets.values()
    )
    return math.ceil(batches / portions.accumulation)


def short_buckets(buckets: Mapping[str, int], portions: Portions) -> dict[str, int]:
    """Buckets that cannot fill one step of all GPUs, for which the trainer refuses to start.

    It would throw away those smaller than a batch if it were given a minimum size of pictures, which
    our templates do not give.

    Source: SimpleTuner 4.10.1 metadata/backends/base.py split_buckets_between_processes.
    """
    needed = portions.pictures_a_step
    return {name: size for name, size in buckets.items() if size * (portions.repeats + 1) < needed}


def count(spec: RunSpec, buckets: Mapping[str, int]) -> Steps:
    """The length of ``spec`` on a dataset with so many pictures in each bucket."""
    portions = portions_of(spec)
    per_epoch = steps_per_epoch(buckets, portions)
    total = spec.training.steps or (spec.training.epochs or 0) * per_epoch
    pictures = sum(buckets.values())
    epochs = total / per_epoch
    return Steps(
        per_epoch=per_epoch,
        total=total,
        epochs=epochs,
        pictures=pictures,
        short_buckets=short_buckets(buckets, portions),
        textbook=_textbook_steps(pictures, portions, spec.training.epochs or epochs),
        by_hand=spec.training.steps_by_hand,
    )


def portions_of(spec: RunSpec) -> Portions:
    """The portions that ``spec`` asks for."""
    training = spec.training
    return Portions(training.batch, training.accumulation, spec.machine.gpus, training.repeats)


def _textbook_steps(pictures: int, portions: Portions, epochs: float) -> int:
    """(samples * repeats / batch) * epochs as guides have it, with a repeat for each time a picture is seen.

    Source: Stability AI, Stable Diffusion 3.5 Large Fine-tuning Tutorial.
    """
    return math.floor(pictures * (portions.repeats + 1) * epochs / portions.pictures_a_step)


def checkpoint_interval(checkpoints: Checkpoints, per_epoch: int) -> int:
    """Steps from one checkpoint to the next."""
    return checkpoints.every_steps or (checkpoints.every_epochs or 1) * per_epoch
