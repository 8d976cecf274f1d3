"""What a rehearsal changes, and what it does not prove, in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kanjiprep.training import models, pictures
from kanjiprep.training.pictures import Dataset
from kanjiprep.training.run_spec import CPU, SIZE_STEP_PX, TINY, RunSpec

_WHY: Final[Mapping[str, str]] = {
    "model.flavour": "a tiny random model of the same family",
    "model.path": "a tiny random model of the same family takes its place",
    "model.precision": "quantised weights want a GPU",
    "optimizer.name": "bitsandbytes wants a GPU",
    "schedule.warmup_steps": "as large a part of the fewer steps as there is room for",
    "schedule.half_period_steps": "as large a part of the fewer steps as there is room for",
    "training.epochs": "steps say how long",
    "training.steps": "a checkpoint, pictures, and steps after them",
    "training.batch": "fewer pictures a step",
    "training.accumulation": "fewer pictures a step",
    "training.resolution_px": "quick on a CPU",
    "checkpoints.every_epochs": "steps say when",
    "checkpoints.every_steps": "the first of them before the end",
    "validation.every_steps": "whenever a checkpoint is made",
    "validation.size_px": "quick on a CPU",
    "validation.inference_steps": "quick on a CPU",
    "tracker.service": "nobody else is told of a rehearsal",
    "machine.gpu": "no GPU is needed",
    "machine.gpus": "there is one CPU",
    "machine.sharding": "there is nothing to divide",
    "guard.policy": "a guard takes what random weights paint for noise",
    "guard.max_usd": "a rehearsal costs nothing",
}
"""Why a key of run.toml is changed, for each that can be."""


def changes(before: RunSpec, after: RunSpec, whole: Dataset, sampled: Dataset) -> Iterator[str]:
    """Every key of run.toml that differs, as ``key: from -> to, why``, and what became of the dataset.

    Args:
        before: The real run.
        after: Its rehearsal.
        whole: What the real run is trained on.
        sampled: What its rehearsal is trained on.
    """
    flat = _flat(dataclasses.asdict(after))
    for key, value in _flat(dataclasses.asdict(before)).items():
        if value != flat[key]:
            yield f"{key}: {_said(value)} -> {_said(flat[key])}, {_WHY[key]}"
    yield from _sampling(whole, sampled, before, after)


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of the tables of run.toml by their dotted keys."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        is_table = isinstance(value, Mapping) and not prefix
        found |= _flat(value, f"{key}.") if is_table else {f"{prefix}{key}": value}
    return found


def _said(value: object) -> str:
    if value is None or value == "":
        return "unset"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _sampling(whole: Dataset, sampled: Dataset, before: RunSpec, after: RunSpec) -> Iterator[str]:
    """What became of the dataset."""
    if sampled.pictures != whole.pictures:
        why = "the longest captions, those with odd characters, every shape that fills a step, and the first"
        yield f"pictures: {len(whole.pictures):,} -> {len(sampled.pictures):,}, {why}"
    sizes_px = (before.training.resolution_px, after.training.resolution_px)
    old, new = (pictures.buckets(whole.pictures, size_px) for size_px in sizes_px)
    if list(old) != list(new):
        yield f"shapes: {', '.join(old)} -> {', '.join(new)}, as pictures are scaled to steps of {SIZE_STEP_PX} px"


def unproven(before: RunSpec, after: RunSpec, whole: Dataset, sampled: Dataset) -> Iterator[str]:
    """What a rehearsal says nothing about, one phrase each.

    Args:
        before: The real run.
        after: Its rehearsal.
        whole: What the real run is trained on.
        sampled: What its rehearsal is trained on.
    """
    yield from _of_model(before)
    yield from _of_machine(before, after)
    if before.guard.policy != "off":
        yield f"the guard ({before.guard.policy}), which is off"
    if before.tracker.service != "none":
        yield f"the account at {before.tracker.service}"
    if len(sampled.pictures) < len(whole.pictures):
        yield f"the other {len(whole.pictures) - len(sampled.pictures):,} pictures: kanjiprep check looks at all"
    here, there = (pictures.buckets(one.pictures, after.training.resolution_px) for one in (sampled, whole))
    for bucket, count in there.items():
        if bucket not in here:
            yield f"pictures of the shape {bucket}: {count:,} of them cannot fill a step of the rehearsal"


def _of_model(before: RunSpec) -> Iterator[str]:
    model = before.model
    yield "quality: random weights learn nothing that can be looked at"
    if model.path:
        yield f"that {model.path} is there, can be downloaded, and loads"
    elif model.flavour != TINY:
        repo = models.model_of(model.family, model.flavour).repo
        licence = ", which needs its licence accepted and HF_TOKEN set" if model.family == "sd3" else ""
        yield f"the download of {repo}{licence}"
    if model.precision != "bf16":
        yield f"weights in {model.precision}"


def _of_machine(before: RunSpec, after: RunSpec) -> Iterator[str]:
    machine, optimizer = before.machine, before.optimizer.name
    if machine.gpu != CPU:
        yield f"memory, speed and cost on {machine.gpu}: kanjiprep plan estimates them"
        yield "the driver and CUDA of the machine"
    if machine.gpus > 1:
        divided = f", and what sharding {machine.sharding!r} divides among them" if machine.sharding != "none" else ""
        yield f"{machine.gpus} GPUs working together{divided}"
    if optimizer != after.optimizer.name:
        yield f"the optimizer {optimizer}"
