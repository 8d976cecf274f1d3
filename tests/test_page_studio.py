from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from kanjiprep.errors import UsageError
from kanjiprep.publishing.page.studio import Stopped, Studio
from kanjiprep.publishing.painting.wish import Stepped, Wish
from kanjiprep.publishing.tuned import Tuned

WISH = Wish("a dragon", "a dragon", steps=3, size_px=64)
PATIENCE_S = 10.0


def tuned(step: int | None = 4) -> Tuned:
    return Tuned("lora", Path(f"{step}.safetensors"), "mine", step, "as asked for", "sd3", "tiny", "base")


class FakePainter:
    """Paints grey squares, as deep as the seed says."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.gate = threading.Event()
        self.gate.set()
        self.failing = False

    def paint(self, wish: Wish, stepped: Stepped) -> Image.Image:
        self.heard.append(wish.seed)
        for step in range(1, wish.steps + 1):
            assert self.gate.wait(PATIENCE_S)
            stepped(step, wish.steps)
        return Image.new("RGB", (wish.size_px, wish.size_px), (wish.seed % 256,) * 3)

    def take(self, tuned: Tuned | None) -> None:
        self.heard.append(None if tuned is None else tuned.step)
        if self.failing:
            raise UsageError("belongs to another kind of model")

    @contextmanager
    def opened(self, tuned: Tuned | None) -> Iterator[FakePainter]:
        self.heard.append(("opened", None if tuned is None else tuned.step))
        yield self
        self.heard.append("closed")


@pytest.fixture
def painter() -> FakePainter:
    return FakePainter()


@pytest.fixture
def studio(painter: FakePainter) -> Iterator[Studio]:
    made = Studio(painter.opened)
    yield made
    painter.gate.set()
    made.close(PATIENCE_S)


def telling(begun: threading.Event) -> Stepped:
    def told(done: int, of: int) -> None:
        begun.set()

    return told


def silent(done: int, of: int) -> None:
    """Hear nothing."""


def test_the_model_is_loaded_for_the_first_picture_and_kept(studio: Studio, painter: FakePainter) -> None:
    assert not studio.is_loaded
    picture = studio.paint(tuned(4), WISH, silent).result(PATIENCE_S)
    studio.paint(tuned(4), WISH, silent).result(PATIENCE_S)
    assert picture.getpixel((0, 0)) == (1, 1, 1)
    assert painter.heard == [("opened", 4), 1, 1]
    assert studio.close(PATIENCE_S)
    assert painter.heard[-1] == "closed"


def test_another_checkpoint_is_taken_and_taken_anew_after_a_failure(studio: Studio, painter: FakePainter) -> None:
    studio.paint(tuned(4), WISH, silent).result(PATIENCE_S)
    painter.failing = True
    with pytest.raises(UsageError, match="another kind"):
        studio.paint(None, WISH, silent).result(PATIENCE_S)
    painter.failing = False
    studio.paint(tuned(4), WISH, silent).result(PATIENCE_S)
    studio.paint(None, WISH, silent).result(PATIENCE_S)
    studio.paint(None, WISH, silent).result(PATIENCE_S)
    assert painter.heard == [("opened", 4), 1, None, 4, 1, None, 1, 1]


def test_what_a_listener_raises_ends_the_picture(studio: Studio) -> None:
    def enough(done: int, of: int) -> None:
        if done == 2:
            raise Stopped(f"stopped at step {done} of {of}")

    with pytest.raises(Stopped, match="step 2 of 3"):
        studio.paint(None, WISH, enough).result(PATIENCE_S)


def test_pictures_are_painted_one_after_the_other(studio: Studio, painter: FakePainter) -> None:
    painter.gate.clear()
    first, second = studio.paint(None, WISH, silent), studio.paint(None, WISH, silent)
    assert not second.running()
    assert second.cancel()
    painter.gate.set()
    first.result(PATIENCE_S)
    assert painter.heard == [("opened", None), 1]


def test_closing_ends_the_picture_at_work(painter: FakePainter) -> None:
    studio = Studio(painter.opened)
    begun = threading.Event()
    painter.gate.clear()
    future = studio.paint(None, WISH, telling(begun))
    assert begun.wait(PATIENCE_S)
    assert not studio.close(0.01)
    painter.gate.set()
    with pytest.raises(Stopped, match="closed"):
        future.result(PATIENCE_S)
