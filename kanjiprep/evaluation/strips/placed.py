"""Where everything on a strip or grid is: values, and the arithmetic of sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kanjiprep.evaluation.strips.contents import Mark, Shown
from kanjiprep.evaluation.strips.labels import Labels
from kanjiprep.evaluation.strips.pieces import Colour

PAPER: Final = (250, 250, 248)
INK: Final = (28, 28, 32)
GREY: Final = (100, 100, 106)
PALE: Final = (206, 206, 204)
COLOURS: Final[dict[Mark, Colour]] = {
    "chosen": (18, 122, 58),
    "tied": (28, 92, 176),
    "dropped": (190, 28, 32),
    "exploded": (190, 28, 32),
    "not saved": PALE,
    "": PALE,
}

LEGEND: Final[tuple[tuple[Mark, str], ...]] = (
    ("chosen", "the best of its run, as far as can be told"),
    ("tied", "may be as good"),
    ("dropped", "checkpoint is not to be chosen"),
    ("exploded", "picture is broken"),
    ("", "Scores are 0 to 100, higher is better."),
)
MARGIN_PX: Final = 28
GAP_PX: Final = 14
TITLE_PX, VERDICT_PX, HEADING_PX, SMALL_PX = 30, 19, 18, 14
HEADING_LINES: Final = 2
HEAD_PX: Final = 22 + 20 + 2 + HEADING_LINES * 25 + 14
"""Height above the first row of a prompt, at most."""
SUBHEAD_PX: Final = 20 + 10
"""Height above each row of a prompt that has several."""


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text; ``left`` and ``base`` are where it starts."""

    left: int
    base: int
    text: str
    size_px: int
    colour: Colour


@dataclass(frozen=True, slots=True)
class Tag:
    """A mark with its symbol and word, on a ground of its colour; ``left`` and ``top`` are of the ground."""

    left: int
    top: int
    mark: Mark
    size_px: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A picture in its place."""

    left: int
    top: int
    side_px: int
    shown: Shown


@dataclass(frozen=True, slots=True)
class Layout:
    """All that is to be painted.

    Attributes:
        width_px: Of the whole.
        height_px: Of the whole.
        words: Lines of text, but for the labels of pictures.
        tags: Of the legend.
        rules: Heights of thin lines from side to side.
        cells: The pictures.
    """

    width_px: int
    height_px: int
    words: tuple[Words, ...]
    tags: tuple[Tag, ...]
    rules: tuple[int, ...]
    cells: tuple[Placed, ...]


def label_size_px(side_px: int) -> int:
    """Size of the text under a picture."""
    return 11 if side_px < 128 else 13 if side_px < 192 else 15  # noqa: PLR2004


def cell_height_px(side_px: int) -> int:
    """Height of a picture with its label and the gap below."""
    return side_px + round(3.4 * label_size_px(side_px)) + 8 + GAP_PX


def tag_height_px(size_px: int) -> int:
    """Height of a tag with a word of that size."""
    return round(1.45 * size_px)


def tag_width_px(mark: Mark, size_px: int, labels: Labels) -> int:
    """Width of a tag with a word of that size."""
    return round(labels.width_px(mark, size_px) + 2.2 * size_px)


class Page:
    """A layout that grows downwards."""

    def __init__(self, width_px: int, labels: Labels) -> None:
        self.width_px = width_px
        self.inner_px = width_px - 2 * MARGIN_PX
        self.labels = labels
        self.y = MARGIN_PX
        self.words: list[Words] = []
        self.tags: list[Tag] = []
        self.rules: list[int] = []
        self.cells: list[Placed] = []

    def text(self, text: str, size_px: int, colour: Colour, most: int = 1, line: float = 1.4) -> None:
        """Add ``text`` in ``most`` lines at most."""
        for part in self.labels.wrapped(text, size_px, self.inner_px, most):
            self.words.append(Words(MARGIN_PX, round(self.y + size_px), part, size_px, colour))
            self.y += round(line * size_px)

    def legend(self) -> None:
        """Add marks with what each means, in as many lines as they need."""
        left, height = MARGIN_PX, tag_height_px(SMALL_PX)
        for mark, meaning in LEGEND:
            tag = tag_width_px(mark, SMALL_PX, self.labels) + 8 if mark else 0
            wide = round(tag + self.labels.width_px(meaning, SMALL_PX))
            if left > MARGIN_PX and left + wide > self.width_px - MARGIN_PX:
                left, self.y = MARGIN_PX, self.y + height + 8
            self.tags += [Tag(left, self.y, mark, SMALL_PX)] if mark else []
            base = self.y + round(0.5 * height + 0.36 * SMALL_PX)
            self.words.append(Words(left + tag, base, meaning, SMALL_PX, GREY))
            left += wide + 26
        self.y += height

    def heading(self, name: str, text: str) -> None:
        """Add a prompt's heading under a thin line."""
        self.rules.append(self.y + 8)
        self.y += 22
        self.text(name, SMALL_PX, GREY)
        self.y += 2
        self.text(text, HEADING_PX, INK, HEADING_LINES)
        self.y += 14

    def layout(self) -> Layout:
        """What was added, as a value."""
        return Layout(
            self.width_px,
            self.y + MARGIN_PX,
            tuple(self.words),
            tuple(self.tags),
            tuple(self.rules),
            tuple(self.cells),
        )
