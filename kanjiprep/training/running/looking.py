"""A run looked at from outside: it is only read, wherever its folder is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from kanjiprep.errors import KanjiprepError, TrainerError
from kanjiprep.training import curve, presets
from kanjiprep.training.running import ending, events, files, gpu, holding, moments, processes, view
from kanjiprep.training.running.events import Attempt, Entry
from kanjiprep.training.running.gpu import Gpu
from kanjiprep.training.running.observe import Observer
from kanjiprep.training.running.run_state import Fold, RunState
from kanjiprep.training.running.standing import Facts
from kanjiprep.training.running.tail import Tail
from kanjiprep.training.running.view import View

_GPU_EVERY_S: Final = 10.0
_LOG_LINES: Final = 8


class Window:
    """Looks at a run folder again and again, reading only what is new.

    Args:
        run: The run folder; it may be finished, crashed, copied from elsewhere or not to be written to.
        gpus: Asks the driver.

    Raises:
        TrainerError: If nothing can be told from it.
    """

    def __init__(self, run: Path, gpus: Callable[[], tuple[Gpu, ...]] = gpu.read) -> None:
        self._run, self._ask_gpus = run, gpus
        self._order = files.read_order(run)
        self._id = processes.run_id(run)
        self._events = Tail(run / files.EVENTS)
        self._fold = Fold()
        self._observer: tuple[Attempt, Observer] | None = None
        self._planned: tuple[str, Sequence[float]] = ("none", ())
        self._gpus: tuple[float, tuple[Gpu, ...]] = (float("-inf"), ())

    def look(self) -> View:
        """The run as it is now.

        Raises:
            TrainerError: If its folder is gone.
        """
        if not self._run.is_dir():
            raise TrainerError("is gone", str(self._run), "look where it was moved to")
        is_held = holding.is_held(self._run)
        self._fold.add(map(events.entry, self._events.lines()))
        if not is_held:
            self._catch_up()
        state = self._fold.state()
        return view.view(str(self._run), state, self._order, self._facts(state, is_held))

    def _catch_up(self) -> None:
        """See with our own eyes what no supervisor has put on record."""
        state = self._fold.state()
        if state.attempt is None or state.exit is not None:
            return
        if self._observer is None or self._observer[0] != state.attempt:
            self._observer = (state.attempt, Observer(self._run, state.attempt, state))
        # What a trainer that is gone has left is old: of when it was last heard of, for all we know.
        is_there = processes.is_alive(state.attempt.trainer, self._id)
        when = moments.now() if is_there or state.seen is None else state.seen
        self._fold.add(Entry(when, event) for event in self._observer[1].look())

    def _facts(self, state: RunState, is_held: bool) -> Facts:
        attempt = state.attempt
        has_trainer = attempt is not None and processes.is_alive(attempt.trainer, self._id)
        is_complete = attempt is not None and ending.is_complete(self._run, attempt)
        is_lost = attempt is not None and not (is_held or has_trainer or is_complete)
        is_bad = is_lost if state.exit is None else state.exit.status == "failed"
        free, pulse = None, files.read_pulse(self._run)
        with suppress(OSError):
            free = psutil.disk_usage(str(self._run)).free
        return Facts(
            now=moments.now(),
            is_held=is_held,
            has_trainer=has_trainer,
            is_copy=attempt is not None and self._is_elsewhere(attempt),
            is_complete=is_complete,
            pulse=pulse,
            free_bytes=free,
            gpus=self._current_gpus(has_trainer),
            planned=self._rates(attempt),
            log=tuple(ending.last_lines(self._run, _LOG_LINES, attempt.log_from)) if is_bad and attempt else (),
        )

    def _is_elsewhere(self, attempt: Attempt) -> bool:
        home = files.home(self._run, attempt.output)
        return bool(home) and home != str(self._run / attempt.output)

    def _current_gpus(self, has_trainer: bool) -> tuple[Gpu, ...]:
        if not has_trainer or not self._order.on_gpu:
            return ()
        now_s = moments.now().up_s
        if now_s - self._gpus[0] >= _GPU_EVERY_S:
            self._gpus = (now_s, self._ask_gpus())
        return self._gpus[1]

    def _rates(self, attempt: Attempt | None) -> Sequence[float]:
        """Learning rates that ``attempt`` was planned with; none if its run.toml is not as we wrote it."""
        if attempt is None:
            return ()
        if self._planned[0] != attempt.output:
            try:
                spec = presets.load(str((self._run / attempt.output).parent)).spec
                total = attempt.total_steps - attempt.base_step
                self._planned = (attempt.output, curve.rates(curve.scheduler_of(spec, total)))
            except (KanjiprepError, ValueError):
                self._planned = (attempt.output, ())
        return self._planned[1]
