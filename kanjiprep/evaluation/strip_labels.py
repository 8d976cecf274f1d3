"""Rows of text above or below the pictures of a strip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kanjiprep.evaluation.strip_lines import SAME, Levels, Span

_SQUARE: Final = 0.02
_LEAST_PX: Final = 8
_MOST: Final = 0.35
_FRAME: Final = 1 / 16
_LEAST_INK: Final = 0.002
_MOST_INK: Final = 0.3
_BLANK_PX: Final = 2


@dataclass(frozen=True, slots=True)
class _Cut:
    """What may be cut away.

    Attributes:
        bands: Rows of pixels that are text.
        rows: Rows of pictures that are left.
        is_blank_inside: Whether a band must end blank at the picture, for nothing else tells where it ends.
        is_bare: Whether the bands are of one colour, without text.
    """

    bands: list[Span]
    rows: list[Span]
    is_blank_inside: bool
    is_bare: bool = False


def without(lines: Levels, down: Sequence[Span], across: Sequence[Span], width_px: int) -> list[Span]:
    """``down``, the rows of pictures, without what is plainly text on a plain ground above or below them.

    Square pictures have no such text in them. Others are cut where the ground of the text is of another colour than
    the pictures' edge, or where what is left is square; such a ground without text only if both are so.

    Args:
        lines: Every row of pixels of the strip, at some places along it.
        down: Top and bottom of the rows of pictures.
        across: Left and right of the columns of pictures.
        width_px: Of the strip.
    """
    inner = lines[:, _inside(lines.shape[1], across, width_px)]
    side_px = round(float(np.median([right - left for left, right in across])))
    found = list(down)
    for propose in (_ground_above, _ground_below, _more_than_square, _bare):
        found = _unframed(inner, found, side_px)
        if abs(_height_px(found) - side_px) <= _SQUARE * side_px:
            break
        inked = [(ink, cut) for cut in propose(inner, found, side_px) if (ink := _ink(inner, cut)) is not None]
        if inked:
            found = min(inked, key=lambda pair: pair[0])[1].rows
    return found


def _inside(samples: int, across: Sequence[Span], width_px: int) -> NDArray[np.bool_]:
    """The places along a line that are in a picture."""
    places = (np.arange(samples) + 0.5) * width_px / samples
    found = np.zeros(samples, bool)
    for left, right in across:
        found |= (places >= left) & (places < right)
    return found


def _height_px(rows: Sequence[Span]) -> float:
    return float(np.median([bottom - top for top, bottom in rows]))


def _unframed(lines: Levels, rows: list[Span], side_px: int) -> list[Span]:
    """Square rows, where what is more than square is blank, half of it above and half below."""
    edge_px = (round(_height_px(rows)) - side_px) // 2
    if edge_px <= 0 or edge_px > _FRAME * side_px:
        return rows
    bands = [lines[start : start + edge_px] for top, bottom in rows for start in (top, bottom - edge_px)]
    if _inked(np.concatenate(bands)).any():
        return rows
    return [(top + edge_px, bottom - edge_px) for top, bottom in rows]


def _ground_above(lines: Levels, rows: Sequence[Span], _side_px: int) -> Iterator[_Cut]:
    heights = [_ground_px(lines[top:bottom]) for top, bottom in rows]
    if max(heights) - min(heights) <= _BLANK_PX:
        yield _cut_above(rows, max(heights), is_blank_inside=False)


def _ground_below(lines: Levels, rows: Sequence[Span], _side_px: int) -> Iterator[_Cut]:
    heights = [_ground_px(lines[top:bottom][::-1]) for top, bottom in rows]
    if max(heights) - min(heights) <= _BLANK_PX:
        yield _cut_below(rows, max(heights), is_blank_inside=False)


def _more_than_square(_lines: Levels, rows: Sequence[Span], side_px: int) -> Iterator[_Cut]:
    """The four ways in which what is too much may be text: above or below each row, or all of them."""
    more_px = round(_height_px(rows)) - side_px
    if more_px <= 0:
        return
    yield _cut_above(rows, more_px, is_blank_inside=True)
    yield _cut_below(rows, more_px, is_blank_inside=True)
    (top, bottom), count = (rows[0][0], rows[-1][1]), len(rows)
    more_px = bottom - top - count * side_px
    if count > 1 and sum(end - start for start, end in rows) == bottom - top:
        for band, start in (((top, top + more_px), top + more_px), ((bottom - more_px, bottom), top)):
            even = [(start + number * side_px, start + (number + 1) * side_px) for number in range(count)]
            yield _Cut([band], even, is_blank_inside=True)


def _bare(lines: Levels, rows: Sequence[Span], side_px: int) -> Iterator[_Cut]:
    """A ground without text, if what is left is square."""
    for cut in (*_ground_above(lines, rows, side_px), *_ground_below(lines, rows, side_px)):
        if abs(_height_px(cut.rows) - side_px) <= _SQUARE * side_px:
            yield replace(cut, is_bare=True)


def _cut_above(rows: Sequence[Span], height_px: int, *, is_blank_inside: bool) -> _Cut:
    bands = [(top, top + height_px) for top, _ in rows]
    return _Cut(bands, [(top + height_px, bottom) for top, bottom in rows], is_blank_inside)


def _cut_below(rows: Sequence[Span], height_px: int, *, is_blank_inside: bool) -> _Cut:
    bands = [(bottom - height_px, bottom) for _, bottom in rows]
    return _Cut(bands, [(top, bottom - height_px) for top, bottom in rows], is_blank_inside)


def _ground_px(lines: Levels) -> int:
    """How many lines from the first on are mostly of its colour."""
    medians = np.median(lines, axis=1)
    is_other = np.abs(medians - medians[0]).max(axis=1) > SAME
    return int(np.argmax(is_other)) if is_other.any() else len(lines)


def _ink(lines: Levels, cut: _Cut) -> float | None:
    """Share of ink in the bands that would be cut away; None if these are not what they are taken for."""
    shares = []
    for (start, end), (top, bottom) in zip(cut.bands, cut.rows[: len(cut.bands)], strict=True):
        if end - start < _LEAST_PX or end - start > _MOST * (bottom - top):
            return None
        ink = _inked(lines[start:end])
        edge = ink[-_BLANK_PX:] if start < top else ink[:_BLANK_PX]
        if ink.max() >= 1 / 2 or (cut.is_blank_inside and edge.any()):
            return None
        shares.append(float(ink.mean()))
    least, most = (0.0, _LEAST_INK) if cut.is_bare else (_LEAST_INK, _MOST_INK)
    return max(shares) if all(least <= share <= most for share in shares) else None


def _inked(lines: Levels) -> NDArray[np.float64]:
    """The share of each line that is not of the commonest colour of all."""
    ground = np.median(lines.reshape(-1, 3), axis=0).astype(np.int16)
    found: NDArray[np.float64] = (np.abs(lines - ground).max(axis=2) > SAME).mean(axis=1)
    return found
