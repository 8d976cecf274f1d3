"""Watching a run from a terminal until it is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from kanjiprep.training.running import view_text
from kanjiprep.training.running.events import Alert
from kanjiprep.training.running.looking import Window
from kanjiprep.training.running.standing import CODES, COPY, UNWATCHED, WAITING
from kanjiprep.training.running.view import View

_EVERY_S: Final = 2.0
_LINE_EVERY_S: Final = 60.0


class Screen(Protocol):
    """Shows views as they come."""

    def __call__(self, seen: View) -> None:
        """Show ``seen``."""


def watch(window: Window, screen: Screen, every_s: float = _EVERY_S) -> View:
    """The last view of a run, shown all the way to its end, or until nobody is left who could tell of one."""
    while True:
        seen = window.look()
        screen(seen)
        if seen.status in CODES or seen.status in (UNWATCHED, WAITING, COPY):
            return seen
        time.sleep(every_s)


class Lines:
    """A screen of plain lines: what is new, and the progress about once a minute.

    Args:
        say: Takes a line.
        clock: In seconds.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._before: View | None = None
        self._said_at = float("-inf")
        self._told: list[Alert] = []

    def __call__(self, seen: View) -> None:
        """Say what is new in ``seen``."""
        for line in self._news(seen):
            self._say(line)
        self._before = seen

    def _news(self, seen: View) -> Iterator[str]:
        before = self._before
        for one in seen.alerts:
            if one not in self._told:
                self._told.append(one)
                yield f"{one.severity}: {view_text.alert(one)}"
        if before is None or (seen.attempt and before.attempt != seen.attempt):
            yield f"attempt {seen.attempt} ({seen.why}) of {seen.run}" if seen.attempt else f"starting {seen.run}"
        if seen.progress.stage and (before is None or before.progress.stage != seen.progress.stage):
            yield f"stage: {seen.progress.stage}"
        if seen.made.checkpoint and (before is None or before.made.checkpoint != seen.made.checkpoint):
            yield f"checkpoint: {seen.made.checkpoint.path}"
        if seen.made.validation and (before is None or before.made.validation != seen.made.validation):
            yield f"picture: {seen.made.validation.path}"
        if before is None or seen.progress.step != before.progress.step:
            yield from self._progress(seen)

    def _progress(self, seen: View) -> Iterator[str]:
        if seen.progress.step and (
            self._clock() - self._said_at >= _LINE_EVERY_S or seen.progress.step == seen.progress.total_steps
        ):
            self._said_at = self._clock()
            yield view_text.line(seen)
