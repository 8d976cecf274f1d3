"""Numbers as a line of blocks, for a terminal."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Final

BLOCKS: Final = "▁▂▃▄▅▆▇█"
GAP: Final = "×"
"""Stands for numbers that were not finite."""


def sparkline(values: Sequence[float | None], width: int, *, logarithmic: bool = False) -> str:
    """``values`` in at most ``width`` blocks, the lowest as the lowest block.

    Several values share a block by their mean, or by their geometric mean on a ``logarithmic`` scale; a block
    with one that is missing or not finite is a ``GAP``, so that no such thing is averaged away.
    """
    points = [_mean(part, logarithmic) for part in portions(values, width)]
    known = [point for point in points if point is not None]
    if not known:
        return GAP * len(points)
    low, high = min(known), max(known)
    return "".join(GAP if point is None else _block(point, low, high) for point in points)


def portions(values: Sequence[float | None], width: int) -> list[Sequence[float | None]]:
    """``values`` in at most ``width`` portions as equal as can be, in their order."""
    count = min(width, len(values))
    cuts = [round(index * len(values) / count) for index in range(count + 1)] if count else []
    return [values[start:end] for start, end in itertools.pairwise(cuts)]


def _mean(part: Sequence[float | None], logarithmic: bool) -> float | None:
    numbers = [value for value in part if value is not None and math.isfinite(value)]
    if len(numbers) < len(part):
        return None
    if logarithmic:
        return sum(math.log(max(number, 1e-300)) for number in numbers) / len(numbers)
    return sum(number / len(numbers) for number in numbers)


def _block(value: float, low: float, high: float) -> str:
    share = (value / 2 - low / 2) / width if (width := high / 2 - low / 2) > 0 else 0.0
    return BLOCKS[min(len(BLOCKS) - 1, int(share * len(BLOCKS)))]
