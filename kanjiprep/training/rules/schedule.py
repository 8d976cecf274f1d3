"""Learning-rate schedules that do something else than their names say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kanjiprep.training import curve
from kanjiprep.training.curve import Scheduler
from kanjiprep.training.rules.rule import Hit, Rule, rule
from kanjiprep.training.rules.subject import Subject, steps_in_words

_CLASSES: Final = "SimpleTuner 4.10.1 helpers/training/custom_schedule.py, run"
_COSINE: Final = ("cosine", "cosine_with_warmup")
_CLIMBING: Final = ("linear", "polynomial", "constant", "constant_with_warmup")


def _name(subject: Subject) -> str:
    """The scheduler that really steers the rate; empty where the optimizer has its own."""
    return "" if subject.text("optimizer").startswith("adamw_schedulefree") else subject.text("lr_scheduler")


def _peak(subject: Subject) -> float:
    return subject.number("learning_rate") or 0.0


def _end(subject: Subject) -> float:
    return subject.number("lr_end") or 0.0


def _half_period(subject: Subject) -> float:
    warmup = subject.whole("lr_warmup_steps")
    return warmup if warmup > 0 else curve.DEFAULT_HALF_PERIOD / max(1, subject.context.gpus)


def _returns(subject: Subject, name: str, total: int) -> tuple[int, ...]:
    scheduler = Scheduler(
        name,
        total,
        subject.whole("lr_warmup_steps"),
        _peak(subject),
        _end(subject),
        gpus=max(1, subject.context.gpus),
    )
    return curve.returns(scheduler)


@rule(
    "cosine-returns",
    "warning",
    "A cosine that comes back to its peak",
    why="SimpleTuner's cosine swings between the peak and lr_end for ever; lr_warmup_steps is half its period (1000 "
    "if it is 0), max_train_steps plays no part, and there is no warmup.",
    fix="Write lr_warmup_steps equal to the steps of the whole run for one fall, or use polynomial for a warmup too.",
    source=_CLASSES,
)
def cosine_returns(subject: Subject) -> Iterator[Hit]:
    """A cosine whose half period is shorter than the run."""
    if _name(subject) not in _COSINE:
        return
    half, total = _half_period(subject), subject.total_steps
    if total is None:
        yield Hit("lr_warmup_steps", f"Past step {half:,.0f} the learning rate climbs back to {_peak(subject):g}.")
    elif half < total:
        yield Hit("lr_warmup_steps", _swings(subject, half, total))


def _swings(subject: Subject, half: float, total: int) -> str:
    back = _returns(subject, "cosine", total)
    start = f"The learning rate is down at {_end(subject):g} at step {half:,.0f}"
    if not back:
        return f"{start} and climbs again for the {total - half:,.0f} steps that are left."
    times = "once" if len(back) == 1 else f"{len(back)} times"
    return f"{start} and back at {_peak(subject):g} {times} in {total:,} steps: at step {steps_in_words(back)}."


@rule(
    "cosine-hardly-falls",
    "note",
    "A cosine that ends before it has fallen",
    why="The cosine reaches lr_end only after its half period, which is lr_warmup_steps, or 1000 if that is 0.",
    fix="Write lr_warmup_steps equal to the steps of the whole run.",
    source=_CLASSES,
)
def cosine_hardly_falls(subject: Subject) -> Iterator[Hit]:
    """A cosine whose half period is twice the run or more."""
    half, total = _half_period(subject), subject.total_steps
    if _name(subject) not in _COSINE or total is None or half < 2 * total:
        return
    last = curve.rates(Scheduler("cosine", total, round(half * subject.context.gpus), _peak(subject), _end(subject)))[
        -1
    ]
    yield Hit(
        "lr_warmup_steps",
        f"After all {total:,} steps the learning rate is still {last:g} of {_peak(subject):g}, "
        f"with a half period of {half:,.0f} steps.",
    )


@rule(
    "cosine-with-warmup-has-none",
    "error",
    "cosine_with_warmup is the cosine without one",
    why="SimpleTuner takes cosine_with_warmup for another name of cosine: it starts at its peak and falls.",
    fix="Use polynomial, whose lr_warmup_steps are a warmup.",
    source="SimpleTuner 4.10.1 helpers/configuration/cli_utils.py normalize_lr_scheduler_value, run",
)
def cosine_alias(subject: Subject) -> Iterator[Hit]:
    """The alias, by name."""
    if _name(subject) == "cosine_with_warmup":
        yield Hit("lr_scheduler", f"The first step is taken at the full {_peak(subject):g}, without a warmup.")


@rule(
    "sine-never-rests",
    "warning",
    "A sine that swings for ever",
    why="SimpleTuner's sine starts half way up, has its period in lr_warmup_steps (half of it) and never ends.",
    fix="Use polynomial for a rate that climbs once and then falls to lr_end.",
    source=_CLASSES,
)
def sine_never_rests(subject: Subject) -> Iterator[Hit]:
    """Any sine with a period."""
    warmup = subject.whole("lr_warmup_steps")
    if _name(subject) != "sine" or warmup <= 0:
        return
    total = subject.total_steps
    start = f"The learning rate starts between {_end(subject):g} and {_peak(subject):g} and swings with a period of"
    peaks = _returns(subject, "sine", total) if total else ()
    where = f", at its peak at step {steps_in_words(peaks)}" if peaks else ""
    yield Hit("lr_scheduler", f"{start} {2 * warmup:,} steps{where}.")


@rule(
    "schedule-needs-warmup",
    "error",
    "A schedule that cannot start without lr_warmup_steps",
    why="The sine and the cosine with restarts take their period from lr_warmup_steps and refuse 0 at the start.",
    fix="Use polynomial or constant_with_warmup.",
    source=_CLASSES,
)
def needs_warmup(subject: Subject) -> Iterator[Hit]:
    """A sine or restarts with a period of nothing."""
    warmup = subject.whole("lr_warmup_steps")
    if _name(subject) in ("sine", "cosine_with_restarts") and warmup <= 0:
        yield Hit("lr_warmup_steps", f"{_name(subject)} with lr_warmup_steps {warmup} stops with a ValueError.")


@rule(
    "restarts-are-constant",
    "error",
    "A cosine with restarts that never moves",
    why="Every step of this scheduler is called with an argument that it does not know; the TypeError is logged and "
    "swallowed, and the rate stays where it began.",
    fix="Use polynomial, or constant if that is what you want.",
    source="SimpleTuner 4.10.1 helpers/training/trainer.py (extra_lr_scheduler_kwargs) and custom_schedule.py, run",
)
def restarts(subject: Subject) -> Iterator[Hit]:
    """Restarts that can at least be built."""
    if _name(subject) == "cosine_with_restarts" and subject.whole("lr_warmup_steps") > 0:
        yield Hit("lr_scheduler", f"The learning rate stays at {_peak(subject):g} from the first step to the last.")


@rule(
    "end-not-below-start",
    "error",
    "A polynomial that ends no lower than it starts",
    why="The polynomial schedule refuses an lr_end that is not below learning_rate; both default to 4e-7.",
    fix="Write an lr_end below learning_rate.",
    source=_CLASSES,
)
def end_not_below_start(subject: Subject) -> Iterator[Hit]:
    """A polynomial with lr_end at or above learning_rate."""
    if _name(subject) == "polynomial" and _end(subject) >= _peak(subject):
        yield Hit("lr_end", f"lr_end {_end(subject):g} is not below learning_rate {_peak(subject):g}: a ValueError.")


@rule(
    "swing-upside-down",
    "warning",
    "A cosine or sine that rises where it should fall",
    why="lr_end is the low point of the swing; above learning_rate it becomes the high one.",
    fix="Write an lr_end below learning_rate.",
    source=_CLASSES,
)
def upside_down(subject: Subject) -> Iterator[Hit]:
    """A swing whose lr_end is above learning_rate."""
    if _name(subject) in (*_COSINE, "sine") and _end(subject) > _peak(subject):
        yield Hit("lr_end", f"lr_end {_end(subject):g} is above learning_rate {_peak(subject):g}.")


@rule(
    "linear-ignores-end",
    "note",
    "A linear schedule that falls to 0",
    why="The linear schedule is the plain one of diffusers, which knows no lr_end.",
    fix="Use polynomial with lr_power 1 for a straight line that ends at lr_end.",
    source=_CLASSES,
)
def linear_ignores_end(subject: Subject) -> Iterator[Hit]:
    """A linear schedule with an lr_end of its own."""
    if _name(subject) == "linear" and subject.given("lr_end") is not None and _end(subject) > 0:
        yield Hit("lr_end", f"The learning rate ends at 0, not at {_end(subject):g}.")


@rule(
    "warmup-outlasts-run",
    "warning",
    "A warmup as long as the run",
    why="The rate climbs from 0 to learning_rate over lr_warmup_steps and only then holds or falls.",
    fix="Make lr_warmup_steps a small part of the run: a tenth is common.",
    source=_CLASSES,
)
def warmup_outlasts_run(subject: Subject) -> Iterator[Hit]:
    """A climbing schedule that has not arrived when the run ends."""
    warmup, total = subject.whole("lr_warmup_steps"), subject.total_steps
    if _name(subject) not in _CLIMBING or total is None or warmup < total:
        return
    reached = _peak(subject) * total / warmup
    yield Hit("lr_warmup_steps", f"{warmup:,} steps of warmup in a run of {total:,}: the rate gets to {reached:g}.")


@rule(
    "schedule-unused",
    "note",
    "A schedule that the optimizer overrides",
    why="Schedule-free optimizers steer the rate themselves, and SimpleTuner replaces the scheduler by a dummy.",
    fix="Drop lr_scheduler and lr_warmup_steps, or choose another optimizer.",
    source="SimpleTuner 4.10.1 helpers/training/optimizer_param.py is_lr_scheduler_disabled",
)
def schedule_unused(subject: Subject) -> Iterator[Hit]:
    """A scheduler that moves beside a schedule-free optimizer."""
    scheduler = str(subject.given("lr_scheduler") or "")
    if _name(subject) == "" and scheduler not in ("", "constant"):
        yield Hit("lr_scheduler", f"{scheduler} has no effect with {subject.text('optimizer')}.")


RULES: Final[tuple[Rule, ...]] = (
    cosine_returns,
    cosine_hardly_falls,
    cosine_alias,
    sine_never_rests,
    needs_warmup,
    restarts,
    end_not_below_start,
    upside_down,
    linear_ignores_end,
    warmup_outlasts_run,
    schedule_unused,
)
