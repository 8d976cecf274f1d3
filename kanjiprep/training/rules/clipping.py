"""What keeps a run from exploding, and what does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kanjiprep.training.rules.rule import Hit, Rule, rule
from kanjiprep.training.rules.subject import Subject

HIGHEST_FULL_RATE: Final = 1e-6
STABLE_RATE: Final = 1e-4
"""Of the settings that SimpleTuner's SD3 guide calls stable."""
HIGHEST_RATE: Final = 1e-3
"""The most that SimpleTuner's OPTIONS.md names for a LoRA."""
STABLE_CLIP: Final = 0.1
"""max_grad_norm of the settings that the SD3 guide calls stable."""
_GUIDE: Final = "SimpleTuner documentation/quickstart/SD3.md"


def _limit(subject: Subject) -> float:
    return subject.number("max_grad_norm") or 0.0


def _is_never_clipped(subject: Subject) -> bool:
    return subject.text("optimizer") in ("optimi-stableadamw", "prodigy")


def is_large(subject: Subject) -> bool:
    """Whether the model is SD3.5 Large, as far as the config tells."""
    path = subject.text("pretrained_model_name_or_path").lower()
    return subject.family == "sd3" and ("large" in path if path else subject.text("model_flavour") == "large")


@rule(
    "clipping-by-value",
    "warning",
    "Clipping that cuts next to nothing",
    why="By default single gradient values are cut at +-2, which they never reach; the norm of the whole gradient, "
    "which is what explodes, is not limited, nor is it logged.",
    fix='Write "grad_clip_method": "norm" and a max_grad_norm: the SD3 guide has 0.1.',
    source=f"SimpleTuner 4.10.1, defaults of the live parser; {_GUIDE}",
)
def clipping_by_value(subject: Subject) -> Iterator[Hit]:
    """Clipping by value for SD3 above what its guide has."""
    limit, method = _limit(subject), subject.text("grad_clip_method")
    if subject.family == "sd3" and method == "value" and limit > STABLE_CLIP and not _is_never_clipped(subject):
        yield Hit("grad_clip_method", f"Single gradient values are cut at {limit:g}, their norm is not limited.")


@rule(
    "clipping-above-guide",
    "note",
    "Looser clipping than the guide has",
    why="The SD3 guide warns that a high max_grad_norm allows dangerous updates of SD3.5 Large; its stable settings "
    "have 0.1.",
    fix="Write a max_grad_norm of 0.1 if gradients explode.",
    source=_GUIDE,
)
def clipping_above_guide(subject: Subject) -> Iterator[Hit]:
    """Clipping by norm for SD3.5 Large above the guide's."""
    limit, method = _limit(subject), subject.text("grad_clip_method")
    if is_large(subject) and method == "norm" and limit > STABLE_CLIP and not _is_never_clipped(subject):
        yield Hit("max_grad_norm", f"max_grad_norm is {limit:g}.")


@rule(
    "no-clipping",
    "note",
    "No clipping at all",
    why="Gradients are clipped only if max_grad_norm is above 0, and never for optimi-stableadamw and prodigy.",
    fix="With another optimizer, write a max_grad_norm above 0 if gradients explode.",
    source="SimpleTuner 4.10.1 helpers/training/trainer.py (should_clip_gradients)",
)
def no_clipping(subject: Subject) -> Iterator[Hit]:
    """A limit of 0, or a limit beside an optimizer that takes none."""
    if _limit(subject) <= 0:
        yield Hit("max_grad_norm", f"max_grad_norm is {_limit(subject):g}.")
    elif _is_never_clipped(subject) and subject.given("max_grad_norm") is not None:
        yield Hit("max_grad_norm", f"max_grad_norm has no effect with {subject.text('optimizer')}.")


@rule(
    "rate-above-documented",
    "warning",
    "A learning rate above what is documented",
    why="SimpleTuner's options name 1e-3 as the highest learning rate for a LoRA; Stability's tutorial calls 1.05e-3 "
    "aggressive, saw pictures pixelate or turn black, and gradients explode above it.",
    fix="Write 1e-4, and clip by norm.",
    source="SimpleTuner documentation/OPTIONS.md; Stability AI, Stable Diffusion 3.5 Large Fine-tuning Tutorial",
)
def rate_above_documented(subject: Subject) -> Iterator[Hit]:
    """A LoRA rate above the highest; prodigy's rate is a factor and means something else."""
    rate = subject.number("learning_rate") or 0.0
    if subject.is_lora and rate > HIGHEST_RATE and "prodigy" not in subject.text("optimizer"):
        yield Hit("learning_rate", f"learning_rate is {rate:g}, {rate / HIGHEST_RATE:.3g} times the highest named.")


@rule(
    "full-rate-above-documented",
    "note",
    "A learning rate above what is documented for a full fine-tune",
    why="SimpleTuner's options name 1e-7 to 1e-6 for a full fine-tune.",
    fix="Start lower, or watch the gradient norm closely.",
    source="SimpleTuner documentation/OPTIONS.md, --learning_rate",
)
def full_rate_above_documented(subject: Subject) -> Iterator[Hit]:
    """A full fine-tune above the highest rate that is named for one."""
    rate, is_full = subject.number("learning_rate") or 0.0, subject.text("model_type") == "full"
    if is_full and rate > HIGHEST_FULL_RATE and "prodigy" not in subject.text("optimizer"):
        times = f"{rate / HIGHEST_FULL_RATE:.3g} times the highest named"
        yield Hit("learning_rate", f"learning_rate is {rate:g}, {times}.")


@rule(
    "rate-above-stable",
    "warning",
    "A learning rate above what is called stable",
    why="The SD3 guide calls SD3.5 Large unstable and extremely sensitive to the learning rate; its stable settings "
    "have 1e-4.",
    fix="Write 1e-4, or watch the gradient norm closely.",
    source=_GUIDE,
)
def rate_above_stable(subject: Subject) -> Iterator[Hit]:
    """A LoRA rate for SD3.5 Large between the stable one and the highest."""
    rate = subject.number("learning_rate") or 0.0
    is_between = STABLE_RATE < rate <= HIGHEST_RATE and "prodigy" not in subject.text("optimizer")
    if is_large(subject) and subject.is_lora and is_between:
        yield Hit("learning_rate", f"learning_rate is {rate:g}, {rate / STABLE_RATE:.3g} times the stable one.")


@rule(
    "flow-shift-by-default",
    "note",
    "A flow shift of 3, because nothing was said",
    why="flow_schedule_shift is 3 where it is not written; the stable settings of the SD3 guide have 1.",
    fix="Write the flow_schedule_shift that you mean.",
    source=_GUIDE,
)
def flow_shift(subject: Subject) -> Iterator[Hit]:
    """A missing flow_schedule_shift for SD3."""
    if subject.family == "sd3" and subject.given("flow_schedule_shift") is None:
        yield Hit("flow_schedule_shift", "Training favours the noisy timesteps by a shift of 3.")


@rule(
    "seed-not-fixed",
    "warning",
    "A seed that changes from run to run",
    why="Without a seed nothing is seeded, 0 means the time of day and -1 means random: two runs cannot be compared.",
    fix="Write a seed above 0.",
    source="SimpleTuner 4.10.1 helpers/configuration/cmd_args.py, run",
)
def seed_not_fixed(subject: Subject) -> Iterator[Hit]:
    """No seed, 0 or -1."""
    seed = subject.number("seed")
    if seed is None:
        yield Hit("seed", "There is no seed.")
    elif seed in (0, -1):
        yield Hit("seed", f"Seed {seed:.0f} stands for {'the time of day' if seed == 0 else 'a random one'}.")


RULES: Final[tuple[Rule, ...]] = (
    clipping_by_value,
    clipping_above_guide,
    no_clipping,
    rate_above_documented,
    full_rate_above_documented,
    rate_above_stable,
    flow_shift,
    seed_not_fixed,
)
