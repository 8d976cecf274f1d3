"""Going on from checkpoints, wanted or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kanjiprep.training.rules.rule import Hit, Rule, rule
from kanjiprep.training.rules.subject import Subject, as_read

_INIT: Final = "SimpleTuner 4.10.1 helpers/training/trainer.py init_resume_checkpoint"
_RATE: Final = ("learning_rate",)
_SWING: Final = ("learning_rate", "lr_warmup_steps", "lr_end")
_RESTORED: Final = {
    "cosine": _SWING,
    "cosine_with_warmup": _SWING,
    "sine": _SWING,
    "polynomial": _RATE,
    "linear": _RATE,
}
"""What a checkpoint brings back of a schedule, over what the config says."""


def resumes(subject: Subject) -> bool:
    """Whether the run goes on from a checkpoint."""
    return subject.text("resume_from_checkpoint") == "latest" and bool(subject.context.output_checkpoints)


@rule(
    "resume-is-not-a-switch",
    "error",
    "A word where a checkpoint is meant",
    why='resume_from_checkpoint is a name: false or "none" are looked for as folders, which ends the run; the text '
    '"false" is dropped, which leaves the default, latest.',
    fix='Write an empty text, "", to start anew, or take a new output_dir.',
    source=f"{_INIT}, and cli_utils.py, run",
)
def not_a_switch(subject: Subject) -> Iterator[Hit]:
    """Words for no."""
    value = subject.config.get("resume_from_checkpoint")
    if value is False or str(value).strip().lower() in ("false", "none", "no", "off", "0"):
        if value is None:
            return
        read = as_read("resume_from_checkpoint", value)
        meant = "the latest checkpoint is taken" if read is None else f"a folder {str(read).lower()!r} is looked for"
        yield Hit("resume_from_checkpoint", f"resume_from_checkpoint is {value!r}: {meant}.")


@rule(
    "resume-keeps-old-rate",
    "error",
    "A new learning rate that a checkpoint undoes",
    why="A checkpoint restores its optimizer and scheduler: of a cosine or sine learning_rate, lr_warmup_steps and "
    "lr_end, of a polynomial or linear schedule learning_rate; only constant ones take the new rate.",
    fix="Take a new output_dir with init_lora and init_lora_step 0 to go on with another rate.",
    source="SimpleTuner 4.10.1 custom_schedule.py with states saved and loaded, run; trainer.py",
)
def keeps_old_rate(subject: Subject) -> Iterator[Hit]:
    """Values of the schedule that differ from those of the run that made the checkpoints."""
    previous = subject.context.previous
    if not resumes(subject) or previous is None:
        return
    old = Subject(previous)
    for key in _RESTORED.get(subject.text("lr_scheduler"), ()):
        before, now = old.number(key), subject.number(key)
        if before is not None and now is not None and before != now:
            yield Hit(key, f"{key} stays {before:g}, not {now:g}.")


@rule(
    "resume-changes-schedule",
    "warning",
    "Another scheduler than the checkpoint's",
    why="The checkpoint's scheduler state is loaded into a scheduler of another kind.",
    fix="Take a new output_dir with init_lora and init_lora_step 0.",
    source=_INIT,
)
def changes_schedule(subject: Subject) -> Iterator[Hit]:
    """A scheduler with another name than before."""
    previous = subject.context.previous
    if not resumes(subject) or previous is None:
        return
    before, now = Subject(previous).text("lr_scheduler"), subject.text("lr_scheduler")
    if before != now:
        yield Hit("lr_scheduler", f"The checkpoints were made with {before}, and this says {now}.")


@rule(
    "nothing-left-to-do",
    "error",
    "A run that is already over",
    why="Steps of the checkpoint count: a run that resumes at or past its last step does none.",
    fix="Write a higher max_train_steps, or take a new output_dir.",
    source=f"{_INIT}; SimpleTuner issue 1172",
)
def nothing_left(subject: Subject) -> Iterator[Hit]:
    """Checkpoints at or past the end."""
    total = subject.total_steps
    last = max(subject.context.output_checkpoints, default=0)
    if resumes(subject) and total is not None and last >= total:
        yield Hit("max_train_steps", f"output_dir holds checkpoint-{last}, and the run has {total:,} steps.")


@rule(
    "resume-by-default",
    "warning",
    "A run that goes on where another stopped",
    why="resume_from_checkpoint is latest where it is not written, so an old output_dir is resumed.",
    fix='Write "resume_from_checkpoint": "latest" if that is meant, else take a new output_dir.',
    source=f"SimpleTuner 4.10.1, default of the live parser; {_INIT}",
)
def by_default(subject: Subject) -> Iterator[Hit]:
    """Checkpoints in output_dir and nothing said about them."""
    if resumes(subject) and subject.given("resume_from_checkpoint") is None:
        last = max(subject.context.output_checkpoints)
        yield Hit("resume_from_checkpoint", f"output_dir holds checkpoint-{last}: the run goes on from there.")


@rule(
    "init-lora-and-resume",
    "error",
    "A LoRA to start from, and a checkpoint to resume",
    why="A step for init_lora, written or taken from the file's metadata, is refused beside resume_from_checkpoint, "
    "whose default is latest.",
    fix='Write "init_lora_step": 0, or an empty resume_from_checkpoint.',
    source="SimpleTuner 4.10.1 helpers/training/trainer.py _initial_lora_step, run",
)
def init_lora(subject: Subject) -> Iterator[Hit]:
    """A step above 0 beside a resume."""
    if subject.text("init_lora") and subject.text("resume_from_checkpoint") and subject.whole("init_lora_step") > 0:
        yield Hit("init_lora_step", f"init_lora_step is {subject.whole('init_lora_step'):,}: a ValueError.")


@rule(
    "init-lora-step-unsaid",
    "warning",
    "A LoRA that may bring its own step",
    why="Files that SimpleTuner saved carry their step; it is taken for init_lora_step and refused beside "
    "resume_from_checkpoint, whose default is latest.",
    fix='Write "init_lora_step": 0 beside init_lora.',
    source="SimpleTuner 4.10.1 helpers/training/trainer.py _initial_lora_step, run",
)
def init_lora_unsaid(subject: Subject) -> Iterator[Hit]:
    """A LoRA without a step, beside a resume."""
    is_unsaid = subject.given("init_lora_step") is None
    if subject.text("init_lora") and is_unsaid and subject.text("resume_from_checkpoint"):
        yield Hit("init_lora_step", f"{subject.text('init_lora')} is loaded, and init_lora_step is not said.")


RULES: Final[tuple[Rule, ...]] = (
    not_a_switch,
    keeps_old_rate,
    changes_schedule,
    nothing_left,
    by_default,
    init_lora,
    init_lora_unsaid,
)
