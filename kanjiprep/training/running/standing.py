"""Where a run stands: alive, lost or over, as far as can be seen from outside, and what to do about it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kanjiprep.training.running.files import Pulse
from kanjiprep.training.running.gpu import Gpu
from kanjiprep.training.running.guard import TAKEN_BACK
from kanjiprep.training.running.moments import Moment
from kanjiprep.training.running.run_state import RunState

UNWATCHED, LOST, WAITING, COPY = "unwatched", "lost", "not started", "copy"
_OVER: Final = frozenset({"completed", "stopped", "guard", "limit", "failed"})
CODES: Final = {"completed": 0, "stopped": 130, "guard": 8, "limit": 7, "failed": 6, LOST: 6}
"""Exit codes of commands that wait for a run's end, by its status."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is not in the events, looked up at one moment.

    Attributes:
        now: The moment.
        is_held: Whether a supervisor is there.
        has_trainer: Whether the trainer's process is there.
        is_copy: Whether the folder is a copy of the one in which the run was started.
        is_complete: Whether the trainer says that it is done.
        pulse: The supervisor's last sign of life.
        free_bytes: On the disk.
        gpus: Of this machine.
        planned: Learning rates of this attempt, the first before its first step; empty if not known.
        log: Last lines of the trainer's, of a run that did not end well.
    """

    now: Moment
    is_held: bool
    has_trainer: bool
    is_copy: bool
    is_complete: bool
    pulse: Pulse | None
    free_bytes: int | None
    gpus: tuple[Gpu, ...]
    planned: Sequence[float]
    log: tuple[str, ...]


def status_of(state: RunState, facts: Facts) -> str:
    """What a run is at, by what can be seen of it."""
    ended = state.exit.status if state.exit is not None and state.exit.status in _OVER else ""
    if facts.is_held:
        return _watched(ended, facts.pulse)
    if ended:
        return ended
    if facts.has_trainer:
        return UNWATCHED
    if state.attempt is None:
        return WAITING
    if facts.is_complete:
        return "completed"
    return COPY if facts.is_copy else LOST


def _watched(ended: str, pulse: Pulse | None) -> str:
    """The status by its supervisor, which is there; one that is done with it is gone in a moment."""
    if pulse is None or pulse.status != "over":
        return pulse.status if pulse else "starting"
    return ended or "starting"


def ended_by_its_weights(state: RunState) -> bool:
    """Whether the last attempt ended for what an earlier checkpoint does not have."""
    errors = [one.about for one in state.attempt_alerts if one.severity == "error"]
    is_bad = state.exit is not None and state.exit.status in ("guard", "failed")
    return is_bad and bool(errors) and errors[-1] in TAKEN_BACK


def advice(run: str, status: str, state: RunState, can_roll_back: bool) -> str:
    """What somebody might do next."""
    if status == WAITING and state.unreadable:
        return ""  # nobody knows what has become of it
    again = f"kanjiprep launch-simpletuner {shlex.quote(run)} --resume"
    if can_roll_back and status in ("guard", "failed") and ended_by_its_weights(state):
        return f"go back before it and on at a lower rate with {again} --guard rollback"
    if status == "failed" and not state.steps:
        return "mend that, and launch under another --name"
    return {
        UNWATCHED: f"take it over with {again}, or end it with kanjiprep stop {shlex.quote(run)}",
        COPY: "go on where it is from, or move it back there",
        "limit": f"go on with {again} and a higher --max-hours or --max-usd",
        "guard": f"mend that, then {again}",
        "failed": f"mend that, then {again}",
        "completed": f"judge its checkpoints with kanjiprep score {shlex.quote(run)}",
        **dict.fromkeys((LOST, WAITING, "stopped"), f"go on with {again}"),
    }.get(status, "")
