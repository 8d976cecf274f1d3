"""What the network looks at: ink in a small square, the same for thick and thin, dark and light, large and small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kanjiprep.dataset import drawing, workers
from kanjiprep.dataset.kanjivg import GlyphStrokes
from kanjiprep.dataset.raster import Canvas, Style
from kanjiprep.evaluation.ink import split
from kanjiprep.progress import Progress

Ink = NDArray[np.uint8]
"""(``SIDE_PX``, ``SIDE_PX``) uint8, 0 for paper to 255 for ink."""

SIDE_PX: Final = 64
"""Side of what the network looks at."""
STROKE_WIDTHS: Final = (1.8, 3.2, 5.5)
"""Of the drawings to learn from, in KanjiVG units; the published one is 3."""
_DRAWN_PX: Final = 128
_FRAME: Final = 0.84
"""Share of the side that the longer side of a character's box takes."""
_TRIM: Final = 0.005
"""Share of the ink at each edge that may lie outside of the box: specks do not move it."""
_SLOPE: Final = (0.2, 0.8)
"""Shares of the way from paper to ink that are still paper, and already ink: grain and unevenness vanish."""


def of_picture(picture: NDArray[np.uint8]) -> Ink:
    """The ink of a picture, whatever it shows.

    Args:
        picture: (H, W, 3) uint8, RGB, or (H, W).
    """
    shown = Image.fromarray(picture).convert("L")
    if max(shown.size) > _DRAWN_PX:
        scale = _DRAWN_PX / max(shown.size)
        size = (max(1, round(shown.width * scale)), max(1, round(shown.height * scale)))
        shown = shown.resize(size, Image.Resampling.BOX)
    return _framed(_inked(np.asarray(shown)))


def of_glyphs(glyphs: Sequence[GlyphStrokes], widths: Sequence[float], progress: Progress) -> NDArray[np.uint8]:
    """The ink of characters: (widths, characters, ``SIDE_PX``, ``SIDE_PX``) uint8.

    Args:
        glyphs: Their strokes.
        widths: Of their strokes, in KanjiVG units.
        progress: Hears how many are drawn.

    Raises:
        InputError: If a glyph has broken path data.
    """
    found = np.empty((len(widths), len(glyphs), SIDE_PX, SIDE_PX), np.uint8)
    done = 0
    for row, width in enumerate(widths):
        style = Style(_DRAWN_PX, width)

        def draw(run: Sequence[GlyphStrokes], style: Style = style) -> list[Ink]:
            canvas = Canvas(style)
            return [of_picture(drawing.pixels_of(drawing.drawing_of(one), canvas, style)) for one in run]

        for inks in workers.in_threads(draw, glyphs, workers.available()):
            column = done - row * len(glyphs)
            found[row, column : column + len(inks)] = inks
            done += len(inks)
            progress("draw the characters", done, len(widths) * len(glyphs))
    return found


def _inked(grey: Ink) -> Ink:
    """0 for paper to 255 for ink, by the middle levels of the two; ink is what the border has less of."""
    dark = grey <= split(grey)
    border = np.concatenate([dark[0], dark[-1], dark[:, 0], dark[:, -1]])
    inks, papers = (grey[dark], grey[~dark]) if border.mean() <= 0.5 else (grey[~dark], grey[dark])  # noqa: PLR2004
    if not (inks.size and papers.size):
        return np.zeros_like(grey)
    paper, ink = float(np.median(papers)), float(np.median(inks))
    none, full = (paper + share * (ink - paper) for share in _SLOPE)
    levels = (grey.astype(np.float32) - none) / (full - none)
    return np.asarray(np.clip(levels, 0, 1) * 255 + 0.5, np.uint8)


def _framed(ink: Ink) -> Ink:
    """The box of the ink, moved into the middle and scaled to a fixed longer side."""
    (top, bottom), (left, right) = _edges(ink.sum(1, dtype=np.float64)), _edges(ink.sum(0, dtype=np.float64))
    side = max(bottom - top, right - left) / _FRAME
    pad = int(np.ceil(side))
    padded = Image.fromarray(np.pad(ink, pad))
    x, y = (left + right - side) / 2 + pad, (top + bottom - side) / 2 + pad
    box = (max(0.0, x), max(0.0, y), min(padded.width, x + side), min(padded.height, y + side))
    return np.asarray(padded.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR, box))


def _edges(profile: NDArray[np.float64]) -> tuple[float, float]:
    """Where the ink of a row of pixels begins and ends; all of it if there is none."""
    total = profile.cumsum()
    if total[-1] <= 0:
        return 0.0, float(len(profile))
    first, last = np.searchsorted(total, (_TRIM * total[-1], (1 - _TRIM) * total[-1]))
    return float(first), float(last + 1)
