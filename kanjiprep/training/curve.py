"""The learning rate of every step, as the trainer's own schedulers really run it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kanjiprep.training.run_spec import RunSpec

DEFAULT_HALF_PERIOD: Final = 1000
"""What the trainer takes for a cosine with no lr_warmup_steps. Source: custom_schedule.py, class Cosine."""
_GRAIN: Final = 1e9
"""The trainer's own schedulers cut rates down to multiples of 1 / 1e9."""


@dataclass(frozen=True, slots=True)
class Scheduler:
    """A learning-rate schedule in SimpleTuner's own terms.

    Attributes:
        name: Its ``lr_scheduler``.
        total_steps: Its ``max_train_steps``.
        warmup_steps: Its ``lr_warmup_steps``: a climb for some, half a period for others.
        peak: Its ``learning_rate``.
        end: Its ``lr_end``.
        power: Its ``lr_power``.
        gpus: Schedulers step once a GPU, with warmups as much longer.
    """

    name: str
    total_steps: int
    warmup_steps: int
    peak: float
    end: float
    power: float = 1.0
    gpus: int = 1


def scheduler_of(spec: RunSpec, total_steps: int) -> Scheduler:
    """The trainer's schedule for what ``spec`` asks: the same thing, or the nearest that it can do.

    A cosine that falls once is its cosine with a half period as long as the run. It has none with a
    warmup: that becomes a polynomial of power 1.
    """
    schedule = spec.schedule
    name, warmup_steps, power = schedule.shape, schedule.warmup_steps, 1.0
    trainers: str = name
    if name == "cosine" and warmup_steps == 0:
        warmup_steps = total_steps
    elif name == "cosine":
        trainers = "polynomial"
    elif name == "periodic-cosine":
        trainers, warmup_steps = "cosine", schedule.half_period_steps or DEFAULT_HALF_PERIOD
    elif name == "constant" and warmup_steps:
        trainers = "constant_with_warmup"
    elif name == "polynomial":
        power = schedule.power
    return Scheduler(
        trainers,
        total_steps,
        warmup_steps,
        spec.optimizer.learning_rate,
        schedule.end_learning_rate,
        power,
        spec.machine.gpus,
    )


def rates(scheduler: Scheduler) -> list[float]:
    """Learning rates, one more than the run has steps: step n is taken with element n - 1.

    Raises:
        ValueError: For a name that is no scheduler of the trainer's, and where the trainer itself
            refuses: a sine or restarts without warmup steps, a polynomial that ends no lower than it starts.

    Source: SimpleTuner 4.10.1 helpers/training/custom_schedule.py, diffusers optimization.py.
    """
    if scheduler.name not in _SHAPES:
        raise ValueError(f"{scheduler.name!r} is none of {', '.join(_SHAPES)}")
    rate = _SHAPES[scheduler.name](scheduler)
    return [rate(step * scheduler.gpus) for step in range(scheduler.total_steps + 1)]


def returns(scheduler: Scheduler) -> tuple[int, ...]:
    """The steps within the run at which a periodic rate is back at its peak, its start not among them."""
    if scheduler.name not in ("cosine", "sine"):
        return ()
    half = _half_period(scheduler) / scheduler.gpus
    first = 2 * half if scheduler.name == "cosine" else half / 2
    count = math.floor((scheduler.total_steps - first) / (2 * half)) + 1
    return tuple(round(first + index * 2 * half) for index in range(max(0, count)))


Rate = Callable[[int], float]


def _half_period(scheduler: Scheduler) -> int:
    return scheduler.warmup_steps * scheduler.gpus if scheduler.warmup_steps > 0 else DEFAULT_HALF_PERIOD


def _cosine(scheduler: Scheduler) -> Rate:
    half, end, peak = _half_period(scheduler), scheduler.end, scheduler.peak
    return lambda step: _cut(end + (peak - end) * (1 + math.cos(math.pi * -step / half)) / 2)


def _sine(scheduler: Scheduler) -> Rate:
    _refuse_no_period(scheduler)
    half, end, peak = _half_period(scheduler), scheduler.end, scheduler.peak
    return lambda step: _cut(end + (peak - end) * (0.5 * (1 + math.sin(math.pi * step / half))))


def _stuck(scheduler: Scheduler) -> Rate:
    """The trainer's cosine_with_restarts: each of its steps fails, is logged, and changes nothing."""
    _refuse_no_period(scheduler)
    rate = _cut(scheduler.peak)
    return lambda _: rate


def _refuse_no_period(scheduler: Scheduler) -> None:
    if scheduler.warmup_steps <= 0:
        raise ValueError(f"{scheduler.name} needs lr_warmup_steps above 0, as half its period")


def _polynomial(scheduler: Scheduler) -> Rate:
    peak, end, power = scheduler.peak, scheduler.end, scheduler.power
    if end >= peak:
        raise ValueError(f"lr_end {end:g} must be below learning_rate {peak:g}")
    climb = scheduler.warmup_steps * scheduler.gpus
    last = scheduler.total_steps * scheduler.gpus

    def rate(step: int) -> float:
        if step < climb:
            return peak * (step / climb)
        left = 0.0 if step > last else 1 - (step - climb) / max(1, last - climb)
        return (peak - end) * math.pow(left, power) + end

    return rate


def _linear(scheduler: Scheduler) -> Rate:
    climb, last = scheduler.warmup_steps * scheduler.gpus, scheduler.total_steps * scheduler.gpus

    def rate(step: int) -> float:
        if step < climb:
            return scheduler.peak * (step / climb)
        return scheduler.peak * max(0.0, (last - step) / max(1, last - climb))

    return rate


def _constant(scheduler: Scheduler) -> Rate:
    """Constant after a climb, which the trainer gives to plain ``constant`` too if it has warmup steps."""
    peak, climb = scheduler.peak, scheduler.warmup_steps * scheduler.gpus
    return lambda step: peak * (step / climb) if step < climb else peak


_SHAPES: Final[dict[str, Callable[[Scheduler], Rate]]] = {
    "linear": _linear,
    "sine": _sine,
    "cosine": _cosine,
    "cosine_with_restarts": _stuck,
    "polynomial": _polynomial,
    "constant": _constant,
    "constant_with_warmup": _constant,
}

SCHEDULERS: Final = tuple(_SHAPES)
"""Every ``lr_scheduler`` that the trainer offers."""


def _cut(rate: float) -> float:
    return math.floor(rate * _GRAIN) / _GRAIN
