"""The pixels of a picture to be judged: cut out of its file, small, square and in RGB."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kanjiprep.dataset import workers
from kanjiprep.errors import InputError, TrainerError
from kanjiprep.evaluation.cells import Cell
from kanjiprep.progress import Progress
from kanjiprep.training.running import picture_file
from kanjiprep.training.running.picture_file import Box

MOST_PIXELS: Final = 1 << 28
"""Larger strips are refused unread: one of 60 pictures of 1024 px has a quarter of it. Four bytes each in memory."""
REMEDY: Final = "give a whole PNG, WebP or JPEG, a very large one in parts"

AT_ONCE: Final = 48
"""So many pictures are read at a time in a process, and none is started for fewer: Pillow decodes in one thread."""
_SMALL_PART: Final = 4
"""A file that is more than so many times its cell is a strip, and kept for the next cell of it."""
_JPEG_SCALES: Final = (8, 4, 2)


def load(cell: Cell, side_px: int = 256) -> NDArray[np.uint8]:
    """The picture as (``side_px``, ``side_px``, 3) uint8, RGB.

    A larger one is reduced to the mean of the pixels that fall together, a smaller one is smoothly enlarged. One that
    is not square is fitted inside, on the median colour of its own border. A strip stays in memory until another one
    is read, so that its cells cost one decoding together.

    Raises:
        InputError: If the file cannot be read as a PNG, WebP or JPEG, or is not as large as the cell says.
    """
    try:
        with picture_file.opened(cell.path, MOST_PIXELS) as picture:
            box = cell.box or (0, 0, *picture.size)
            if not _is_inside(box, picture.size):
                what = f"is {picture.width} x {picture.height} px, and has no part {box}"
                raise InputError(what, str(cell.path), "look for the pictures anew, for the file was changed")
            if picture.width * picture.height > _SMALL_PART * _area(box):
                return _fitted(whole(cell.path), box, side_px)
            return _fitted(picture, _draft(picture, box, side_px), side_px)
    except TrainerError as error:
        raise InputError(error.what, error.where, REMEDY) from error


def load_all(cells: Sequence[Cell], side_px: int, progress: Progress) -> dict[Cell, NDArray[np.uint8]]:
    """Every picture as by ``load``, read in several processes if there are many.

    Raises:
        InputError: If one cannot be read.
    """
    found: dict[Cell, NDArray[np.uint8]] = {}
    for part in workers.in_processes(functools.partial(_loaded, side_px), cells, workers.available(), AT_ONCE):
        found.update(zip(cells[len(found) :], part, strict=False))
        progress("read pictures", len(found), len(cells))
    return found


def _loaded(side_px: int, cells: Sequence[Cell]) -> list[NDArray[np.uint8]]:
    return [load(cell, side_px) for cell in cells]


def reduced(pixels: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """A square picture of (``side_px``, ``side_px``, 3), from one that is at least as large."""
    if len(pixels) == side_px:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((side_px, side_px), Image.Resampling.BOX))


def whole(path: Path) -> Image.Image:
    """The whole picture at ``path`` in RGB; not read again if it is the last one that was asked for.

    Raises:
        TrainerError: If it cannot be read, or has more than ``MOST_PIXELS``.
    """
    try:
        found = path.stat()
    except OSError:  # whatever it is, reading fails of the same, in words for the user
        return _whole(path, 0, 0)
    return _whole(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=1)
def _whole(path: Path, _changed_ns: int, _bytes: int) -> Image.Image:
    with picture_file.opened(path, MOST_PIXELS) as picture:
        return picture_file.on_white(picture)


def _area(box: Box) -> int:
    left, top, right, bottom = box
    return (right - left) * (bottom - top)


def _is_inside(box: Box, size: tuple[int, int]) -> bool:
    left, top, right, bottom = box
    return 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]


def _draft(picture: Image.Image, box: Box, side_px: int) -> Box:
    """``box`` in the picture, which is set to be decoded at a fraction of its size if that is as good."""
    if picture.format != "JPEG":
        return box
    left, top, right, bottom = box
    longest = max(right - left, bottom - top)
    for scale in _JPEG_SCALES:
        if longest % (scale * side_px) == 0 and not any(edge % scale for edge in box):
            picture.draft(None, (picture.width // scale, picture.height // scale))
            return (left // scale, top // scale, right // scale, bottom // scale)
    return box


def _fitted(picture: Image.Image, box: Box, side_px: int) -> NDArray[np.uint8]:
    plain = picture if picture.mode in {"L", "RGB"} and not picture.has_transparency_data else None
    small = _scaled(plain or picture_file.on_white(picture), box, side_px).convert("RGB")
    if small.size == (side_px, side_px):
        return np.array(small)
    pixels = np.asarray(small)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    square = np.empty((side_px, side_px, 3), np.uint8)
    square[:] = np.median(border, axis=0).astype(np.uint8)
    top, left = (side_px - small.height) // 2, (side_px - small.width) // 2
    square[top : top + small.height, left : left + small.width] = pixels
    return square


def _scaled(picture: Image.Image, box: Box, side_px: int) -> Image.Image:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    longest = max(width, height)
    factor = longest // side_px
    if factor and longest == factor * side_px and not (width % factor or height % factor):
        return picture.crop(box) if factor == 1 else picture.reduce(factor, box)
    size = (max(1, round(width * side_px / longest)), max(1, round(height * side_px / longest)))
    how = Image.Resampling.BOX if longest >= side_px else Image.Resampling.BICUBIC
    return picture.resize(size, how, box)
