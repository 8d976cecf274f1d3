"""The record of a run: what happened is written down and added up at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kanjiprep.training.running import events, files, moments
from kanjiprep.training.running.events import Entry, Event
from kanjiprep.training.running.moments import Moment
from kanjiprep.training.running.run_state import Fold, RunState
from kanjiprep.training.running.tail import Journal, Tail


class Record:
    """The events of ``run`` so far, to which further ones are added.

    Args:
        run: The run folder, which must be held to add to it.
        clock: Says what time it is.
    """

    def __init__(self, run: Path, clock: Callable[[], Moment] = moments.now) -> None:
        self._clock = clock
        self.is_here = True
        self._fold = Fold()
        self._fold.add(map(events.entry, Tail(run / files.EVENTS).lines()))
        self._journal = Journal(run / files.EVENTS)

    def add(self, event: Event) -> None:
        """Put ``event`` on record; if the disk is full, as soon as it is not."""
        entry = Entry(self._clock(), event)
        self._fold.add([entry])
        if self.is_here:
            self._journal.add(events.line(entry))

    def let_go(self) -> None:
        """Write nothing any more: another folder is where the run's was."""
        self.is_here = False

    def flush(self) -> None:
        """Write what could not be written before."""
        if self.is_here:
            self._journal.flush()

    @property
    def state(self) -> RunState:
        """Where the run stands."""
        return self._fold.state()
