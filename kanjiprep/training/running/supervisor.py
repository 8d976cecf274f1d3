"""The process that starts a trainer, never loses sight of it, and ends it when it must."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Final

from kanjiprep.errors import KanjiprepError, TrainerError, os_reason
from kanjiprep.training.running import attempts, files, guard, holding, moments, processes
from kanjiprep.training.running.attempts import Start
from kanjiprep.training.running.events import Alert, Exit
from kanjiprep.training.running.files import Pulse
from kanjiprep.training.running.holding import Hold
from kanjiprep.training.running.processes import Identity
from kanjiprep.training.running.record import Record
from kanjiprep.training.running.watch import Process, Watch

_POLL_S: Final = 1.0
_BEAT_S: Final = 5.0
_PATIENCE_S: Final = 10.0


class Supervisor:
    """Watches one run, attempt by attempt, until it is over.

    Args:
        run: The run folder, which must be held.
        poll_s: Between two looks.
    """

    def __init__(self, run: Path, poll_s: float = _POLL_S) -> None:
        self._run, self._poll_s = run, poll_s
        self._id = processes.run_id(run)
        self._order = files.read_order(run)
        self._record = Record(run)
        self._me = processes.identify(os.getpid()) or Identity(os.getpid(), 0, "")
        self._watch: Watch | None = None
        self._beat_at = 0.0
        self._wishes: list[tuple[str, bool]] = []
        self._told: set[str] = set()

    def run(self, start: Start | None) -> Exit:
        """The end of the run, after all attempts; ``start`` is None for a trainer that is to be taken over."""
        self._beat("starting")
        try:
            watch = self._begin(start)
            while (exit_ := self._attempt(watch)).status == "rolled back":
                watch = self._begin(self._rolled_back(exit_))
        except KanjiprepError as error:
            processes.end(self._id, _PATIENCE_S)
            exit_ = Exit("failed", None, str(error), self._record.state.step)
            self._record.add(exit_)
        self._watch = None
        self._beat("over")
        return exit_

    def wish(self, why: str, *, with_checkpoint: bool = True) -> None:
        """Have the run end soon; safe to call from a signal's handler."""
        self._wishes.append((why, with_checkpoint))

    def _begin(self, start: Start | None) -> Watch:
        """The watch over a new attempt, or over the trainer that is there."""
        last = self._record.state.attempt
        if start is not None:
            processes.end(self._id, _PATIENCE_S)  # what an earlier one has left running
            attempt, own = attempts.begin(self._run, self._order, start, 1 + (last.number if last else 0))
            process = Process(attempt.trainer, own)
        elif last is None:
            raise TrainerError("no attempt is on record", str(self._run), "launch the run anew under another --name")
        else:
            attempt, process = replace(last, why="adopt"), Process(last.trainer, None)
        self._record.add(attempt)
        self._watch = Watch(self._run, self._order, self._record, process)
        self._beat("running")
        return self._watch

    def _rolled_back(self, exit_: Exit) -> Start:
        state = self._record.state
        number = 1 + (state.attempt.number if state.attempt else 0)
        before = guard.began(state.alerts, exit_.step)
        return attempts.rolled_back(self._run, state, self._order, before, number)

    def _attempt(self, watch: Watch) -> Exit:
        while True:
            self._heed_wishes(watch)
            exit_ = self._turn(watch)
            if exit_ is not None:
                self._record.add(exit_)
                return exit_
            if time.monotonic() - self._beat_at >= _BEAT_S:
                self._beat("stopping" if watch.is_ending else "running")
            time.sleep(self._poll_s)

    def _turn(self, watch: Watch) -> Exit | None:
        """A look that survives what cannot be read just now; the run must not go on unwatched."""
        try:
            return watch.turn()
        except OSError as error:
            text = f"{error.filename or self._run} cannot be looked at: {os_reason(error)}"
            if text not in self._told:
                self._told.add(text)
                self._record.add(
                    Alert("supervisor", "warning", self._record.state.step, text, self._record.state.step)
                )
            return None

    def _heed_wishes(self, watch: Watch) -> None:
        request = files.take_stop(self._run)
        if request is not None:
            self.wish("stopped by request", with_checkpoint=request)
        while self._wishes:
            why, with_checkpoint = self._wishes.pop(0)
            watch.stop(why, with_checkpoint=with_checkpoint)
            self._beat("stopping")

    def _beat(self, status: str) -> None:
        """Give a sign of life; a full disk must not end the watch."""
        self._beat_at = time.monotonic()
        attempt = self._record.state.attempt
        trainer = self._watch.process.identity if self._watch else None
        pulse = Pulse(status, attempt.number if attempt else 0, self._me, trainer, moments.now())
        if self._record.is_here:
            with suppress(TrainerError):
                files.write_pulse(self._run, pulse)


def hold(run: Path) -> Hold:
    """The hold on ``run``.

    Raises:
        TrainerError: If a supervisor has it, or the folder cannot be used.
    """
    found = holding.take(run)
    if found is None:
        raise TrainerError(
            "a supervisor watches this run already",
            str(run),
            f"attach with kanjiprep monitor {shlex.quote(str(run))}",
        )
    return found


def supervise(run: Path, start: Start | None) -> Exit:
    """The end of a run that this process watches; SIGTERM, SIGINT and SIGHUP are wishes and no ends.

    Raises:
        TrainerError: If the run's order cannot be read.
    """
    supervisor = Supervisor(run)

    heard: list[int] = []

    def wish(number: int, _: FrameType | None) -> None:
        why = f"the supervisor was asked to end by {signal.Signals(number).name}"
        supervisor.wish(why, with_checkpoint=not heard)  # who asks twice is in a hurry
        heard.append(number)

    signal.signal(signal.SIGTERM, wish)
    signal.signal(signal.SIGINT, wish)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal is gone; the run is not
    return supervisor.run(start)


def main(run: Path) -> int:
    """Watch ``run`` to its end: go on with what is there, in the way that the record says."""
    try:
        held = hold(run)
        files.take_stop(run)  # a wish that nobody was there to hear is not about what begins now
        supervise(run, attempts.next_start(run))
        held.release()
    except KanjiprepError as error:
        print(error, file=sys.stderr)  # noqa: T201 - stderr is supervisor.log here
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
