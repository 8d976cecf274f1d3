"""Pictures looked at one by one: what a judge of a dataset needs to know of each."""

from __future__ import annotations

import functools
import hashlib
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kanjiprep.dataset import workers

THUMB_PX: Final = 32
"""Side of the thumbnails by which near-duplicates are found."""
PAPER: Final = 250
"""Grey from which on a pixel counts as paper."""
MAX_SIDE_PX: Final = 8192

_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)


class Picture(NamedTuple):
    """One picture's facts.

    Attributes:
        name: File name.
        fault: Why it cannot be read, or empty; then all that follows is zero.
        size_px: Width and height.
        is_grey: Whether every pixel is grey.
        ink: Mean darkness, 0 (white) to 1 (black).
        contrast: Darkest to lightest pixel, 0 to 255.
        touches_edge: Whether a pixel of the outermost row or column is not paper.
        sha256: Of its grey pixels.
        thumb: (THUMB_PX * THUMB_PX) bytes of its shrunken form.
    """

    name: str
    fault: str
    size_px: tuple[int, int] = (0, 0)
    is_grey: bool = False
    ink: float = 0.0
    contrast: int = 0
    touches_edge: bool = False
    sha256: str = ""
    thumb: bytes = b""


def inspect_all(folder: Path, names: Sequence[str], worker_count: int) -> Iterator[list[Picture]]:
    """The facts of each named picture in ``folder``, in order, a run at a time."""
    yield from workers.in_threads(functools.partial(_inspect_run, folder), names, worker_count)


def near_duplicates(pictures: Sequence[Picture], least: float) -> list[tuple[float, str, str]]:
    """Pairs whose thumbnails correlate at least ``least`` (0 to 1) but not wholly, the likest first."""
    thumbs = np.array([np.frombuffer(one.thumb, np.uint8) for one in pictures], np.float32)
    if not len(thumbs):
        return []
    centred = thumbs - thumbs.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = centred / np.where(norms > 0, norms, 1)
    pairs = []
    for start in range(0, len(unit), 512):
        likeness = unit[start : start + 512] @ unit.T
        for row, column in np.argwhere(likeness >= least):
            first, second = pictures[start + row], pictures[column]
            if start + row < column and first.sha256 != second.sha256:
                pairs.append((float(likeness[row, column]), first.name, second.name))
    return sorted(pairs, reverse=True)


def _inspect_run(folder: Path, names: Sequence[str]) -> list[Picture]:
    return [_inspect(folder / name) for name in names]


def _inspect(path: Path) -> Picture:
    try:
        with Image.open(path) as picture:
            if max(picture.size) > MAX_SIDE_PX:
                return Picture(path.name, f"is {picture.size[0]} x {picture.size[1]} px")
            return _facts(path.name, picture)
    except _UNREADABLE as error:
        return Picture(path.name, " ".join(str(error).split()) or type(error).__name__)


def _facts(name: str, picture: Image.Image) -> Picture:
    grey = picture if picture.mode == "L" else picture.convert("L")
    data = grey.tobytes()
    levels = np.array(grey.histogram(), np.float64)
    used = np.flatnonzero(levels)
    return Picture(
        name=name,
        fault="",
        size_px=picture.size,
        is_grey=_is_grey(picture),
        ink=float(1 - levels @ np.arange(256) / (255 * levels.sum())),
        contrast=int(used[-1] - used[0]),
        touches_edge=_touches_edge(np.frombuffer(data, np.uint8).reshape(grey.height, grey.width)),
        sha256=hashlib.sha256(data).hexdigest(),
        thumb=grey.resize((THUMB_PX, THUMB_PX), Image.Resampling.BOX, reducing_gap=2).tobytes(),
    )


def _is_grey(picture: Image.Image) -> bool:
    if picture.mode in ("L", "1"):
        return True
    colours = np.asarray(picture.convert("RGB"))
    return bool((colours == colours[..., :1]).all())


def _touches_edge(pixels: NDArray[np.uint8]) -> bool:
    edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    return any(bool((edge < PAPER).any()) for edge in edges)
