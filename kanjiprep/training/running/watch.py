"""One attempt under watch, from its first sign of life to its end."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import psutil

from kanjiprep.training.running import ending, guard, moments, processes, trainer_reason
from kanjiprep.training.running.ending import Ending
from kanjiprep.training.running.events import Alert, Event, Exit, Status, Step, Validation
from kanjiprep.training.running.files import Order
from kanjiprep.training.running.guard import Guard, Surroundings
from kanjiprep.training.running.observe import Observer
from kanjiprep.training.running.processes import Identity
from kanjiprep.training.running.record import Record
from kanjiprep.training.running.run_state import RunState

_NO_CHECKPOINT: Final = frozenset({guard.DISK, guard.STALL})
"""Troubles in which there is no room for one, or nobody who could make it."""
_SETTLE_S: Final = 5.0
_PATIENCE_S: Final = 10.0
"""A trainer that is told to end has so long before it is killed; it was seen to end within 0.2 s."""
_MISSING_TURNS: Final = 5
"""A run folder that is without its order for so many looks was removed or moved."""


@dataclass(frozen=True, slots=True)
class Process:
    """The trainer's process, ours or taken over.

    Attributes:
        identity: Which one.
        own: To be waited for; None if somebody else started it.
    """

    identity: Identity
    own: subprocess.Popen[bytes] | None

    def gone(self, run: str) -> tuple[bool, int | None]:
        """Whether it is, and its exit code if that can be known."""
        if self.own is None:
            return not processes.is_alive(self.identity, run), None
        code = self.own.poll()
        return code is not None, code

    def bury(self) -> int | None:
        """Its exit code, if it is dead and ours."""
        return self.own.poll() if self.own is not None else None


class Watch:
    """An attempt and all that is known of it.

    Args:
        run: The run folder.
        order: How it is watched.
        record: Where all that happens is put; the attempt stands there already.
        process: Of the trainer.
    """

    def __init__(self, run: Path, order: Order, record: Record, process: Process) -> None:
        self._run, self._order, self._record = run, order, record
        self._id = processes.run_id(run)
        self.process = process
        state = record.state
        if state.attempt is None:
            raise ValueError("an attempt is watched after it has begun")
        self._observer = Observer(run, state.attempt, state)
        self._guard = Guard(order.guard, max(1, order.prompts), order.usd_per_hour)
        self._guard.recall(state.steps)
        self._ending: Ending | None = None
        self._sign, self._sign_at = 0, time.monotonic()
        self._missing = 0
        self._due_at: float | None = None
        if state.attempt.why == "adopt":
            self._heed(self._guard.goes_on())

    @property
    def is_ending(self) -> bool:
        """Whether its end is under way."""
        return self._ending is not None

    def stop(self, why: str, *, with_checkpoint: bool) -> None:
        """Have it end; if it does already, it is only hurried by those who want no checkpoint."""
        if self._ending is None or not with_checkpoint:
            self._end_soon("stopped", why, with_checkpoint=with_checkpoint)

    def turn(self) -> Exit | None:
        """Look once, judge, act; the exit if it is over."""
        is_gone, code = self.process.gone(self._id)
        self._look_for_folder()
        self._look()
        if is_gone:
            return self._over(code)
        self._judge()
        if self._ending is not None and ending.is_due(self._ending, self._record.state) and self._is_settled():
            return self._end(self._ending)
        return None

    def _is_settled(self) -> bool:
        """Whether the last checkpoint's own step is told; the trainer writes its guard file before its metrics."""
        made = self._record.state.checkpoints[-1:]
        if not made or made[0].step <= self._record.state.step:
            return True
        self._due_at = self._due_at or time.monotonic()
        return time.monotonic() - self._due_at >= _SETTLE_S

    # Looking and judging -------------------------------------------------------------------------------------------

    def _look(self) -> None:
        if self._missing:
            return
        for event in self._observer.look():
            self._record.add(event)
            self._heed(self._verdicts(event))
        self._record.flush()
        if self._observer.seen_bytes != self._sign:
            self._sign, self._sign_at = self._observer.seen_bytes, time.monotonic()

    def _look_for_folder(self) -> None:
        """A run whose folder is gone cannot keep anything of what it does.

        Another folder in its place is not touched: the trainer may have made it anew, or another run has begun.
        """
        try:
            is_here = processes.run_id(self._run) == self._id
            if not is_here:
                self._record.let_go()
        except (FileNotFoundError, NotADirectoryError):
            is_here = False
        except OSError:  # it cannot be seen just now
            return
        self._missing = 0 if is_here else self._missing + 1
        if self._missing >= _MISSING_TURNS:
            self._ending = Ending("failed", "the run folder was removed or moved", None, 0.0)

    def _verdicts(self, event: Event) -> Iterable[Alert]:
        if self._order.guard.policy == "off":
            return ()
        if isinstance(event, Step):
            return self._guard.steps([event])
        return self._guard.pictures([event]) if isinstance(event, Validation) else ()

    def _judge(self) -> None:
        is_off = self._order.guard.policy == "off"
        found = self._guard.surroundings(self._surroundings())
        self._heed(one for one in found if one.about == guard.BUDGET or not is_off)

    def _surroundings(self) -> Surroundings:
        state, free = self._record.state, None
        with suppress(OSError):
            free = psutil.disk_usage(str(self._run)).free
        sizes = [one.bytes for one in state.checkpoints]
        return Surroundings(
            silent_s=time.monotonic() - self._sign_at,
            free_bytes=free,
            checkpoint_bytes=sizes[-1] if sizes else self._order.checkpoint_bytes,
            spent_s=state.spent_s + (moments.seconds(state.seen, moments.now()) if state.seen else 0.0),
        )

    def _heed(self, alerts: Iterable[Alert]) -> None:
        """Put ``alerts`` on record, and end the attempt for one if limits and policy say so."""
        for alert in alerts:
            self._record.add(alert)
            if alert.severity == "error" and self._ending is None:
                self._act(alert)

    def _act(self, alert: Alert) -> None:
        policy = self._order.guard.policy
        if alert.about == guard.BUDGET:
            self._end_soon("limit", alert.text, with_checkpoint=True)
        elif alert.about in guard.TAKEN_BACK and self._may_roll_back(self._record.state):
            self._end_soon("rolled back", alert.text, with_checkpoint=False)
        elif policy in ("stop", "rollback"):
            self._end_soon("guard", alert.text, with_checkpoint=self._can_keep_one_more(alert))

    def _can_keep_one_more(self, alert: Alert) -> bool:
        """Whether a checkpoint is worth asking for: one of bad weights must not push out the last good one."""
        kept = sum((self._run / one.path).is_dir() for one in self._record.state.checkpoints)
        is_crowded = alert.about in guard.TAKEN_BACK and kept >= self._order.most_checkpoints
        return alert.about not in _NO_CHECKPOINT and not is_crowded

    def _may_roll_back(self, state: RunState) -> bool:
        limits = self._order.guard
        return limits.policy == "rollback" and state.rollbacks < limits.most_rollbacks

    # The end -------------------------------------------------------------------------------------------------------

    def _end_soon(self, status: Status, why: str, *, with_checkpoint: bool) -> None:
        self._ending = ending.begin(self._run, self._record.state, why, status, with_checkpoint=with_checkpoint)

    def _end(self, how: Ending) -> Exit:
        """End the trainer's processes and say what is left."""
        left = processes.end(self._id, _PATIENCE_S, self.process.bury)
        self._look()
        state = self._record.state
        if state.attempt is not None and not self._missing and ending.is_complete(self._run, state.attempt):
            return Exit("completed", self.process.bury(), "", state.step)
        reason = ending.reason(how, state)
        if left:
            reason += f"; processes {', '.join(map(str, left))} could not be ended"
        return Exit(how.status, self.process.bury(), reason, state.step)

    def _over(self, code: int | None) -> Exit:
        """How it ended, now that its process went by itself; what it started goes with it."""
        processes.end(self._id, _PATIENCE_S, self.process.bury)
        self._look()
        state = self._record.state
        exit_ = ending.judge(self._run, state, code, self._ending)
        if exit_.status == "failed" and trainer_reason.is_non_finite(exit_.reason):
            return self._not_finite(state, exit_)
        return exit_

    def _not_finite(self, state: RunState, exit_: Exit) -> Exit:
        """What the policy makes of a trainer that died of a loss that was not finite."""
        policy = self._order.guard.policy
        if policy != "off":
            since = self._guard.trouble_since()
            self._record.add(Alert(guard.NON_FINITE, "error", state.step, exit_.reason, since))
        if self._may_roll_back(state):
            return replace(exit_, status="rolled back")
        return replace(exit_, status="guard") if policy == "rollback" else exit_
