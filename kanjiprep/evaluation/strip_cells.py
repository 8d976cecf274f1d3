"""Where the pictures in a strip are: between its separators, without its frame and its labels."""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image

from kanjiprep.errors import InputError
from kanjiprep.evaluation import strip_labels, strip_lines
from kanjiprep.evaluation.strip_lines import Levels, Span
from kanjiprep.training.running.picture_file import Box

LEAST_PX: Final = 32
"""Smaller pictures cannot be judged."""

_SAMPLES: Final = 160
_A_CELL: Final = 48
_MOST_SAMPLES: Final = 1 << 23


def find(picture: Image.Image, columns: int, rows: int, where: str) -> tuple[Box, ...]:
    """The boxes of the pictures in ``picture`` (RGB), row by row.

    Lines of one colour between them, a frame around them, and rows of text on a plain ground above or below them are
    left out where they are plain to see; where not, the strip is cut into equal parts.

    Args:
        picture: The strip.
        columns: Pictures beside one another.
        rows: Pictures below one another.
        where: The file, for messages.

    Raises:
        InputError: If the pictures are under ``LEAST_PX`` or plainly not of one size, or if separators tell of
            another number of them.
    """
    if min(picture.width // columns, picture.height // rows) < LEAST_PX:
        size = f"{picture.width // columns} x {picture.height // rows}"
        what = f"is {picture.width} x {picture.height} px: {columns} columns and {rows} rows would be {size} px each"
        raise InputError(what, where, "look whether it is the strip, and count its columns and rows")
    across = _spans(_lines_across(picture, rows), columns, rows, "columns", where)
    lines_down = _lines_down(picture, columns)
    down = _spans(lines_down, rows, columns, "rows", where)
    down = strip_labels.without(lines_down, down, across, picture.width)
    found = tuple((left, top, right, bottom) for top, bottom in down for left, right in across)
    _check(found, where)
    return found


def _lines_across(picture: Image.Image, rows: int) -> Levels:
    """Pixels of every column of ``picture`` at some heights."""
    samples = _samples(picture.width, picture.height, rows)
    return np.swapaxes(np.asarray(picture.resize((picture.width, samples), Image.Resampling.NEAREST)), 0, 1)


def _lines_down(picture: Image.Image, columns: int) -> Levels:
    """Pixels of every row of ``picture`` at some places."""
    samples = _samples(picture.height, picture.width, columns)
    return np.asarray(picture.resize((samples, picture.height), Image.Resampling.NEAREST))


def _samples(lines: int, length: int, cells: int) -> int:
    return min(length, max(_SAMPLES, _A_CELL * cells), max(_SAMPLES, _MOST_SAMPLES // lines))


def _spans(lines: Levels, count: int, cells_along: int, name: str, where: str) -> list[Span]:
    found = strip_lines.find(lines, count, cells_along)
    if found.counted is not None:
        what = f"has {found.counted} {name} by the lines between them, not {count}"
        raise InputError(what, where, f"give the number of {name} as it is")
    if not found.is_regular:
        widths = sorted(end - start for start, end in found.spans)
        what = f"has {name} of {widths[0]} to {widths[-1]} px by the lines between them"
        raise InputError(what, where, "give a strip of pictures of one size")
    return found.spans


def _check(boxes: tuple[Box, ...], where: str) -> None:
    width = min(right - left for left, _, right, _ in boxes)
    height = min(bottom - top for _, top, _, bottom in boxes)
    if min(width, height) < LEAST_PX:
        what = f"has pictures of {width} x {height} px, less than {LEAST_PX} px"
        raise InputError(what, where, "look whether it is the strip, and count its columns and rows")
