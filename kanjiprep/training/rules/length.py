"""How long a run is, and whether it is long at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kanjiprep.training.rules.rule import Hit, Rule, rule
from kanjiprep.training.rules.subject import Subject

_CHECKS: Final = "SimpleTuner 4.10.1 helpers/configuration/cmd_args.py parse_cmdline_args, run"


def _steps(subject: Subject) -> int:
    return subject.whole("max_train_steps")


def _epochs(subject: Subject) -> int:
    return subject.whole("num_train_epochs")


@rule(
    "steps-and-epochs",
    "error",
    "Both steps and epochs",
    why="SimpleTuner refuses max_train_steps and num_train_epochs above 0 together.",
    fix="Set one of them to 0.",
    source=_CHECKS,
)
def steps_and_epochs(subject: Subject) -> Iterator[Hit]:
    """Both lengths, each written down."""
    if _steps(subject) > 0 and subject.given("num_train_epochs") is not None and _epochs(subject) > 0:
        yield Hit(
            "max_train_steps",
            f"max_train_steps {_steps(subject):,} and num_train_epochs {_epochs(subject):,}: a ValueError.",
        )


@rule(
    "steps-without-epochs",
    "error",
    "Steps without num_train_epochs 0",
    why="num_train_epochs is 1 where it is not written, and 1 epoch beside max_train_steps is refused.",
    fix='Write "num_train_epochs": 0 beside max_train_steps.',
    source=_CHECKS,
)
def steps_without_epochs(subject: Subject) -> Iterator[Hit]:
    """Steps beside the default of one epoch."""
    if _steps(subject) > 0 and subject.given("num_train_epochs") is None:
        yield Hit("num_train_epochs", f"max_train_steps {_steps(subject):,} beside the default of 1 epoch.")


@rule(
    "no-length",
    "error",
    "A run of no length",
    why="With neither steps nor epochs above 0 the trainer stops, after the models and caches were loaded.",
    fix="Set max_train_steps or num_train_epochs.",
    source="SimpleTuner 4.10.1 helpers/training/trainer.py _recalculate_training_steps",
)
def no_length(subject: Subject) -> Iterator[Hit]:
    """Epochs set to 0 and no steps."""
    if _steps(subject) <= 0 and _epochs(subject) <= 0:
        yield Hit("num_train_epochs", "Neither max_train_steps nor num_train_epochs is above 0.")


@rule(
    "one-epoch-by-default",
    "warning",
    "One epoch, because nothing was said",
    why="num_train_epochs is 1 where neither it nor max_train_steps is written.",
    fix="Write the length that you mean.",
    source=_CHECKS,
)
def one_epoch(subject: Subject) -> Iterator[Hit]:
    """No length at all."""
    if _steps(subject) <= 0 and subject.given("num_train_epochs") is None:
        yield Hit("num_train_epochs", "Each picture will be seen once, then the run is over.")


@rule(
    "no-learning-rate",
    "warning",
    "No learning rate",
    why="learning_rate is 4e-7 where it is not written; SimpleTuner's options name 1e-5 as the least for a LoRA.",
    fix="Write learning_rate; the stable settings of SimpleTuner's SD3 guide have 1e-4.",
    source="SimpleTuner 4.10.1, default of the live parser; documentation/OPTIONS.md and quickstart/SD3.md",
)
def no_learning_rate(subject: Subject) -> Iterator[Hit]:
    """A missing learning rate."""
    if subject.given("learning_rate") is None:
        yield Hit("learning_rate", "The run will train at 4e-7.")


RULES: Final[tuple[Rule, ...]] = (steps_and_epochs, steps_without_epochs, no_length, one_epoch, no_learning_rate)
