"""A layout painted: text, frames, symbols and the pictures themselves."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from kanjiprep.dataset import workers
from kanjiprep.evaluation.cells import Cell
from kanjiprep.evaluation.strips import placed
from kanjiprep.evaluation.strips.contents import Mark, Shown
from kanjiprep.evaluation.strips.labels import Labels
from kanjiprep.evaluation.strips.placed import COLOURS, GREY, INK, PALE, PAPER, Layout, Placed, Tag

Load: TypeAlias = Callable[[Cell, int], NDArray[np.uint8]]
"""A picture scaled to a square of so many pixels: (side, side, 3)."""

_FINER: Final = 4
_BORDER_PX: Final = 4
_AT_ONCE: Final = 8
_LINES: Final[dict[Mark, tuple[tuple[float, ...], ...]]] = {
    "chosen": ((0.12, 0.55, 0.4, 0.82, 0.9, 0.2),),
    "tied": tuple((0.08, y + 0.08, 0.3, y - 0.06, 0.7, y + 0.06, 0.92, y - 0.08) for y in (0.33, 0.69)),
    "dropped": ((0.18, 0.18, 0.82, 0.82), (0.82, 0.18, 0.18, 0.82)),
    "exploded": ((0.18, 0.18, 0.82, 0.82), (0.82, 0.18, 0.18, 0.82)),
}
"""Symbols as lines in parts of a square: a tick, two waves, a cross."""


def painted(layout: Layout, load: Load, labels: Labels) -> Image.Image:
    """``layout`` as a picture (RGB).

    Args:
        layout: What is where.
        load: Gives a picture in a size; called from several threads.
        labels: What text is drawn with.
    """
    page = Image.new("RGB", (layout.width_px, layout.height_px), PAPER)
    pen = ImageDraw.Draw(page)
    for height in layout.rules:
        pen.line((placed.MARGIN_PX, height, layout.width_px - placed.MARGIN_PX, height), PALE)
    for words in layout.words:
        labels.draw(page, (words.left, words.base), words.text, words.size_px, words.colour, "ls")
    for tag in layout.tags:
        _paint_tag(page, tag, labels)
    for cell in layout.cells:
        _paint_frame(page, pen, cell, labels)
    _paint_pictures(page, [cell for cell in layout.cells if cell.shown.picture], load)
    return page


def _paint_pictures(page: Image.Image, cells: Sequence[Placed], load: Load) -> None:
    def loaded(some: Sequence[Placed]) -> list[NDArray[np.uint8]]:
        return [load(one.shown.picture.cell, one.side_px) for one in some if one.shown.picture]

    done = workers.in_threads(loaded, cells, workers.available(), _AT_ONCE)
    shown = (pixels for some in done for pixels in some)
    for cell, pixels in zip(cells, shown, strict=True):
        page.paste(Image.fromarray(pixels), (cell.left, cell.top))


def _paint_frame(page: Image.Image, pen: ImageDraw.ImageDraw, cell: Placed, labels: Labels) -> None:
    mark, side = cell.shown.mark, cell.side_px
    wide = _BORDER_PX if mark in _LINES and cell.shown.picture else 1
    right, bottom = cell.left + side, cell.top + side
    edges = (cell.left - wide, cell.top - wide, right + wide - 1, bottom + wide - 1)
    pen.rectangle(edges, outline=COLOURS[mark if wide > 1 else ""], width=wide)
    if cell.shown.picture is None:
        middle = cell.top + side // 2
        pen.line((cell.left + side * 0.42, middle, cell.left + side * 0.58, middle), GREY, 3)
    _paint_label(page, cell, labels)


def _paint_label(page: Image.Image, cell: Placed, labels: Labels) -> None:
    size, shown = placed.label_size_px(cell.side_px), cell.shown
    base = cell.top + cell.side_px + _BORDER_PX + 4 + size
    right = cell.left + cell.side_px
    score = f"{shown.picture.score:.1f}" if shown.picture else ""
    room = cell.side_px - labels.width_px(score, size) - 6
    labels.draw(page, (cell.left, base), _step_words(shown, size, room, labels), size, INK, "ls")
    labels.draw(page, (right, base), score, size, INK, "rs")
    top = base + round(0.55 * size)
    if shown.mark in _LINES:
        _paint_tag(page, Tag(cell.left - _BORDER_PX, top, shown.mark, size), labels)
    elif shown.mark:
        labels.draw(page, (cell.left, top + 0.5 * placed.tag_height_px(size)), shown.mark, size, GREY, "lm")


def _step_words(shown: Shown, size_px: int, room_px: float, labels: Labels) -> str:
    if shown.step is None:
        return ""
    long, short = ("base model", "base") if shown.is_base else (f"step {shown.step:,}", f"{shown.step:,}")
    return long if labels.width_px(long, size_px) <= room_px else labels.fitted(short, size_px, room_px)


def _paint_tag(page: Image.Image, tag: Tag, labels: Labels) -> None:
    size, high = tag.size_px, placed.tag_height_px(tag.size_px)
    wide = placed.tag_width_px(tag.mark, size, labels)
    page.paste(COLOURS[tag.mark], (tag.left, tag.top), _rounded(wide, high))
    middle = tag.top + high / 2
    symbol = _symbol(tag.mark, round(0.8 * size))
    page.paste((255, 255, 255), (round(tag.left + 0.5 * size), round(middle - symbol.height / 2)), symbol)
    labels.draw(page, (tag.left + 1.6 * size, middle), tag.mark, size, (255, 255, 255), "lm")


@functools.lru_cache(64)
def _rounded(wide_px: int, high_px: int) -> Image.Image:
    large = Image.new("L", (wide_px * _FINER, high_px * _FINER))
    edges = (0, 0, wide_px * _FINER - 1, high_px * _FINER - 1)
    ImageDraw.Draw(large).rounded_rectangle(edges, 3 * _FINER, 255)
    return large.reduce(_FINER)


@functools.lru_cache(64)
def _symbol(mark: Mark, side_px: int) -> Image.Image:
    large = Image.new("L", (side_px * _FINER, side_px * _FINER))
    pen = ImageDraw.Draw(large)
    for line in _LINES[mark]:
        pen.line([part * side_px * _FINER for part in line], 255, max(4, side_px * _FINER // 6), joint="curve")
    return large.reduce(_FINER)
