"""How an attempt ends: a checkpoint first where that helps, then its processes, then the truth about it."""

from __future__ import annotations

import json
import os
import signal
import statistics
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kanjiprep.errors import TrainerError
from kanjiprep.training.running import files, tail, trainer_lines, trainer_reason
from kanjiprep.training.running.events import Attempt, Exit, Status
from kanjiprep.training.running.run_state import RunState

_LEAST_PATIENCE_S: Final = 300.0
_PATIENCE_STEPS: Final = 10
"""A checkpoint is asked for between two steps, and pictures may be painted in between."""
_RECENT: Final = 20
_UNSEEN: Final = "the trainer is gone, and nobody was there to see its exit code"
_TAIL_BYTES: Final = 200_000
_SECRETS: Final = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY", "LAMBDA_API_KEY", "COMET_API_KEY")


@dataclass(frozen=True, slots=True)
class Ending:
    """An attempt that is to end.

    Attributes:
        status: What it will have been.
        why: In words.
        known: Checkpoints that were there before; None to wait for none.
        deadline: When no checkpoint is waited for any longer, on the monotonic clock.
    """

    status: Status
    why: str
    known: frozenset[tuple[str, int]] | None
    deadline: float


def begin(run: Path, state: RunState, why: str, status: Status, *, with_checkpoint: bool) -> Ending:
    """Ask the trainer of ``run`` for a checkpoint, unless it is not wanted or cannot be had."""
    has_begun = state.attempt is not None and state.step > state.attempt.from_step
    if not with_checkpoint or not has_begun:
        return Ending(status, why, None, 0.0)
    try:
        _ask_for_checkpoint(run / files.SIGNAL)
    except (TrainerError, OSError):  # a full disk is a reason to end, and none to end otherwise
        return Ending(status, f"{why}; the trainer could not be asked for a checkpoint", None, 0.0)
    recent = [one.seconds for one in state.steps[-_RECENT:] if one.seconds is not None]
    patience_s = max(_LEAST_PATIENCE_S, _PATIENCE_STEPS * (statistics.median(recent) if recent else 0.0))
    return Ending(status, why, _made(state), time.monotonic() + patience_s)


def _made(state: RunState) -> frozenset[tuple[str, int]]:
    return frozenset((one.path, one.step) for one in state.checkpoints)


def _ask_for_checkpoint(path: Path) -> None:
    """Count one up in the file that the trainer looks at.

    It looks only at a file that is younger than the one that it saw; the clock may have been set back.

    Source: SimpleTuner 4.10.1 train.py, _build_signal_consumer.
    """
    before_ns = path.stat().st_mtime_ns if path.exists() else 0
    try:
        count = int(json.loads(path.read_bytes())["manual_checkpoint"])
    except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError):
        count = 0
    files.replace(path, json.dumps({"manual_checkpoint": count + 1, "manual_validation": 0}).encode())
    at_ns = max(time.time_ns(), before_ns + 1_000_000_000)
    os.utime(path, ns=(at_ns, at_ns))


def is_due(ending: Ending, state: RunState) -> bool:
    """Whether nothing has to be waited for any longer."""
    return ending.known is None or bool(_made(state) - ending.known) or time.monotonic() >= ending.deadline


def reason(ending: Ending, state: RunState) -> str:
    """Why the attempt ended, and what is left of it."""
    new = _made(state) - (ending.known or frozenset())
    if ending.known is not None and not new:
        return f"{ending.why}; the trainer made no further checkpoint in time"
    last = state.checkpoints[-1] if state.checkpoints else None
    return f"{ending.why}; {f'the last checkpoint is of step {last.step:,}' if last else 'there is no checkpoint'}"


def judge(run: Path, state: RunState, code: int | None, ending: Ending | None) -> Exit:
    """How an attempt ended whose process went by itself: done only if the trainer itself says so.

    Args:
        run: The run folder.
        state: With all events of the attempt.
        code: Of the process; None if nobody was there to see it.
        ending: What was asked of it, if anything.
    """
    attempt = state.attempt
    if attempt is not None and code in (0, None) and is_complete(run, attempt):
        return Exit("completed", code, "", state.step)
    if ending is not None:
        return Exit(ending.status, code, reason(ending, state), state.step)
    return Exit("failed", code, _reason(run, attempt.log_from if attempt else 0, code), state.step)


def is_complete(run: Path, attempt: Attempt) -> bool:
    """Whether the trainer says that it took every step and saved what it made.

    Source: SimpleTuner 4.10.1 local_metrics.py: ``finish`` is called after the last file is saved.
    """
    try:
        told = json.loads((run / attempt.output / files.MANIFEST).read_bytes())
        return told["status"] == "completed" and attempt.base_step + int(told["last_step"]) >= attempt.total_steps
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False


def _reason(run: Path, log_from: int, code: int | None) -> str:
    said = trainer_reason.reason(log_tail(run, log_from), secrets())
    if code is not None and code < 0:
        known = {one.value: one.name for one in signal.Signals}
        return f"the trainer was ended by {known.get(-code, f'signal {-code}')}" + (f"; last: {said}" if said else "")
    if code == 0:
        return "the trainer left with code 0 before its last step" + (f"; last: {said}" if said else "")
    return said or (f"the trainer left with code {code}, without a word" if code else _UNSEEN)


def log_tail(run: Path, log_from: int = 0) -> str:
    """The last part of the trainer's log, of one attempt alone."""
    path = run / files.LOG
    count = min(_TAIL_BYTES, max(0, tail.size(path) - log_from))
    return tail.last_bytes(path, count).decode("utf-8", "replace")


def last_lines(run: Path, count: int, log_from: int) -> list[str]:
    """The last lines of the trainer's log that say something, of one attempt alone, without secrets."""
    said = trainer_lines.last_lines(log_tail(run, log_from), 2 * count, secrets())
    return [line for line in said if line.strip()][-count:]


def secrets() -> Collection[str]:
    """What must not be shown of our environment."""
    return [value for name in _SECRETS if (value := os.environ.get(name))]
