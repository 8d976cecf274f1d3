"""Lines of one colour that part a strip into equal cells along one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

SAME: Final = 24
"""Levels that differ by no more are the same: what JPEG does to plain areas."""

Span = tuple[int, int]
Levels = NDArray[np.uint8]
"""(lines, samples, 3): every line of pixels across the axis at some places along it."""

_EVEN: Final = 0.95
_THIN: Final = 1 / 8
_ALIKE: Final = 0.12
_NEAR: Final = 0.2
_UNEQUAL: Final = 0.03
_SLACK_PX: Final = 2.0
_PARTS: Final = ((0.0, 1.0), (0.0, 0.65), (0.35, 1.0))
"""Of a cell's length, that a separator must have all along: labels may be at one end. The strokes of 国 and 三 come
close to both ends of a cell, but do not reach them, and so are no separators."""


@dataclass(frozen=True, slots=True)
class Parting:
    """How an axis is parted.

    Attributes:
        spans: Start and end of each cell, ascending.
        is_regular: Whether the separators that were found are where those of equal cells are.
        counted: How many cells separators tell of, if it is another number than was asked for.
    """

    spans: list[Span]
    is_regular: bool = True
    counted: int | None = None


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring lines that are of one colour, the same in all."""

    start: int
    end: int
    colour: NDArray[np.float64]

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2

    @property
    def width(self) -> int:
        return self.end - self.start


def find(lines: Levels, count: int, cells_along: int) -> Parting:
    """How ``lines`` are parted into ``count`` cells: between separators, or else evenly within a frame.

    Args:
        lines: Along the axis.
        count: Cells along the axis.
        cells_along: Cells that a line runs through, one after the other.
    """
    length = len(lines)
    for part in _PARTS:
        chosen = lines[:, _samples(lines.shape[1], cells_along, part)]
        runs = _runs(chosen)
        separators = _separators(runs, chosen, max(2.0, _THIN * length / count))
        placed = _placed(separators, count, length)
        if placed and (parting := _between(placed, runs, count, length)) is not None:
            return parting
        if part == _PARTS[0] and (counted := _counted(separators, count, length)):
            return Parting([], True, counted)
    start, end = _frame(_runs(lines), lines, _THIN * length / count)
    edges = [round(start + number * (end - start) / count) for number in range(count + 1)]
    return Parting(list(pairwise(edges)))


def _samples(samples: int, cells: int, part: tuple[float, float]) -> NDArray[np.bool_]:
    along = (np.arange(samples) + 0.5) / samples * cells % 1
    return (along >= part[0]) & (along <= part[1])


def _runs(lines: Levels) -> list[_Run]:
    """The runs of lines that are even."""
    medians = np.median(lines, axis=1)
    is_even = (np.abs(lines - medians[:, None, :].astype(np.int16)).max(axis=2) <= SAME).mean(axis=1) >= _EVEN
    is_next = is_even[1:] & is_even[:-1] & (np.abs(np.diff(medians, axis=0)).max(axis=1) <= SAME)
    starts = np.flatnonzero(is_even & ~np.concatenate([[False], is_next]))
    ends = np.flatnonzero(is_even & ~np.concatenate([is_next, [False]])) + 1
    return [
        _Run(int(start), int(end), np.median(medians[start:end], axis=0))
        for start, end in zip(starts, ends, strict=True)
    ]


def _separators(runs: Sequence[_Run], lines: Levels, most_px: float) -> list[_Run]:
    """The thin runs that are unlike what is on both sides of them; those of the commonest colour."""
    found = [
        one
        for one in runs
        if one.width <= most_px and _stands_out(one, one.start, lines) and _stands_out(one, one.end, lines)
    ]
    alike = [[other for other in found if _is_same(one.colour, other.colour)] for one in found]
    return max(alike, key=len, default=[])


def _stands_out(run: _Run, edge: int, lines: Levels) -> bool:
    """Whether hardly anything beside that edge, a line further for what is blurred, is of the run's colour.

    A white gap between kanji on white does not stand out, and is no separator: nothing is lost by leaving it in.
    """
    beside = edge + 1 if edge == run.end else edge - 2
    if not 0 <= beside < len(lines):
        return False
    return float((np.abs(lines[beside] - run.colour).max(axis=1) <= SAME).mean()) <= _ALIKE


def _is_same(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    return bool(np.abs(one - other).max() <= SAME)


def _placed(separators: Sequence[_Run], count: int, length: int) -> dict[int, _Run]:
    """The separators that are near where those of equal cells are, by the number of the cell that they end."""
    found: dict[int, _Run] = {}
    offs: dict[int, float] = {}
    for one in separators:
        place = one.middle * count / length
        number = round(place)
        off = abs(place - number)
        if 1 <= number < count and off <= min(_NEAR, offs.get(number, _NEAR)):
            found[number], offs[number] = one, off
    return found


def _between(placed: dict[int, _Run], runs: Sequence[_Run], count: int, length: int) -> Parting | None:
    """The cells between separators, if there are enough of these, and they are where those of equal cells are."""
    if len(placed) < max(1, (count - 1) / 2):
        return None
    widths = [one.width for one in placed.values()]
    width = float(np.median(widths))
    origin, period = _grid(placed, _edges(placed, runs, length), count, width)
    spans = []
    for number in range(count):
        before, after = placed.get(number), placed.get(number + 1)
        start = before.end if before else round(origin + period * number + width / 2)
        end = after.start if after else round(origin + period * (number + 1) - width / 2)
        spans.append((max(0, start), min(length, end)))
    cells = [end - start for start, end in spans]
    if max(cells) - min(cells) <= max(_SLACK_PX, _UNEQUAL * max(cells)):
        return Parting(spans)
    is_plain = len(placed) == count - 1 > 1 and max(widths) - min(widths) <= _SLACK_PX
    return Parting(spans, is_regular=False) if is_plain else None


def _edges(placed: dict[int, _Run], runs: Sequence[_Run], length: int) -> Span:
    """Where the cells begin and end, if what is of the separators' colour at the ends is no part of them."""
    line = next(iter(placed.values()))
    frame = [one for one in runs if _is_same(one.colour, line.colour)]
    most = _THIN * length
    start = next((one.end for one in frame if one.start == 0 and one.width <= most), 0)
    return start, next((one.start for one in frame if one.end == length and one.width <= most), length)


def _grid(placed: dict[int, _Run], edges: Span, count: int, width: float) -> tuple[float, float]:
    """The middle of the separator before the first cell, if there were one, and the distance to the next."""
    if len(placed) > 1:
        period, origin = np.polyfit(list(placed), [one.middle for one in placed.values()], 1)
        return float(origin), float(period)
    start, end = edges
    return start - width / 2, (end - start + width) / count


def _counted(separators: Sequence[_Run], count: int, length: int) -> int | None:
    """How many cells evenly spaced separators tell of, if it is not ``count`` and beyond doubt."""
    if len(separators) <= 1 or len(separators) == count - 1:
        return None
    middles = np.array([one.middle for one in separators])
    period = (middles[-1] - middles[0]) / (len(separators) - 1)
    outer = np.array([middles[0], length - middles[-1]])
    slack = max(_SLACK_PX, _UNEQUAL * period)
    is_even = np.abs(np.diff(middles) - period).max() <= slack and np.abs(outer - period).max() <= 4 * slack
    return len(separators) + 1 if is_even else None


def _frame(runs: Sequence[_Run], lines: Levels, most_px: float) -> Span:
    """Start and end of what is within a frame: even runs at both ends, alike, that stand out."""
    whole = (0, len(lines))
    if len(runs) <= 1 or runs[0].start > 0 or runs[-1].end < len(lines):
        return whole
    first, last = runs[0], runs[-1]
    is_alike = abs(first.width - last.width) <= 1 and first.width <= most_px and _is_same(first.colour, last.colour)
    if not is_alike or not _stands_out(first, first.end, lines) or not _stands_out(last, last.start, lines):
        return whole
    return first.end, last.start
