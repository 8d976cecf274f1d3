"""What happens in a run: a closed list of kinds, one line of JSON each."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, TypeVar, cast

from kanjiprep import spec as tables
from kanjiprep.training.running import moments
from kanjiprep.training.running.moments import Moment
from kanjiprep.training.running.processes import Identity

T = TypeVar("T")
Why = Literal["start", "resume", "rollback", "adopt"]
Severity = Literal["note", "warning", "error"]
Status = Literal["completed", "stopped", "guard", "limit", "failed", "rolled back"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A process of the trainer begins, or is taken over.

    Attributes:
        number: From 1.
        why: ``rollback`` starts with an earlier checkpoint's weights at a lower rate; ``adopt`` is a
            process that went on after its supervisor was gone.
        base_step: Steps of the run that were done before the trainer's own count begins.
        from_step: The last step of the run that it does not do again.
        total_steps: Of the whole run.
        output: The trainer's output folder, inside the run folder.
        trainer: Its process.
        metrics_from: Bytes of training_metrics.jsonl that are of earlier attempts.
        log_from: The same of trainer.log.
        from_checkpoint: Whose weights it starts with, inside the run folder; empty for none.
        learning_rate: At its peak.
    """

    kind: ClassVar[str] = "attempt"
    number: int
    why: Why
    base_step: int
    from_step: int
    total_steps: int
    output: str
    trainer: Identity
    metrics_from: int
    log_from: int
    from_checkpoint: str
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Stage:
    """The trainer is at something else, or further with it.

    Attributes:
        stage: In the user's words.
        done: Units finished; None if it does not tell.
        total: Units in all; None if it does not tell.
    """

    kind: ClassVar[str] = "stage"
    stage: str
    done: int | None
    total: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """An optimizer step is done.

    Attributes:
        step: Of the run.
        loss: None if it was not finite.
        gradient: Norm, or greatest absolute value if that is what is clipped; None if it was not finite.
        learning_rate: After the step; None if it was not finite.
        seconds: It took; None if the trainer does not say.
        epoch: From 1; None if the trainer does not say.
    """

    kind: ClassVar[str] = "step"
    step: int
    loss: float | None
    gradient: float | None
    learning_rate: float | None
    seconds: float | None
    epoch: float | None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint is whole.

    Attributes:
        step: Of the run.
        path: Inside the run folder.
        bytes: Of all its files.
    """

    kind: ClassVar[str] = "checkpoint"
    step: int
    path: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Validation:
    """A validation picture is painted.

    Attributes:
        step: Of the run.
        prompt: Its short name.
        path: Inside the run folder.
        faults: What is plainly wrong with it.
    """

    kind: ClassVar[str] = "validation"
    step: int
    prompt: str
    path: str
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that somebody should know.

    Attributes:
        about: A verdict of the guard, ``cache`` or ``supervisor``.
        severity: An ``error`` ends the attempt if the guard may act.
        step: Of the run, at that moment.
        text: In words.
        since_step: First step of the trouble; ``step`` where it has no length.
    """

    kind: ClassVar[str] = "alert"
    about: str
    severity: Severity
    step: int
    text: str
    since_step: int


@dataclass(frozen=True, slots=True)
class Exit:
    """The attempt is over.

    Attributes:
        status: ``completed`` only if the trainer itself says so.
        code: Of the process; negative for a signal, None if nobody was there to see it.
        reason: In one line.
        step: Of the run, the last one done.
    """

    kind: ClassVar[str] = "exit"
    status: Status
    code: int | None
    reason: str
    step: int


Event = Attempt | Stage | Step | Checkpoint | Validation | Alert | Exit
KINDS: Final[Mapping[str, type[Event]]] = {
    kind.kind: kind for kind in (Attempt, Stage, Step, Checkpoint, Validation, Alert, Exit)
}


@dataclass(frozen=True, slots=True)
class Entry:
    """An event with its moment."""

    moment: Moment
    event: Event


def line(entry: Entry) -> bytes:
    """``entry`` as a line of events.jsonl."""
    moment = dataclasses.asdict(entry.moment)
    table = {"kind": entry.event.kind, **moment, **dataclasses.asdict(entry.event)}
    return (json.dumps(table, ensure_ascii=False, allow_nan=False) + "\n").encode()


def entry(data: bytes) -> Entry | None:
    """The entry that a line of events.jsonl holds; None for a line that is torn or of no known kind."""
    try:
        table = json.loads(data)
        kind = KINDS[table.pop("kind")]
        moment = {name: table.pop(name) for name in ("at", "up_s", "boot")}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    if not moments.is_time(moment["at"]) or not all(map(_is_sane, (moment["up_s"], *table.values()))):
        return None
    when, what = _read(Moment, moment), _read(kind, table)
    is_inside = not isinstance(what, Attempt) or _is_inside(what.output)
    return Entry(when, what) if when is not None and what is not None and is_inside else None


def _is_sane(value: object) -> bool:
    """Whether ``value`` is no number, or one that a run can have."""
    return not isinstance(value, int | float) or -_MOST <= value <= _MOST


def _is_inside(output: str) -> bool:
    """Whether ``output`` can be a folder inside a run folder, as we write it."""
    return re.fullmatch(r"(attempt-\d{1,6}/)?output", output) is not None


_MOST: Final = 1e15
_NUMBER: Final = (float, int, type(None))
_PLAIN: Final[Mapping[type, Mapping[str, tuple[type, ...]]]] = {
    Moment: {"at": (str,), "up_s": (float, int), "boot": (str,)},
    Step: {"step": (int,)} | dict.fromkeys(("loss", "gradient", "learning_rate", "seconds", "epoch"), _NUMBER),
}
"""What nearly all lines are made of, read ten times as fast as by the general way."""


def _read(kind: type[T], table: Mapping[str, object]) -> T | None:
    plain = _PLAIN.get(kind)
    if plain and plain.keys() == table.keys() and all(type(table[name]) in plain[name] for name in plain):
        return cast(Callable[..., T], kind)(**table)
    value, problems = tables.read(kind, table)
    return None if problems else value
