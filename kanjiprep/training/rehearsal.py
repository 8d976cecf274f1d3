"""A run made small enough for a CPU, and otherwise the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from kanjiprep.errors import UsageError
from kanjiprep.training import configs, pictures, presets, rehearsal_text, sample, schedule
from kanjiprep.training.configs import Places
from kanjiprep.training.pictures import Dataset
from kanjiprep.training.presets import Preset
from kanjiprep.training.run_spec import CPU, TINY, Machine, RunSpec, Schedule
from kanjiprep.training.schedule import Portions

STEPS: Final = 5
"""Of the optimizer: two checkpoints, two rounds of pictures, and one more."""
EVERY_STEPS: Final = 2
"""Steps between checkpoints, so that training goes on after the first of them."""
SIZE_PX: Final = 256
"""Of pictures trained on, and of those made."""
_LEAST_PICTURES: Final = 24
"""Of a sample, if there are so many."""
_LEAST_STEPS_AN_EPOCH: Final = 3
"""So that no epoch ends right after a round of pictures is due.

With accumulation the trainer then paints that round twice or not at all. Source: SimpleTuner 4.10.1 trainer.py,
whose ``step`` counts the end of an epoch too, and validation.py should_perform_intermediary_validation; run.
"""
INFERENCE_STEPS: Final = 2
"""Of the sampler."""
_MOST_PICTURES_A_STEP: Final = 16
"""A CPU gets through so many in seconds, and a sample has so many of each shape."""

_TEMPLATED: Final = (
    "pretrained_model_name_or_path", "model_flavour", "base_model_precision", "max_train_steps", "num_train_epochs",
    "deepspeed_config", "fsdp_enable", "report_to",
)  # fmt: skip
"""Keys of config.json by which a rehearsal stays on this machine and comes to an end."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A run for a CPU that starts as the real one would.

    Attributes:
        preset: The changed one.
        dataset: A sample of the real one, with the digest of the whole.
        changes: Every change, as ``what: from -> to, why``.
        unproven: What it does not show of the real run, one phrase each.
    """

    preset: Preset
    dataset: Dataset
    changes: tuple[str, ...]
    unproven: tuple[str, ...]


def rehearsal_of(preset: Preset, dataset: Dataset) -> Rehearsal:
    """The rehearsal of ``preset`` on ``dataset``.

    Args:
        preset: What is asked for.
        dataset: The whole dataset.

    Raises:
        UsageError: If a bucket cannot fill a step, so that the real run would not start either, or if a template
            of the preset's own would not keep the rehearsal small.
    """
    training = preset.spec.training
    steps = schedule.count(preset.spec, pictures.buckets(dataset.pictures, training.resolution_px))
    small = replace(preset, spec=_small(preset.spec, steps.total))
    is_filled_up = _config_of(small).get("allow_dataset_oversubscription") is True and training.repeats == 0
    if not is_filled_up:
        _refuse_short(dataset, steps.short_buckets, schedule.portions_of(preset.spec))
    portions = schedule.portions_of(small.spec)
    needed = 1 if is_filled_up else math.ceil(portions.pictures_a_step / (portions.repeats + 1))
    resolution_px = small.spec.training.resolution_px
    least = max(_LEAST_PICTURES, _LEAST_STEPS_AN_EPOCH * portions.pictures_a_step)
    chosen = sample.sample(dataset.pictures, resolution_px, needed, least)
    if not chosen:
        _refuse_short(dataset, pictures.buckets(dataset.pictures, resolution_px), portions)
    sampled = replace(dataset, pictures=chosen)
    return Rehearsal(
        small,
        sampled,
        tuple(rehearsal_text.changes(preset.spec, small.spec, dataset, sampled)),
        tuple(rehearsal_text.unproven(preset.spec, small.spec, dataset, sampled)),
    )


def _refuse_short(dataset: Dataset, short: Mapping[str, int], portions: Portions) -> None:
    """Refuse buckets that cannot fill a step."""
    for bucket, count in short.items():
        raise UsageError(
            f"has {count:,} pictures of the shape {bucket}, and a step takes {portions.pictures_a_step:,}",
            str(dataset.folder),
            "lower training.batch or training.accumulation, or add pictures of that shape",
        )


def _config_of(small: Preset) -> Mapping[str, Any]:
    """The config.json of a rehearsal, as far as it is the same in every folder.

    Raises:
        UsageError: If a template of the preset's own writes what a rehearsal has to change.
    """
    steps = schedule.count(small.spec, presets.NOMINAL)
    places = Places(Path("run"), Path("models"))
    made, ours = (
        configs.render(small.spec, steps, small.prompts, places, templates).config
        for templates in (small.templates, configs.load_templates())
    )
    for key in _TEMPLATED:
        if made.get(key) != ours.get(key):
            raise UsageError(
                f"writes {key} {made.get(key)!r:.60} where a rehearsal needs {ours.get(key)!r:.60}",
                str(small.templates.paths[configs.CONFIG]),
                "write it as the shipped template does",
            )
    return made


def _small(spec: RunSpec, total_steps: int) -> RunSpec:
    """``spec`` as a CPU can run it in minutes."""
    validation, training = spec.validation, spec.training
    is_accumulating = training.batch * training.accumulation > _MOST_PICTURES_A_STEP
    accumulation = min(training.accumulation, 2) if is_accumulating else training.accumulation
    bnb = spec.optimizer.name.startswith("bnb-")
    return replace(
        spec,
        model=replace(spec.model, flavour=TINY, path="", precision="bf16"),
        optimizer=replace(spec.optimizer, name="adamw_bf16" if bnb else spec.optimizer.name),
        schedule=_short_schedule(spec.schedule, total_steps),
        training=replace(
            training,
            epochs=None,
            steps=STEPS,
            batch=min(training.batch, _MOST_PICTURES_A_STEP // accumulation),
            accumulation=accumulation,
            resolution_px=min(training.resolution_px, SIZE_PX),
        ),
        checkpoints=replace(spec.checkpoints, every_epochs=None, every_steps=EVERY_STEPS),
        validation=replace(
            validation,
            every_steps=None if validation.every_steps is None else EVERY_STEPS,
            size_px=min(validation.size_px, SIZE_PX),
            inference_steps=min(validation.inference_steps, INFERENCE_STEPS),
        ),
        tracker=replace(spec.tracker, service="none"),
        machine=Machine(CPU),
        guard=replace(spec.guard, policy="off", max_usd=None),
    )


def _short_schedule(schedule: Schedule, total_steps: int) -> Schedule:
    """``schedule`` with its climb and its half period in their proportion, as far as whole steps allow."""
    half, climb = schedule.half_period_steps, schedule.warmup_steps
    share = STEPS / max(1, total_steps)
    return replace(
        schedule,
        warmup_steps=min(STEPS - 1, max(1, round(climb * share))) if climb else 0,
        half_period_steps=max(1, round(half * share)) if half else half,
    )
