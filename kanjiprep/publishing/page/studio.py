"""One model, one picture at a time: everything that is painted goes through one thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

from kanjiprep.errors import KanjiprepError
from kanjiprep.publishing.page.lane import Lane
from kanjiprep.publishing.painting.wish import Painter, Stepped, Wish
from kanjiprep.publishing.tuned import Tuned

if TYPE_CHECKING:
    from PIL import Image

Opening = Callable[[Tuned | None], AbstractContextManager[Painter]]
"""Loads the model with a checkpoint, or the base model alone."""


class Stopped(KanjiprepError):
    """Nobody wants the rest of a picture."""


class Studio:
    """Holds the model, which is loaded for the first picture.

    Args:
        opening: Loads it.
    """

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._lane = Lane("painter")
        self._held = ExitStack()
        self._painter: Painter | None = None
        self._at: tuple[Tuned | None] | None = None
        self._closing = False

    @property
    def is_loaded(self) -> bool:
        """Whether the model is there."""
        return self._painter is not None

    def paint(self, tuned: Tuned | None, wish: Wish, stepped: Stepped) -> Future[Image.Image]:
        """The picture of ``wish`` with ``tuned``, after all that were asked for before.

        Whatever ``stepped`` raises ends the picture, and comes out of the future.
        """
        return self._lane.submit(lambda: self._paint(tuned, wish, stepped))

    def close(self, patience_s: float) -> bool:
        """End the picture at work after its present step and let the model go; whether that is done in time."""
        self._closing = True
        self._lane.submit(self._let_go)
        return self._lane.close(patience_s)

    def _let_go(self) -> None:
        self._painter = None
        self._held.close()

    def _paint(self, tuned: Tuned | None, wish: Wish, stepped: Stepped) -> Image.Image:
        self._go_on(stepped, 0, wish.steps)
        painter = self._ready(tuned)
        return painter.paint(wish, lambda done, steps: self._go_on(stepped, done, steps))

    def _go_on(self, stepped: Stepped, done: int, steps: int) -> None:
        if self._closing:
            raise Stopped("the page is closed")
        stepped(done, steps)

    def _ready(self, tuned: Tuned | None) -> Painter:
        """The model, with ``tuned``."""
        if self._painter is None:
            self._painter = self._held.enter_context(self._opening(tuned))
        elif self._at != (tuned,):
            self._at = None  # nobody knows what it has if this fails
            self._painter.take(tuned)
        self._at = (tuned,)
        return self._painter
