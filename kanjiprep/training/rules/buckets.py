"""Repeats, buckets and crops: which pictures are seen, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kanjiprep.training.rules.rule import Hit, Rule, rule
from kanjiprep.training.rules.sizes import pictured, size_of
from kanjiprep.training.rules.subject import Subject, Table, as_number, key_of, name_of

_FACTORY: Final = "SimpleTuner 4.10.1 helpers/data_backend/factory.py"
_BUCKETS: Final = "SimpleTuner 4.10.1 helpers/metadata/backends/base.py"
_ASPECTS: Final = ("square", "preserve", "random", "closest")
_STYLES: Final = ("random", "corner", "center", "centre", "face")


def _repeats(dataset: Table) -> int:
    return int(as_number(dataset.get("repeats")) or 0)


@rule(
    "repeats-are-extra",
    "warning",
    "One repeat is two passes",
    why="repeats counts the further times that a sample is seen in an epoch: 0 is once, 1 is twice.",
    fix='Write "repeats": 0 for once.',
    source="SimpleTuner 4.10.1 helpers/metadata/backends/discovery.py __len__; documentation/DATALOADER.md",
)
def repeats_are_extra(subject: Subject) -> Iterator[Hit]:
    """A repeat of exactly 1, which most often means once."""
    samples = subject.context.samples
    for dataset in subject.trained:
        if _repeats(dataset) == 1:
            count = f": {2 * samples:,} instead of {samples:,}" if samples else ""
            yield Hit(key_of(dataset, "repeats"), f"Each sample of {name_of(dataset)} is seen twice an epoch{count}.")


@rule(
    "repeats-negative",
    "error",
    "Fewer than no repeats",
    why="repeats is added to 1 without a check; at -1 a dataset has no samples.",
    fix='Write "repeats": 0 for once.',
    source=_BUCKETS,
)
def repeats_negative(subject: Subject) -> Iterator[Hit]:
    """Repeats below 0."""
    for dataset in subject.trained:
        if _repeats(dataset) < 0:
            yield Hit(key_of(dataset, "repeats"), f"repeats is {_repeats(dataset)}.")


def _short(subject: Subject) -> Iterator[tuple[Table, str, int, int, int]]:
    """Buckets that cannot fill one step: dataset, bucket, its samples, a batch, a step."""
    buckets = subject.context.bucket_sizes
    if buckets is None or len(subject.trained) != 1:
        return
    (dataset,) = subject.trained
    is_filled_up = subject.flag("allow_dataset_oversubscription") and _repeats(dataset) == 0
    batch = int(as_number(dataset.get("train_batch_size")) or subject.whole("train_batch_size"))
    step = batch * max(1, subject.context.gpus) * max(1, subject.whole("gradient_accumulation_steps"))
    for bucket, size in buckets.items():
        samples = size * (_repeats(dataset) + 1)
        if samples < step and not is_filled_up:
            yield dataset, bucket, samples, batch, step


def _is_pruned(subject: Subject, dataset: Table, samples: int, batch: int) -> bool:
    is_pruning = size_of(subject, dataset, "minimum_image_size") > 0 and not subject.flag("disable_bucket_pruning")
    return is_pruning and samples < batch


@rule(
    "bucket-too-small",
    "error",
    "A bucket that cannot fill one step",
    why="The trainer refuses a dataset with a bucket smaller than train_batch_size x GPUs x "
    "gradient_accumulation_steps: zero usable batches.",
    fix="Lower one of the three, add pictures of that shape, or set allow_dataset_oversubscription.",
    source=f"{_BUCKETS} split_buckets_between_processes",
)
def bucket_too_small(subject: Subject) -> Iterator[Hit]:
    """Short buckets that are not dropped before."""
    for dataset, bucket, samples, batch, step in _short(subject):
        if not _is_pruned(subject, dataset, samples, batch):
            yield Hit(
                key_of(dataset, "train_batch_size"),
                f"Bucket {bucket} has {samples:,} samples, one step needs {step:,}.",
            )


@rule(
    "bucket-dropped",
    "warning",
    "A bucket that is thrown away",
    why="With a minimum_image_size, a bucket smaller than a batch is dropped, and its pictures are never seen.",
    fix="Lower train_batch_size, or crop the pictures to one shape.",
    source=f"{_BUCKETS} _prune_small_buckets",
)
def bucket_dropped(subject: Subject) -> Iterator[Hit]:
    """Short buckets that are dropped."""
    for dataset, bucket, samples, batch, _ in _short(subject):
        if _is_pruned(subject, dataset, samples, batch):
            yield Hit(
                key_of(dataset, "train_batch_size"),
                f"Bucket {bucket} has {samples:,} samples, a batch needs {batch:,}.",
            )


@rule(
    "crop-choice",
    "error",
    "A way to crop that does not exist",
    why="crop_aspect and crop_style must be of the words that the trainer knows; random and closest need "
    "crop_aspect_buckets.",
    fix="Write one of the words that are listed.",
    source=f"{_FACTORY}, run",
)
def crop_choice(subject: Subject) -> Iterator[Hit]:
    """Unknown words, and buckets that are missing, where pictures are cropped."""
    for dataset in (one for one in pictured(subject) if one.get("crop")):
        aspect, style = dataset.get("crop_aspect", "square"), dataset.get("crop_style", "random")
        if aspect not in _ASPECTS:
            yield Hit(key_of(dataset, "crop_aspect"), f"{aspect!r} is none of {', '.join(_ASPECTS)}.")
        if style not in _STYLES:
            yield Hit(key_of(dataset, "crop_style"), f"{style!r} is none of {', '.join(_STYLES)}.")
        if aspect in ("random", "closest") and not dataset.get("crop_aspect_buckets"):
            yield Hit(key_of(dataset, "crop_aspect_buckets"), f"{aspect} needs crop_aspect_buckets.")


@rule(
    "crop-cuts",
    "warning",
    "A crop that cuts pictures",
    why="Cropping to a square or to a shape of crop_aspect_buckets takes away what is outside: strokes, say.",
    fix='Write "crop": false, and build the dataset in one shape.',
    source=f"{_FACTORY}; documentation/DATALOADER.md",
)
def crop_cuts(subject: Subject) -> Iterator[Hit]:
    """Crops of pictures that are known not to have the shape that is cropped to."""
    buckets = subject.context.bucket_sizes or {}
    if len(subject.trained) != 1 or not buckets:
        return
    (dataset,) = subject.trained
    odd = sum(size for bucket, size in buckets.items() if as_number(bucket) != 1)
    aspect = dataset.get("crop_aspect", "square")
    if not dataset.get("crop"):
        return
    if aspect in ("random", "closest"):
        yield Hit(key_of(dataset, "crop_aspect"), f"All {sum(buckets.values()):,} pictures are cut to other shapes.")
    elif aspect == "square" and odd:
        yield Hit(key_of(dataset, "crop"), f"{odd:,} of {sum(buckets.values()):,} pictures are not square.")


RULES: Final[tuple[Rule, ...]] = (
    repeats_are_extra,
    repeats_negative,
    bucket_too_small,
    bucket_dropped,
    crop_choice,
    crop_cuts,
)
