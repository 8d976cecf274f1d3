"""A sitting: what one tab of the browser asks for, and the pictures that it has got."""

from __future__ import annotations

import queue
import secrets
import shutil
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kanjiprep.errors import KanjiprepError, os_reason
from kanjiprep.publishing.page import asked
from kanjiprep.publishing.page.asked import Form
from kanjiprep.publishing.page.judged import Judge, Judgement
from kanjiprep.publishing.page.offer import Choice, Offer
from kanjiprep.publishing.page.studio import Stopped, Studio
from kanjiprep.publishing.painting.wish import Stepped, Wish
from kanjiprep.publishing.prompt_tokens import Counter

if TYPE_CHECKING:
    from PIL import Image

Saving = Callable[[Path, "Image.Image", Wish, Choice], None]
"""Writes a PNG with what it was made by."""
_LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Card:
    """A picture with what is below it.

    Attributes:
        path: Of its PNG.
        wish: It was asked for with.
        choice: It was painted with.
        judgement: What is said of it, as soon as it is known.
    """

    path: Path
    wish: Wish
    choice: Choice
    judgement: Future[Judgement]


@dataclass(frozen=True, slots=True)
class Painting:
    """How far a wish is.

    Attributes:
        text: In words.
        done: Share of all that was asked for, 0 to 1; None if it is not at work.
        kind: ``work`` while it goes on, ``done``, ``stopped`` or ``error`` at its end.
    """

    text: str
    done: float | None = None
    kind: str = "work"


@dataclass(slots=True)
class Sitting:
    """Of one tab.

    Attributes:
        folder: Of its pictures.
        cards: The latest is the last.
        stop: Set when nobody wants what is being painted.
        is_busy: Whether something is being painted for it, or waits.
    """

    folder: Path
    cards: list[Card] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    is_busy: bool = False

    @property
    def is_judged(self) -> bool:
        """Whether all that can be said of its pictures is said."""
        return all(one.judgement.done() for one in self.cards)


@dataclass(frozen=True, slots=True)
class Room:
    """What all sittings share.

    Attributes:
        offer: What can be chosen.
        studio: Paints.
        judge: Looks at pictures.
        save: Writes them.
        folder: Of all pictures.
        counter: What a prompt costs the text encoders.
        sittings: By the key of the tab.
    """

    offer: Offer
    studio: Studio
    judge: Judge
    save: Saving
    folder: Path
    counter: Counter
    sittings: dict[str, Sitting] = field(default_factory=dict)

    def sitting(self, key: str) -> Sitting:
        """The sitting of a tab, which begins when it is first asked for."""
        if key not in self.sittings:
            self.sittings[key] = Sitting(self.folder / secrets.token_hex(16))
        return self.sittings[key]

    def leave(self, key: str) -> None:
        """End the sitting of a tab that is closed, and remove its pictures."""
        gone = self.sittings.pop(key, None)
        if gone is not None:
            gone.stop.set()
            shutil.rmtree(gone.folder, ignore_errors=True)


def paint(room: Room, sitting: Sitting, form: Form) -> Iterator[Painting]:
    """Paint what ``form`` asks for, picture by picture, telling how far it is; failures are told too."""
    if sitting.is_busy:
        yield Painting("this tab is painting already; cancel that first", kind="error")
        return
    sitting.is_busy = True
    sitting.stop.clear()
    try:
        yield from _paint(room, sitting, form)
    except Stopped as error:
        yield Painting(str(error), kind="stopped")
    except KanjiprepError as error:
        yield Painting(str(error), kind="error")
    except OSError as error:
        yield Painting(f"the picture cannot be kept: {os_reason(error)}", kind="error")
    finally:
        sitting.stop.set()  # if the tab was closed in the middle
        sitting.is_busy = False


def _paint(room: Room, sitting: Sitting, form: Form) -> Iterator[Painting]:
    wishes, choice = asked.wishes(form, room.offer), room.offer.choice(form.checkpoint)
    for number, wish in enumerate(wishes):
        made = yield from _painted(room, sitting, choice, wish, (number, len(wishes)))
        sitting.cards.append(_kept(room, sitting, choice, wish, made))
    pictures = "1 picture" if len(wishes) == 1 else f"{len(wishes)} pictures"
    yield Painting(f"{pictures} painted with {choice.short}", 1.0, "done")


def _painted(
    room: Room, sitting: Sitting, choice: Choice, wish: Wish, place: tuple[int, int]
) -> Generator[Painting, None, Image.Image]:
    """The picture of ``wish``, in its turn."""
    steps: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
    future = room.studio.paint(choice.tuned, wish, _stepped(sitting, steps))
    last = (0, wish.steps)
    yield _progress(room, future, place, last)
    while not future.done():
        if sitting.stop.is_set():
            future.cancel()  # of no effect once it is at work: its next step ends it
        last = _latest(steps) or last
        yield _progress(room, future, place, last, is_ending=sitting.stop.is_set())
    try:
        return future.result()
    except CancelledError:
        raise Stopped("stopped before it began") from None
    except KanjiprepError:
        raise
    except Exception as error:  # whatever a library throws: the page goes on
        raise KanjiprepError(f"unexpected: {type(error).__name__}: {error}") from error


def _stepped(sitting: Sitting, steps: queue.SimpleQueue[tuple[int, int]]) -> Stepped:
    def _told(done: int, of: int) -> None:
        if sitting.stop.is_set():
            raise Stopped(f"stopped at step {done} of {of}")
        steps.put((done, of))

    return _told


def _latest(steps: queue.SimpleQueue[tuple[int, int]]) -> tuple[int, int] | None:
    """The last step that was told; None if none was for a while."""
    last = None
    try:
        last = steps.get(timeout=_LOOK_S)
        while True:
            last = steps.get_nowait()
    except queue.Empty:
        return last


def _progress(
    room: Room, future: Future[Image.Image], place: tuple[int, int], last: tuple[int, int], *, is_ending: bool = False
) -> Painting:
    number, count = place
    step, steps = last
    which = f"picture {number + 1} of {count}: " if count > 1 else ""
    share = (number + step / max(1, steps)) / count
    if is_ending:
        return Painting("stopping after this step", share)
    if not (future.running() or future.done()):
        return Painting(f"{which}waiting for a picture of another tab", share)
    if not room.studio.is_loaded:
        return Painting(f"{which}loading the model", share)
    return Painting(f"{which}step {step} of {steps}", share)


def _kept(room: Room, sitting: Sitting, choice: Choice, wish: Wish, made: Image.Image) -> Card:
    sitting.folder.mkdir(parents=True, exist_ok=True)
    which = choice.key if choice.tuned is None or choice.tuned.step is None else f"step{choice.tuned.step}"
    name = f"{room.offer.name}_{which}_seed{wish.seed}_{len(sitting.cards) + 1:03}.png"
    path = sitting.folder / name
    room.save(path, made, wish, choice)
    step = choice.tuned.step or 0 if choice.tuned else 0
    return Card(path, wish, choice, room.judge.look(path, step, choice.tuned is None))
