"""Strokes into pixels: one grey picture, bit for bit what CairoSVG draws on white."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import cairocffi
import numpy as np
from numpy.typing import NDArray

from kanjiprep.dataset.kanjivg import SIDE, STROKE_WIDTH
from kanjiprep.dataset.path_data import Segment
from kanjiprep.errors import UsageError

Pixels = NDArray[np.uint8]
WHITE: Final = 255


@dataclass(frozen=True, slots=True)
class Style:
    """How a picture looks.

    Attributes:
        size_px: Width and height of the picture, 16 to 4096.
        stroke_width: In KanjiVG units (the square is 109 wide), 0.1 to 30.
        margin_px: White border kept free on every side, less than half the size.
    """

    size_px: int = 1024
    stroke_width: float = STROKE_WIDTH
    margin_px: int = 0

    def view_box(self) -> tuple[float, float]:
        """Where the SVG view box that gives this margin begins, and how wide it is."""
        inner_px = self.size_px - 2 * self.margin_px
        border = SIDE * self.margin_px / inner_px
        return -border, SIDE + 2 * border


def renderer() -> str:
    """Cairo with its version: 1.16 and 1.18 draw half of all kanji differently in some twenty pixels each."""
    return f"cairo {cairocffi.cairo_version_string()}"


def refuse_impossible(style: Style) -> None:
    """Refuse a style that cannot be drawn.

    Raises:
        UsageError: Naming the option and its range.
    """
    if not 16 <= style.size_px <= 4096:  # noqa: PLR2004
        raise UsageError(f"--size-px is {style.size_px}", remedy="give 16 to 4096")
    if not 0.1 <= style.stroke_width <= 30:  # noqa: PLR2004
        raise UsageError(f"--stroke-width is {style.stroke_width:g}", remedy="give 0.1 to 30")
    if not 0 <= style.margin_px * 2 < style.size_px - 8:
        raise UsageError(f"--margin-px is {style.margin_px}", remedy=f"give 0 to {(style.size_px - 9) // 2}")


class Canvas:
    """A grey surface that is drawn on again and again.

    The surface holds alpha only and starts opaque; strokes are painted transparent with the SOURCE
    operator, so that the buffer itself is the grey picture (0 ink, 255 paper) and each stroke blends
    over the one before exactly as black over white does in CairoSVG. Allocating the buffer once
    saves a fifth of the drawing time.
    """

    def __init__(self, style: Style) -> None:
        stride = cairocffi.ImageSurface.format_stride_for_width(cairocffi.FORMAT_A8, style.size_px)
        self._buffer = np.empty((style.size_px, stride), np.uint8)
        self._surface = cairocffi.ImageSurface.create_for_data(
            self._buffer.data.cast("B"), cairocffi.FORMAT_A8, style.size_px, style.size_px, stride
        )
        self._context = _context(self._surface, style)
        self._pixels = self._buffer[:, : style.size_px]

    def draw(self, strokes: Iterable[list[Segment]]) -> Pixels:
        """The picture of ``strokes``: (size_px, size_px) uint8, a view that the next call overwrites."""
        self._buffer.fill(WHITE)
        self._surface.mark_dirty()
        context = self._context
        move, curve, relative, stroke = context.move_to, context.curve_to, context.rel_curve_to, context.stroke
        for segments in strokes:
            for kind, x1, y1, x2, y2, x3, y3 in segments:
                if kind == "c":
                    relative(x1, y1, x2, y2, x3, y3)
                elif kind == "C":
                    curve(x1, y1, x2, y2, x3, y3)
                else:
                    move(x3, y3)
            stroke()
        self._surface.flush()
        return self._pixels


def _context(surface: cairocffi.ImageSurface, style: Style) -> cairocffi.Context:
    """A context set up in CairoSVG's order of operations, which its rounding depends on."""
    begin, width = style.view_box()
    scale = style.size_px / width
    context = cairocffi.Context(surface)
    context.translate(-begin * scale, -begin * scale)
    context.scale(scale, scale)
    context.set_operator(cairocffi.OPERATOR_SOURCE)
    context.set_source_rgba(0, 0, 0, 0)
    context.set_line_width(style.stroke_width)
    context.set_line_cap(cairocffi.LINE_CAP_ROUND)
    context.set_line_join(cairocffi.LINE_JOIN_ROUND)
    return context
