"""Rounds of validation pictures that the trainer leaves out or makes twice.

How the trainer counts (SimpleTuner 4.10.1 helpers/training/trainer.py train, validation.py
should_perform_intermediary_validation): its ``step`` goes up by one for each batch, and by one more when a
batch is asked for and the epoch has none left. The optimizer steps at every ``accumulation``-th batch, whether an
epoch ended meanwhile or not: Accelerate sees no end of the dataloader, since the trainer does not iterate the
dataloader that Accelerate prepared. After every batch, and not after an epoch's end, the trainer asks whether the
optimizer's steps are a multiple of the interval, more than 1, and ``step`` a multiple of ``accumulation``. From one
step of the optimizer to the next it asks ``accumulation`` times, at the run's last step once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final

from kanjiprep.training.rules.resume import resumes
from kanjiprep.training.rules.rule import Hit, Rule, rule
from kanjiprep.training.rules.subject import Subject, as_number, steps_in_words
from kanjiprep.training.rules.validation import has_prompt, is_on

_MOST_ROUNDS: Final = 10_000
"""Nobody looks at more, and judging takes no time."""
_TRIES: Final = 200
"""How far from the interval that is asked for another one is looked for."""
_UNCOUNTED: Final = ("validation_epoch_interval", "validate_after_step", "validate_after_epoch")
"""Options that begin or time rounds in another way."""


def paintings(batches: int, accumulation: int, total_steps: int, interval: int) -> dict[int, int]:
    """How often the trainer makes the pictures of each round of a run that is not interrupted.

    Args:
        batches: Of one epoch, see ``batches_an_epoch``.
        accumulation: Batches added up before a step.
        total_steps: Of the whole run.
        interval: Steps from one round to the next.

    Returns:
        0, 1 or 2 by step, for every multiple of the interval (more than 2 only if an epoch is shorter
        than a step, which the trainer refuses).
    """
    return dict(_each(batches, accumulation, total_steps, interval))


def _each(batches: int, accumulation: int, total_steps: int, interval: int) -> Iterator[tuple[int, int]]:
    for step in range(interval, total_steps + 1, interval):
        yield step, _times(step, batches, accumulation, is_last=step == total_steps)


def _times(step: int, batches: int, accumulation: int, *, is_last: bool) -> int:
    if step <= 1:
        return 0
    first = step * accumulation
    last = first if is_last else first + accumulation - 1
    times = 0
    for ends in range((first - 1) // batches, (last - 1) // batches + 1):
        low, high = max(first, ends * batches + 1) + ends, min(last, (ends + 1) * batches) + ends
        times += high // accumulation - (low - 1) // accumulation
    return times


def batches_an_epoch(buckets: Mapping[str, int], batch: int, gpus: int = 1, repeats: int = 0) -> int | None:
    """Batches that each GPU is given in an epoch; None if not all GPUs are given as many.

    Every bucket is cut by itself, in each repeat anew, and its last batch is filled up.

    Args:
        buckets: Pictures by bucket, of the whole dataset.
        batch: Pictures at a time on one GPU.
        gpus: Each takes its part of every bucket.
        repeats: Further times that each picture is seen in an epoch.

    Source: SimpleTuner 4.10.1 helpers/multiaspect/sampler.py __iter__, helpers/data_backend/runtime/
        dataloader_iterator.py random_dataloader_iterator, metadata/backends/base.py
        split_buckets_between_processes.
    """
    most = sum(math.ceil(math.ceil(size / gpus) / batch) for size in buckets.values())
    least = sum(math.ceil(size // gpus / batch) for size in buckets.values())
    return most * (repeats + 1) if most == least else None


def better_interval(batches: int, accumulation: int, total_steps: int, interval: int) -> int | None:
    """The interval nearest to ``interval`` that makes each round once, else one that leaves none out.

    Args:
        batches: Of one epoch.
        accumulation: Batches added up before a step.
        total_steps: Of the whole run.
        interval: That is asked for.
    """
    near = (interval + sign * away for away in range(1, _TRIES + 1) for sign in (-1, 1))
    complete = [one for one in near if 1 < one <= total_steps and _is_made(batches, accumulation, total_steps, one)]
    once = (one for one in complete if set(paintings(batches, accumulation, total_steps, one).values()) == {1})
    return next(once, next(iter(complete), None))


def _is_made(batches: int, accumulation: int, total_steps: int, interval: int) -> bool:
    """Whether no round is left out."""
    return all(times > 0 for _, times in _each(batches, accumulation, total_steps, interval))


def _batches(subject: Subject) -> int | None:
    """Batches of an epoch, where it is clear which pictures are learnt from, and none are filled up or dropped."""
    buckets, gpus = subject.context.bucket_sizes, max(1, subject.context.gpus)
    if not buckets or len(subject.trained) != 1:
        return None
    (dataset,) = subject.trained
    batch = int(as_number(dataset.get("train_batch_size")) or subject.whole("train_batch_size"))
    repeats = int(as_number(dataset.get("repeats")) or 0)
    needed = batch * gpus * subject.whole("gradient_accumulation_steps")
    if batch < 1 or repeats < 0 or min(buckets.values()) * (repeats + 1) < needed:
        return None
    return batches_an_epoch(buckets, batch, gpus, repeats)


def _is_counted(subject: Subject) -> bool:
    is_timed_otherwise = any(subject.whole(key) for key in _UNCOUNTED)
    is_asked = is_on(subject) and has_prompt(subject) and not is_timed_otherwise
    return is_asked and subject.whole("gradient_accumulation_steps") > 1 and not resumes(subject)


def _in_words(made: Mapping[int, int]) -> str:
    missing = [step for step, times in made.items() if times == 0]
    doubled = [step for step, times in made.items() if times > 1]
    last = ", the last one among them" if missing and missing[-1] == max(made) else ""
    parts = [
        f"never makes {len(missing):,}{last} (step {steps_in_words(missing)})" if missing else "",
        f"makes {len(doubled):,} twice (step {steps_in_words(doubled)})" if doubled else "",
    ]
    return f"Of {len(made):,} rounds of pictures the trainer {', and '.join(filter(None, parts))}."


@rule(
    "rounds-left-out",
    "warning",
    "Rounds of pictures that are left out or made twice",
    why="After each batch the trainer asks whether batches and ends of epochs so far add up to a multiple of "
    "gradient_accumulation_steps; where an epoch ends at a step with pictures they do twice or never, and at the "
    "last step it asks only once.",
    fix="Write another interval for pictures and checkpoints, or gradient_accumulation_steps 1 with a larger "
    "train_batch_size where memory allows.",
    source="SimpleTuner 4.10.1 helpers/training/trainer.py train and validation.py "
    "should_perform_intermediary_validation, run",
)
def rounds_left_out(subject: Subject) -> Iterator[Hit]:
    """Rounds that do not come once each."""
    interval, total = subject.whole("validation_step_interval"), subject.total_steps or 0
    batches = _batches(subject) if _is_counted(subject) else None
    if batches is None or interval < 1 or total // interval > _MOST_ROUNDS:
        return
    accumulation = subject.whole("gradient_accumulation_steps")
    made = paintings(batches, accumulation, total, interval)
    if set(made.values()) - {1}:
        other = better_interval(batches, accumulation, total, interval)
        hint = f" Every {other:,} steps none is left out." if other else ""
        yield Hit("validation_step_interval", f"{_in_words(made)}{hint}")


RULES: Final[tuple[Rule, ...]] = (rounds_left_out,)
