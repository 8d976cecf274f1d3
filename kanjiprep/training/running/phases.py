"""Phases in which the guard saw a run explode, as far as their steps still stand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from kanjiprep.training.running import guard
from kanjiprep.training.running.events import Alert, Attempt, Event


@dataclass(frozen=True, slots=True)
class Phase:
    """An explosion of the gradient, or of the loss where no gradient is told.

    Attributes:
        start: Its first step.
        end: Its last one; None if it was never told to be over.
        text: In words.
    """

    start: int
    end: int | None
    text: str


def phases(events: Iterable[Event]) -> tuple[Phase, ...]:
    """Those of a run with these ``events``; what a resume or a rollback has undone is not among them."""
    found: list[Phase] = []
    for event in events:
        if isinstance(event, Attempt) and event.why != "adopt":
            found = [_cut(one, event.from_step) for one in found if one.start <= event.from_step]
        elif isinstance(event, Alert) and event.about == guard.EXPLOSION:
            found = _told(found, event)
    return tuple(found)


def _cut(phase: Phase, last: int) -> Phase:
    """``phase`` as far as step ``last``; whoever goes on from there tells it again if it goes on."""
    return replace(phase, end=last if phase.end is None else min(phase.end, last))


def _told(found: list[Phase], alert: Alert) -> list[Phase]:
    last = found[-1] if found else None
    if alert.severity == "error":
        if last is not None and last.start == alert.since_step:
            return [*found[:-1], replace(last, end=None)]
        return [*found, Phase(alert.since_step, None, alert.text)]
    if last is not None and last.end is None:
        return [*found[:-1], replace(last, end=alert.step)]
    return found
