"""What somebody who looks at a run should see, computed from its state."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kanjiprep.training.running import moments, standing
from kanjiprep.training.running.events import Alert, Checkpoint, Step, Validation
from kanjiprep.training.running.files import Order
from kanjiprep.training.running.gpu import Gpu
from kanjiprep.training.running.run_state import RunState
from kanjiprep.training.running.sparkline import portions
from kanjiprep.training.running.standing import CODES, Facts

_SMOOTHING: Final = 0.05
"""Weight of the newest step in a smoothed series."""
_RECENT: Final = 50
_ALERTS: Final = 5
_POINTS: Final = 240


@dataclass(frozen=True, slots=True)
class Series:
    """A number over the steps.

    Attributes:
        last: At the last step; None if it was not finite.
        smooth: An exponential mean of the finite ones.
        points: The whole run in some two hundred portions, each by its mean; None where one was not finite.
    """

    last: float | None
    smooth: float | None
    points: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Money:
    """Time and dollars, spent and to come.

    Attributes:
        spent_h: Of a trainer running.
        left_h: To the end, at the present pace; None if not known.
        usd_per_hour: Price of the machine; None if it has none.
        price_source: Whose price that is.
        spent_usd: By that price.
        left_usd: By that price.
        max_hours: The limit.
        max_usd: The limit.
    """

    spent_h: float
    left_h: float | None
    usd_per_hour: float | None
    price_source: str
    spent_usd: float | None
    left_usd: float | None
    max_hours: float | None
    max_usd: float | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        stage: What the trainer is at.
        stage_done: Units of it.
        stage_total: Units of it.
        step: The last one done.
        total_steps: Of the run.
        epoch: From 1.
        epochs: Of the run.
        step_s: Median seconds of the latest steps.
        eta_s: To the end; None if it is not known, or the run is over.
    """

    stage: str
    stage_done: int | None
    stage_total: int | None
    step: int
    total_steps: int
    epoch: float | None
    epochs: float
    step_s: float | None
    eta_s: float | None


@dataclass(frozen=True, slots=True)
class Rate:
    """The learning rate.

    Attributes:
        now: After the last step.
        planned: Of this attempt, in some two hundred points.
        share: How much of that curve is behind.
    """

    now: float | None
    planned: tuple[float, ...]
    share: float


@dataclass(frozen=True, slots=True)
class Made:
    """What a run has made, and the room for more.

    Attributes:
        checkpoint: The last one.
        checkpoints: How many were made; the trainer may have removed the oldest.
        checkpoint_bytes: Of the last one, or as estimated.
        validation: The last picture.
        free_bytes: On the disk.
    """

    checkpoint: Checkpoint | None
    checkpoints: int
    checkpoint_bytes: int
    validation: Validation | None
    free_bytes: int | None


@dataclass(frozen=True, slots=True)
class View:
    """A run as it is shown.

    Attributes:
        run: The run folder.
        status: ``not started``, ``starting``, ``running``, ``stopping``, ``unwatched`` (the trainer is there and
            its supervisor is not), ``lost`` (neither is, and nobody saw the end), ``copy`` (of a run that went on
            when it was copied), or how it ended.
        reason: Why it ended.
        exit_code: Of a command that waited for the end; None while it goes on.
        attempt: Number of the attempt.
        why: Why it began.
        rollbacks: How many there were.
        progress: How far it is.
        loss: Over the steps.
        gradient: Over the steps.
        rate: The learning rate.
        money: Time and dollars.
        made: Checkpoints and pictures.
        alerts: The latest.
        alert_count: Of all.
        beat_age_s: Since the supervisor's last sign of life.
        gpus: Of this machine.
        log: Last lines of the trainer's, if it did not end well.
        unreadable: Lines of the record that could not be understood.
        advice: What to do next.
    """

    run: str
    status: str
    reason: str
    exit_code: int | None
    attempt: int
    why: str
    rollbacks: int
    progress: Progress
    loss: Series
    gradient: Series
    rate: Rate
    money: Money
    made: Made
    alerts: tuple[Alert, ...]
    alert_count: int
    beat_age_s: float | None
    gpus: tuple[Gpu, ...]
    log: tuple[str, ...]
    unreadable: int
    advice: str


def view(run: str, state: RunState, order: Order, facts: Facts) -> View:
    """``run`` as it is shown."""
    status, attempt = standing.status_of(state, facts), state.attempt
    goes_on = status not in CODES and status not in (standing.COPY, "stopping")
    left_s = eta_s(state, order) if goes_on else None
    return View(
        run=run,
        status=status,
        reason=state.exit.reason if state.exit else "",
        exit_code=CODES.get(status),
        attempt=attempt.number if attempt else 0,
        why=attempt.why if attempt else "",
        rollbacks=state.rollbacks,
        progress=progress(state, order, left_s),
        loss=series([one.loss for one in state.steps]),
        gradient=series([one.gradient for one in state.steps]),
        rate=rate(state, facts.planned),
        money=money(state, order, facts, left_s),
        made=made(state, order, facts.free_bytes),
        alerts=_telling(state.alerts),
        alert_count=len(state.alerts),
        beat_age_s=moments.seconds(facts.pulse.beat, facts.now) if facts.pulse else None,
        gpus=facts.gpus,
        log=facts.log,
        unreadable=state.unreadable,
        advice=standing.advice(run, status, state, order.can_roll_back),
    )


def _telling(alerts: Sequence[Alert]) -> tuple[Alert, ...]:
    """The latest of ``alerts`` in their order; notes only as far as there is room beside the others."""
    grave = [one for one in alerts if one.severity != "note"][-_ALERTS:]
    notes = [one for one in alerts if one.severity == "note"][len(grave) - _ALERTS :] if len(grave) < _ALERTS else []
    return tuple(one for one in alerts if one in grave or one in notes)[-_ALERTS:]


def progress(state: RunState, order: Order, left_s: float | None) -> Progress:
    """How far the run is."""
    stage = state.stage
    return Progress(
        stage=stage.stage if stage else "",
        stage_done=stage.done if stage else None,
        stage_total=stage.total if stage else None,
        step=state.step,
        total_steps=order.total_steps,
        epoch=state.steps[-1].epoch if state.steps else None,
        epochs=order.total_steps / order.steps_per_epoch,
        step_s=step_s(state.steps),
        eta_s=left_s,
    )


def rate(state: RunState, planned: Sequence[float]) -> Rate:
    """The learning rate, and the curve that it follows."""
    base = state.attempt.base_step if state.attempt else 0
    share = min(1.0, (state.step - base) / (len(planned) - 1)) if len(planned) > 1 else 0.0
    return Rate(state.steps[-1].learning_rate if state.steps else None, thinned(planned), share)


def made(state: RunState, order: Order, free_bytes: int | None) -> Made:
    """Checkpoints and pictures."""
    last = state.checkpoints[-1] if state.checkpoints else None
    picture = state.validations[-1] if state.validations else None
    return Made(last, len(state.checkpoints), last.bytes if last else order.checkpoint_bytes, picture, free_bytes)


def step_s(steps: Sequence[Step]) -> float | None:
    """Median seconds of the latest steps; the first of an attempt, which warms up, counts as one of many."""
    recent = [one.seconds for one in steps[-_RECENT:] if one.seconds is not None]
    return statistics.median(recent) if recent else None


def eta_s(state: RunState, order: Order) -> float | None:
    """Seconds to the end at the pace so far, pictures and checkpoints included; None if it is not known yet."""
    return None if state.pace_s is None else state.pace_s * max(0, order.total_steps - state.step)


def series(values: Sequence[float | None]) -> Series:
    """``values`` as they are shown."""
    smooth = None
    for value in values:
        if value is not None:
            smooth = value if smooth is None else smooth + _SMOOTHING * (value - smooth)
    return Series(values[-1] if values else None, smooth, _portioned(values))


def _portioned(values: Sequence[float | None]) -> tuple[float | None, ...]:
    known = [([value for value in part if value is not None], part) for part in portions(values, _POINTS)]
    return tuple(sum(some) / len(some) if len(some) == len(part) else None for some, part in known)


def thinned(rates: Sequence[float]) -> tuple[float, ...]:
    """Some two hundred of ``rates``, the first and the last among them."""
    picks = sorted({round(index * (len(rates) - 1) / (_POINTS - 1)) for index in range(_POINTS)}) if rates else []
    return tuple(rates[pick] for pick in picks)


def money(state: RunState, order: Order, facts: Facts, left_s: float | None) -> Money:
    """Time and dollars, spent and to come."""
    is_on = facts.has_trainer and state.exit is None and state.seen is not None
    spent_s = state.spent_s + (moments.seconds(state.seen, facts.now) if is_on and state.seen else 0.0)
    spent_h, left_h, price = spent_s / 3600, None if left_s is None else left_s / 3600, order.usd_per_hour
    return Money(
        spent_h=spent_h,
        left_h=left_h,
        usd_per_hour=price,
        price_source=order.price_source,
        spent_usd=None if price is None else spent_h * price,
        left_usd=None if price is None or left_h is None else left_h * price,
        max_hours=order.guard.max_hours,
        max_usd=order.guard.max_usd,
    )
