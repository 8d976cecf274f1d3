"""A character's strokes as arrays of cubic curves: to change them, and to draw what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kanjiprep.dataset import path_data, raster
from kanjiprep.dataset.kanjivg import GlyphStrokes
from kanjiprep.errors import InputError

Curves = NDArray[np.float64]
"""A stroke: (curves, 4, 2), the start, both control points and the end of each, in KanjiVG units."""

_SMOOTH: Final = 24
"""Points that stand for a curve where its length matters; KanjiVG's longest curves then have steps of 4 units."""


def curves_of(glyph: GlyphStrokes) -> list[Curves]:
    """The strokes of ``glyph``, in writing order.

    Raises:
        InputError: If one is broken, or is not made of cubic curves.
    """
    return [_curves(stroke.path, glyph) for stroke in glyph.strokes]


def drawn(strokes: Sequence[Curves], size_px: int, style: raster.Style | None = None) -> raster.Pixels:
    """The picture of ``strokes``: (size_px, size_px) uint8, black on white.

    Args:
        strokes: What is drawn.
        size_px: Side of the picture.
        style: How it is drawn before it is made that large; None for as published, at once so large.
    """
    canvas = raster.Canvas(style or raster.Style(size_px))
    pixels = canvas.draw([_segments(stroke) for stroke in strokes])
    if pixels.shape[0] == size_px:
        return pixels
    how = Image.Resampling.BOX if pixels.shape[0] > size_px else Image.Resampling.BICUBIC
    return np.array(Image.fromarray(pixels).resize((size_px, size_px), how))


def along(stroke: Curves) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points on ``stroke`` and how far along it each one is, both from its start."""
    at = np.linspace(0, 1, _SMOOTH)
    bernstein = np.stack([(1 - at) ** 3, 3 * at * (1 - at) ** 2, 3 * at**2 * (1 - at), at**3], 1)
    points = np.concatenate([bernstein @ curve for curve in stroke])
    steps = np.hypot(*np.diff(points, axis=0).T)
    return points, np.concatenate([[0.0], np.cumsum(steps)])


def part_of(points: NDArray[np.float64], distances: NDArray[np.float64], begin: float, end: float) -> Curves:
    """The piece of a stroke between two distances along it, as straight lines.

    Args:
        points: From ``along``.
        distances: From ``along``.
        begin: Where the piece begins.
        end: Where it ends.
    """
    inside = distances[(distances > begin) & (distances < end)]
    places = np.concatenate([[begin], inside, [end]])
    line = np.stack([np.interp(places, distances, points[:, axis]) for axis in range(2)], 1)
    return lines(line)


def lines(points: NDArray[np.float64]) -> Curves:
    """Straight lines from each of ``points`` to the next, as a stroke."""
    begin, end = points[:-1], points[1:]
    return np.stack([begin, (2 * begin + end) / 3, (begin + 2 * end) / 3, end], 1)


def _curves(path: str, glyph: GlyphStrokes) -> Curves:
    try:
        segments = path_data.segments(path)
    except path_data.PathError as error:
        raise InputError(f"a stroke of {glyph.literal} is broken: {error}", glyph.where) from error
    if segments is None or len(segments) == sum(segment[0] == "M" for segment in segments):
        raise InputError(f"a stroke of {glyph.literal} is not made of cubic curves", glyph.where)
    x = y = 0.0
    found = []
    for kind, x1, y1, x2, y2, x3, y3 in segments:
        left, top = (x, y) if kind == "c" else (0.0, 0.0)
        if kind != "M":
            found.append((x, y, x1 + left, y1 + top, x2 + left, y2 + top, x3 + left, y3 + top))
        x, y = x3 + left, y3 + top
    return np.array(found).reshape(-1, 4, 2)


def _segments(stroke: Curves) -> list[path_data.Segment]:
    segments: list[path_data.Segment] = []
    end: list[float] = []
    for first, second, third, fourth in stroke.tolist():
        if first != end:
            segments.append(("M", *first, *first, *first))
        segments.append(("C", *second, *third, *fourth))
        end = fourth
    return segments
