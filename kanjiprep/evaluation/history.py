"""What a run's record says beside its pictures: curves, explosions with the rate that they came with, and cost."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Final

from kanjiprep.evaluation.choose import Flag
from kanjiprep.evaluation.judged import Cost, Curves
from kanjiprep.training.running import explosions, view
from kanjiprep.training.running.events import Step
from kanjiprep.training.running.files import Order
from kanjiprep.training.running.phases import Phase
from kanjiprep.training.running.run_state import RunState

NEAR_STEPS: Final = 200
"""So long after an explosion a checkpoint may still show it: half of the usual 400 steps between two of them."""
_POINTS: Final = 1200


def phases(steps: Sequence[Step]) -> tuple[Phase, ...]:
    """The explosions of the gradient (of the loss where no gradient is told), by the guard's rule, in words."""
    has_gradient = any(one.gradient is not None for one in steps)
    values = [one.gradient if has_gradient else one.loss for one in steps]
    norms = [math.nan if value is None else value for value in values]
    found = explosions.phases([one.step for one in steps], norms)
    what = "gradient" if has_gradient else "loss"
    return tuple(Phase(one.start, one.end, _words(one, what, steps)) for one in found)


def flags(step: int, known: Sequence[Phase]) -> tuple[Flag, ...]:
    """What the explosions say against a checkpoint of ``step``."""
    return tuple(Flag("gradient", _against(step, one)) for one in known if _is_near(step, one))


def curves(steps: Sequence[Step]) -> Curves:
    """Loss, gradient and learning rate in at most ``_POINTS`` points.

    Each point is one of a portion of the steps: the one with the highest gradient (the highest loss where no gradient
    is told), so that no explosion is lost; one that is not finite is the highest.
    """
    height = functools.partial(_height, has_gradient=any(one.gradient is not None for one in steps))
    portions = [
        steps[len(steps) * index // _POINTS : len(steps) * (index + 1) // _POINTS] for index in range(_POINTS)
    ]
    picks = [max(portion, key=height) for portion in portions if portion]
    return Curves(
        steps=tuple(one.step for one in picks),
        loss=tuple(one.loss for one in picks),
        gradient=tuple(one.gradient for one in picks),
        rate=tuple(one.learning_rate for one in picks),
    )


def cost(state: RunState, order: Order) -> Cost:
    """Time and money that the run has taken."""
    hours, price = state.spent_s / 3600, order.usd_per_hour
    return Cost(hours, None if price is None else hours * price, order.price_source, view.step_s(state.steps))


def _height(step: Step, *, has_gradient: bool) -> float:
    value = step.gradient if has_gradient else step.loss
    return math.inf if value is None else value


def _is_near(step: int, phase: Phase) -> bool:
    return phase.start <= step and (phase.end is None or step <= phase.end + NEAR_STEPS)


def _against(step: int, phase: Phase) -> str:
    if phase.end is None or step <= phase.end:
        return f"within an explosion: {phase.text}"
    after = step - phase.end
    return f"{after:,} {'step' if after == 1 else 'steps'} after an explosion: {phase.text}"


def _words(phase: explosions.Phase, what: str, steps: Sequence[Step]) -> str:
    times = f"is up to {phase.worst_factor:,.1f} times its usual level"
    level = "is not finite" if phase.has_non_finite else times
    until = "to the end" if phase.end is None else f"to {phase.end:,}"
    return f"the {what} {level} from step {phase.start:,} {until}{_rates(phase, steps)}"


def _rates(phase: explosions.Phase, steps: Sequence[Step]) -> str:
    """The learning rate in it, which is what most likely caused it, against the highest of the run."""
    known = [(one.step, one.learning_rate) for one in steps if one.learning_rate is not None]
    inside = [rate for step, rate in known if phase.start <= step <= (phase.end or step)]
    if not inside:
        return ""
    top = max(rate for _, rate in known)
    band = f"{inside[0]:.3g}" if min(inside) == max(inside) else f"{min(inside):.3g} to {max(inside):.3g}"
    share = f", {max(inside) / top:.0%} of the run's highest" if top > 0 else ""
    return f", at a learning rate of {band}{share}"
