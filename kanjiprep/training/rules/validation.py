"""Validation pictures: whether they can be compared, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from kanjiprep.training.rules.rule import Hit, Rule, rule
from kanjiprep.training.rules.sizes import size_of, unit_of
from kanjiprep.training.rules.subject import Subject, Table, as_number, kind

HIGHEST_GUIDANCE: Final = 5.0
"""Above what Stability samples SD3.5 Large with (4.5); the SD3 guide has 3."""
DEAR_SHARE: Final = 0.25
"""Validation that takes more than this part of the training time is worth a note."""
_LISTED: Final = "SimpleTuner 4.10.1 helpers/training/validation.py"
_NEAR: Final = 1.15
"""Edges within this factor count as the same size: 1024 x 1024 and 1280 x 768 do."""
_SMALLEST_PX: Final = 128
"""Below this the trainer takes a validation_resolution for megapixels."""


def is_on(subject: Subject) -> bool:
    """Whether pictures come due at all."""
    interval, total = subject.whole("validation_step_interval"), subject.total_steps
    is_due = interval > 0 and (total is None or interval <= total)
    return (is_due or subject.whole("validation_epoch_interval") > 0) and not subject.flag("validation_disable")


def _is_named(value: str) -> bool:
    return value.strip().lower() not in ("", "none", "false", "0", "no")


def has_prompt(subject: Subject) -> bool:
    """Whether there is anything to paint but the empty prompt."""
    named = ("validation_prompt", "validation_prompt_library", "user_prompt_library", "validation_input")
    return any(_is_named(subject.text(key)) for key in named) or subject.flag("validation_using_datasets")


def _is_conditioned(subject: Subject) -> bool:
    """Whether validation may take its pictures from a dataset, as models that edit or follow pictures do."""
    is_told = any("conditioning" in key for one in subject.datasets for key in (*one, kind(one)))
    is_unknown = not subject.backends and subject.family not in ("sd3", "sd1x")
    return is_told or is_unknown or subject.flag("controlnet") or subject.flag("control")


def _edge_px(subject: Subject, dataset: Table) -> float:
    size = size_of(subject, dataset, "resolution")
    return math.sqrt(size * 1e6) if unit_of(subject, dataset) == "area" else size


def _edges_px(subject: Subject) -> set[float]:
    """Edges that pictures are trained at; empty if other things than pictures are trained, or nobody knows."""
    if any(kind(one) != "image" for one in subject.trained):
        return set()
    return {_edge_px(subject, one) for one in subject.trained} - {0.0}


def _sizes_px(text: str) -> list[float]:
    """Edges of squares of the same area as the sizes in validation_resolution; megapixels are left out."""
    sizes = []
    for part in text.lower().split(","):
        edges = [as_number(edge) for edge in part.strip().split("x")]
        known = [edge for edge in edges if edge is not None and edge >= _SMALLEST_PX]
        if known and len(known) == len(edges):
            sizes.append(math.sqrt(known[0] * known[-1]))
    return sizes


def _differs(subject: Subject) -> bool:
    sizes, edges = _sizes_px(subject.text("validation_resolution")), _edges_px(subject)
    is_near = any(max(size, edge) / min(size, edge) <= _NEAR for size in sizes for edge in edges)
    return is_on(subject) and bool(sizes) and bool(edges) and not is_near


def _edges_in_words(subject: Subject) -> str:
    return ", ".join(f"{edge:,.0f}" for edge in sorted(_edges_px(subject)))


@rule(
    "nothing-to-look-at",
    "warning",
    "Validation without a prompt",
    why="Without validation_prompt or a library of prompts, only pictures of an empty prompt are made, or none.",
    fix="Write a validation_prompt, or turn validation off with validation_disable.",
    source=f"{_LISTED} prepare_validation_prompt_list",
)
def nothing_to_look_at(subject: Subject) -> Iterator[Hit]:
    """Validation that nothing is asked of."""
    if is_on(subject) and not has_prompt(subject) and not _is_conditioned(subject):
        interval = subject.whole("validation_step_interval")
        yield Hit("validation_prompt", f"Every {interval:,} steps there is nothing to compare.")


@rule(
    "validation-size-by-default",
    "warning",
    "Validation at 256 px, because nothing was said",
    why="validation_resolution is 256 where it is not written.",
    fix="Write the resolution of the training, or validation pictures say little about it.",
    source="SimpleTuner 4.10.1, default of the live parser",
)
def size_by_default(subject: Subject) -> Iterator[Hit]:
    """A missing validation_resolution beside another training resolution."""
    if subject.given("validation_resolution") is None and has_prompt(subject) and _differs(subject):
        yield Hit("validation_resolution", f"Training is at {_edges_in_words(subject)} px.")


@rule(
    "validation-size-differs",
    "note",
    "Validation at another size than training",
    why="A model shows what it learnt at the size that it learnt it at.",
    fix="Write the resolution of the training.",
    source=f"{_LISTED} parse_validation_resolutions",
)
def size_differs(subject: Subject) -> Iterator[Hit]:
    """A validation_resolution that is none of the training resolutions."""
    if subject.given("validation_resolution") is not None and has_prompt(subject) and _differs(subject):
        size = subject.text("validation_resolution")
        yield Hit("validation_resolution", f"It is {size}, and training is at {_edges_in_words(subject)} px.")


@rule(
    "guidance-too-high",
    "warning",
    "A guidance that is too high for SD3.5",
    why="validation_guidance is 7.5 where it is not written; SD3.5 wants less: 3 in SimpleTuner's guide, 4.5 in "
    "Stability's own sampler for Large.",
    fix="Write validation_guidance between 3 and 5, and sample with the same one later.",
    source="SimpleTuner documentation/quickstart/SD3.md; Stability AI, sd3_infer.py",
)
def guidance_too_high(subject: Subject) -> Iterator[Hit]:
    """A guidance above 5 for SD3."""
    guidance = subject.number("validation_guidance") or 0.0
    if subject.family == "sd3" and is_on(subject) and has_prompt(subject) and guidance > HIGHEST_GUIDANCE:
        yield Hit("validation_guidance", f"validation_guidance is {guidance:g}.")


@rule(
    "benchmark-pasted-in",
    "note",
    "Validation pictures with the base model beside them",
    why="Unless disable_benchmark is true, the base model's picture is pasted to the left of each validation "
    "picture, with labels drawn in, and the file is larger than its name says.",
    fix='Write "disable_benchmark": true for plain pictures.',
    source=f"{_LISTED} stitch_benchmark_image, run",
)
def benchmark_pasted_in(subject: Subject) -> Iterator[Hit]:
    """Validation with a benchmark."""
    is_heard = any(kind(one) == "audio" for one in subject.trained)
    if is_on(subject) and has_prompt(subject) and not is_heard and not subject.flag("disable_benchmark"):
        yield Hit("disable_benchmark", "The files in validation_images will hold two pictures each.")


@rule(
    "picture-of-nothing",
    "note",
    "A picture of an empty prompt each time",
    why="Unless validation_disable_unconditional is true, one more picture is made of an empty prompt.",
    fix='Write "validation_disable_unconditional": true.',
    source=f"{_LISTED} prepare_validation_prompt_list",
)
def picture_of_nothing(subject: Subject) -> Iterator[Hit]:
    """Validation with the empty prompt."""
    if is_on(subject) and not subject.flag("validation_disable_unconditional"):
        yield Hit("validation_disable_unconditional", "The empty prompt is one of the validation prompts.")


@rule(
    "checkpoint-without-picture",
    "note",
    "Checkpoints that no picture shows",
    why="Pictures are made every validation_step_interval, checkpoints kept every checkpoint_step_interval.",
    fix="Make the checkpoint interval a multiple of the validation interval.",
    source="SimpleTuner 4.10.1 helpers/training/trainer.py and validation.py",
)
def checkpoint_without_picture(subject: Subject) -> Iterator[Hit]:
    """Intervals in steps that do not meet at every checkpoint."""
    by_epochs = any(subject.whole(f"{what}_epoch_interval") for what in ("checkpoint", "validation"))
    kept, shown = subject.whole("checkpoint_step_interval"), subject.whole("validation_step_interval")
    total = subject.total_steps
    is_asked = is_on(subject) and has_prompt(subject) and not by_epochs
    if is_asked and kept > 0 and shown > 0 and kept % shown and (total is None or total >= kept):
        yield Hit("validation_step_interval", f"Checkpoints every {kept:,} steps, pictures every {shown:,}.")


@rule(
    "validation-costs-more",
    "warning",
    "Validation that costs more than training",
    why="While validation pictures are made, nothing is learnt, and the machine is paid for.",
    fix="Validate less often, with fewer prompts, fewer steps a picture or a smaller size.",
    source="the estimates of this run's plan",
)
def costs_more(subject: Subject) -> Iterator[Hit]:
    """More time for pictures than for steps."""
    training_s, validation_s = subject.context.training_s, subject.context.validation_s
    if training_s is not None and validation_s is not None and validation_s > training_s:
        yield Hit("validation_step_interval", _hours(validation_s, training_s))


@rule(
    "validation-share",
    "note",
    "Validation that takes its part",
    why="While validation pictures are made, nothing is learnt, and the machine is paid for.",
    fix="Validate less often, with fewer prompts, fewer steps a picture or a smaller size.",
    source="the estimates of this run's plan",
)
def share(subject: Subject) -> Iterator[Hit]:
    """More than a quarter of the time for steps, and no more than all of it."""
    training_s, validation_s = subject.context.training_s, subject.context.validation_s
    if training_s and validation_s and DEAR_SHARE * training_s < validation_s <= training_s:
        yield Hit("validation_step_interval", _hours(validation_s, training_s))


def _hours(validation_s: float, training_s: float) -> str:
    return f"About {validation_s / 3600:.3g} h for pictures beside {training_s / 3600:.3g} h of training."


RULES: Final[tuple[Rule, ...]] = (
    nothing_to_look_at,
    size_by_default,
    size_differs,
    guidance_too_high,
    benchmark_pasted_in,
    picture_of_nothing,
    checkpoint_without_picture,
    costs_more,
    share,
)
