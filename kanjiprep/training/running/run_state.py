"""Where a run stands: its events, folded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kanjiprep.training.running import moments
from kanjiprep.training.running.events import (
    Alert,
    Attempt,
    Checkpoint,
    Entry,
    Exit,
    Stage,
    Step,
    Validation,
)
from kanjiprep.training.running.moments import Moment


@dataclass(frozen=True, slots=True)
class RunState:
    """A run at one moment.

    What was done and then undone by a resume or a rollback is not in it; the events have it all.

    Attributes:
        attempt: The last one; None before the first.
        began: When the first one did.
        stage: What the trainer is at.
        steps: Ascending, each once.
        checkpoints: Whole ones, ascending.
        validations: Pictures, by step.
        alerts: In the order in which they came.
        attempt_alerts: Those of the last attempt.
        exit: How the last attempt ended; None while it goes on.
        rollbacks: Attempts that began as one.
        pace_s: Seconds a step of this attempt, with all that is done between steps; None before there are two.
        spent_s: Seconds that a trainer was running, up to ``seen``.
        seen: Moment of the last event.
        unreadable: Lines that could not be understood.
    """

    attempt: Attempt | None
    began: Moment | None
    stage: Stage | None
    steps: tuple[Step, ...]
    checkpoints: tuple[Checkpoint, ...]
    validations: tuple[Validation, ...]
    alerts: tuple[Alert, ...]
    attempt_alerts: tuple[Alert, ...]
    exit: Exit | None
    rollbacks: int
    pace_s: float | None
    spent_s: float
    seen: Moment | None
    unreadable: int

    @property
    def step(self) -> int:
        """The last step that is done."""
        return self.steps[-1].step if self.steps else self.attempt.from_step if self.attempt else 0


_LEAST_STEPS: Final = 2
"""The first step of an attempt takes many times as long as the others."""


class Fold:
    """Takes events in their order and tells the state that they add up to."""

    def __init__(self) -> None:
        self._attempt: Attempt | None = None
        self._began: Moment | None = None
        self._attempt_began: Moment | None = None
        self._stage: Stage | None = None
        self._steps: list[Step] = []
        self._checkpoints: list[Checkpoint] = []
        self._validations: list[Validation] = []
        self._alerts: list[Alert] = []
        self._alerts_before = 0
        self._exit: Exit | None = None
        self._rollbacks = 0
        self._first: tuple[int, Moment] | None = None
        self._latest: tuple[int, Moment] | None = None
        self._spent_before_s = 0.0
        self._seen: Moment | None = None
        self._unreadable = 0

    def add(self, entries: Iterable[Entry | None]) -> None:
        """Take further entries; None stands for a line that could not be understood."""
        for entry in entries:
            if entry is None:
                self._unreadable += 1
            else:
                self._take(entry)
                self._seen = entry.moment

    def state(self) -> RunState:
        """What all of them add up to."""
        return RunState(
            attempt=self._attempt,
            began=self._began,
            stage=self._stage,
            steps=tuple(self._steps),
            checkpoints=tuple(self._checkpoints),
            validations=tuple(self._validations),
            alerts=tuple(self._alerts),
            attempt_alerts=tuple(self._alerts[self._alerts_before :]),
            exit=self._exit,
            rollbacks=self._rollbacks,
            pace_s=self._pace_s(),
            spent_s=self._spent_before_s + self._running_s(),
            seen=self._seen,
            unreadable=self._unreadable,
        )

    def _pace_s(self) -> float | None:
        if self._first is None or self._latest is None:
            return None
        (first, first_at), (latest, latest_at) = self._first, self._latest
        return moments.seconds(first_at, latest_at) / (latest - first) if latest - first >= _LEAST_STEPS else None

    def _running_s(self) -> float:
        if self._exit is not None or self._attempt_began is None or self._seen is None:
            return 0.0
        return moments.seconds(self._attempt_began, self._seen)

    def _take(self, entry: Entry) -> None:
        match entry.event:
            case Attempt() as attempt:
                self._begin(attempt, entry.moment)
            case Step() as step:
                self._undo(step.step - 1)
                self._steps.append(step)
                self._latest = (step.step, entry.moment)
                self._first = self._first or self._latest
            case Checkpoint() as checkpoint:
                self._checkpoints = [one for one in self._checkpoints if one.step < checkpoint.step] + [checkpoint]
            case Validation() as validation:
                self._validations.append(validation)
            case Stage() as stage:
                self._stage = stage
            case Alert() as alert:
                self._alerts.append(alert)
            case Exit() as exit_:
                self._end(exit_, entry.moment)

    def _begin(self, attempt: Attempt, moment: Moment) -> None:
        self._began = self._began or moment
        if attempt.why != "adopt":
            self._spent_before_s += self._running_s()
            self._attempt_began, self._stage, self._first, self._latest = moment, None, None, None
            self._rollbacks += attempt.why == "rollback"
            self._alerts_before = len(self._alerts)
            self._undo(attempt.from_step)
            self._checkpoints = [one for one in self._checkpoints if one.step <= attempt.from_step]
            self._validations = [one for one in self._validations if one.step <= attempt.from_step]
        elif self._exit is not None:  # what it ran before its end was told is counted
            self._attempt_began = moment
        self._attempt, self._exit = attempt, None

    def _end(self, exit_: Exit, moment: Moment) -> None:
        if self._attempt_began is not None and self._exit is None:
            self._spent_before_s += moments.seconds(self._attempt_began, moment)
        self._exit = exit_

    def _undo(self, last: int) -> None:
        """Forget the steps after ``last``."""
        while self._steps and self._steps[-1].step > last:
            self._steps.pop()
