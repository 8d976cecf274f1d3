"""Pictures small enough for the page: every one as a thumbnail, as many as fit once more to be enlarged."""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kanjiprep.dataset.workers import available, in_processes
from kanjiprep.evaluation import cell_pixels
from kanjiprep.evaluation.cells import Cell
from kanjiprep.progress import Progress

THUMB_PX: Final = 160
LARGE_PX: Final = 448
BUDGET: Final = 13_800_000
"""Bytes of the page for all pictures and what is said of them."""
_SAID: Final = 900
"""Bytes of that for what is said of a picture, about."""
_LEAST: Final = 0.3
"""Share of ``BUDGET`` that pictures have however much is said."""
_THUMB_SHARE: Final = 0.8
_MOST_THUMB: Final = 6_000
_MOST_LARGE: Final = 1_000
"""A picture further down the list than that is not tried, because it could hardly have room."""
_THUMBS: Final = ((THUMB_PX, 75), (THUMB_PX, 40), (112, 30), (80, 15), (48, 5))
"""Sides and qualities, the best first; a thumbnail is as good as its share of the budget allows."""
_LARGES: Final = ((LARGE_PX, 60), (LARGE_PX, 10))
_LARGE_ENOUGH: Final = 30_000
"""Bytes of a large picture that is shown well; more is noise, of which there is little to see."""
_METHOD: Final = 2
_STAGE: Final = "pictures"


@dataclass(frozen=True, slots=True)
class Embedded:
    """A picture as the page holds it.

    Attributes:
        thumb: A ``data:`` address of at most ``THUMB_PX``.
        large: One of ``LARGE_PX``; empty if there was no room for it.
    """

    thumb: str
    large: str


def embedded(cells: Mapping[Cell, int], progress: Progress) -> dict[Cell, Embedded]:
    """All of ``cells``, ready for the page.

    Args:
        cells: How often each stands on the page; those that most deserve to be enlarged first.
        progress: Hears how many are done.

    Raises:
        KanjiprepError: If a picture cannot be read.
    """
    budget = max(int(_LEAST * BUDGET), BUDGET - _SAID * len(cells))
    most = min(_MOST_THUMB, int(_THUMB_SHARE * budget * 3 / 4) // max(1, len(cells)))
    made: dict[Cell, Embedded] = {}
    progress(_STAGE, 0, len(cells))
    wanted = [(cell, number < _MOST_LARGE) for number, cell in enumerate(cells)]
    for part in in_processes(functools.partial(_some, most), wanted, available(), cell_pixels.AT_ONCE):
        made |= part
        progress(_STAGE, len(made), len(cells))
    return _fitted(made, cells, budget)


def _some(most: int, wanted: Sequence[tuple[Cell, bool]]) -> dict[Cell, Embedded]:
    return {cell: _one(cell, is_large, most) for cell, is_large in wanted}


def _one(cell: Cell, is_large: bool, most: int) -> Embedded:
    loaded = cell_pixels.load(cell, LARGE_PX if is_large else THUMB_PX)
    return Embedded(_address(loaded, _THUMBS, most), _address(loaded, _LARGES, _LARGE_ENOUGH) if is_large else "")


def _address(loaded: NDArray[np.uint8], levels: Sequence[tuple[int, int]], most: int) -> str:
    """As good a picture as ``most`` bytes allow, and at worst the last of ``levels``, as a ``data:`` address."""
    data = b""
    for side_px, quality in levels:
        data = _webp(Image.fromarray(cell_pixels.reduced(loaded, side_px)), quality)
        if len(data) <= most:
            break
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}"


def _webp(picture: Image.Image, quality: int) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=quality, method=_METHOD)
    return stream.getvalue()


def _fitted(made: Mapping[Cell, Embedded], times: Mapping[Cell, int], budget: int) -> dict[Cell, Embedded]:
    """Large pictures in order for as long as there is room for each as often as it stands on the page."""
    left = budget - sum(len(one.thumb) * times[cell] for cell, one in made.items())
    fitted: dict[Cell, Embedded] = {}
    for cell, one in made.items():
        cost = len(one.large) * times[cell]
        fits = cost <= left
        left -= cost if fits else 0
        fitted[cell] = one if fits else replace(one, large="")
    return fitted
