"""Damage to what a character is made of: strokes moved, bent, lost, added, replaced. All in KanjiVG units.

Every function takes the strokes, a severity above 0 and at most 1, the strokes of other characters and a generator.
What it draws at random does not depend on the severity, so that with the same generator more of it is more of the
same damage. KanjiVG's square is 109 units wide: one unit is 2.35 px of a picture of 256.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from kanjiprep.dataset.kanjivg import SIDE, STROKE_WIDTH
from kanjiprep.evaluation.proof.curves import Curves, along, part_of

Strokes = list[Curves]
Others = Sequence[Strokes]

BORDER: Final = 6.0
"""Nothing that is added or moved comes nearer to the edge of the square than this, as in KanjiVG's own drawings."""
OVERLAID: Final = 3
"""Characters that ``overlay`` adds at full severity."""
WARP: Final = 11.0
"""Root mean square of the displacement that ``warp`` makes at full severity, each way."""
WAVES: Final = 4
"""How many waves ``warp`` adds up each way: fewer look regular, more look the same."""
JITTER: Final = 20.0
"""Standard deviation of the distance that ``jitter`` moves a stroke at full severity, each way."""
JITTER_TURN: Final = math.radians(50)
"""Standard deviation of the angle that ``jitter`` turns a stroke by at full severity."""
MISSING: Final = 0.8
"""Share of the strokes that ``missing`` takes away at full severity."""
GAP_EVERY: Final = 16.0
"""Length of stroke on which ``broken`` makes one gap."""
GAP: Final = 9.6
"""Length of a gap, as seen, at full severity."""
SHRUNK: Final = 0.75
"""Share of its size, and of the width of its strokes, that ``scale`` takes from a character at full severity."""


def scribble(strokes: Strokes, severity: float, _others: Others, rng: np.random.Generator) -> Strokes:
    """``severity`` is the share of strokes, at least one, that random curves all over the square replace."""
    order = rng.permutation(len(strokes))
    curves = [_scribbled(rng) for _ in strokes]
    replaced = set(order[: _share(severity, len(strokes))].tolist())
    return [curves[index] if index in replaced else stroke for index, stroke in enumerate(strokes)]


def overlay(strokes: Strokes, severity: float, others: Others, rng: np.random.Generator) -> Strokes:
    """One other character is drawn over this one up to a severity of a third, two up to two thirds, then three."""
    order = rng.permutation(len(others))[: math.ceil(severity * OVERLAID)]
    return [*strokes, *(stroke for index in order for stroke in others[index])]


def warp(strokes: Strokes, severity: float, _others: Others, rng: np.random.Generator) -> Strokes:
    """All is displaced by a smooth field of waves 30 to 70 units long, by 26 px each way (root mean square) at 1."""
    waves = _waves(rng)
    return [stroke + severity * WARP * waves(stroke) for stroke in strokes]


def jitter(strokes: Strokes, severity: float, _others: Others, rng: np.random.Generator) -> Strokes:
    """Every stroke is moved by 47 px each way and turned by 50 degrees (standard deviations) at 1, on the sheet."""
    moves, turns = rng.standard_normal((len(strokes), 2)), rng.standard_normal(len(strokes))
    return [
        _inside(_turned(stroke, turn * severity * JITTER_TURN) + move * severity * JITTER)
        for stroke, move, turn in zip(strokes, moves, turns, strict=True)
    ]


def missing(strokes: Strokes, severity: float, _others: Others, rng: np.random.Generator) -> Strokes:
    """0.8 times ``severity`` is the share of strokes lost, at least one; a single stroke loses that part."""
    if len(strokes) == 1:
        points, distances = along(strokes[0])
        return [part_of(points, distances, 0, float(distances[-1]) * (1 - MISSING * severity))]
    lost = min(_share(MISSING * severity, len(strokes)), len(strokes) - 1)
    kept = sorted(rng.permutation(len(strokes))[lost:].tolist())
    return [strokes[index] for index in kept]


def broken(strokes: Strokes, severity: float, _others: Others, rng: np.random.Generator) -> Strokes:
    """A gap of 23 px times ``severity`` every 38 px of each stroke, from a random place on."""
    gap = STROKE_WIDTH + GAP * severity  # the round ends of both pieces cover a stroke's width of it
    return [piece for stroke in strokes for piece in _pieces(stroke, gap, rng.uniform(0, GAP_EVERY))]


def extra(strokes: Strokes, severity: float, _others: Others, rng: np.random.Generator) -> Strokes:
    """``severity`` times as many strokes again (of four, if it has fewer), slightly bent, anywhere."""
    most = max(len(strokes), 4)
    added = [_stray(rng) for _ in range(most)]
    return [*strokes, *added[: _share(severity, most)]]


def scale(strokes: Strokes, severity: float, _others: Others, rng: np.random.Generator) -> Strokes:
    """0.75 times ``severity`` of the size is lost; it lies by as much of the free room off the middle."""
    factor, turn = 1 - SHRUNK * severity, rng.uniform(0, 2 * np.pi)
    away = np.array([np.cos(turn), np.sin(turn)]) * (1 - factor) * SIDE / 2 * severity
    return [(stroke - SIDE / 2) * factor + SIDE / 2 + away for stroke in strokes]


def _share(share: float, count: int) -> int:
    """That share of ``count``, rounded, but at least one."""
    return max(1, round(share * count))


def _scribbled(rng: np.random.Generator) -> Curves:
    """A smooth curve through the square, of two cubic ones."""
    first, second, middle, third, end = rng.uniform(BORDER, SIDE - BORDER, (5, 2))
    mirrored = np.clip(2 * middle - second, BORDER, SIDE - BORDER)
    return np.array([[first, first, second, middle], [middle, mirrored, third, end]])


def _stray(rng: np.random.Generator) -> Curves:
    """A stroke 15 to 60 units long, bent by up to a fifth of that."""
    length, turn, bend = rng.uniform(15, 60), rng.uniform(0, np.pi), rng.uniform(-0.2, 0.2)
    along_it = np.array([np.cos(turn), np.sin(turn)]) * length
    across = np.array([-along_it[1], along_it[0]]) * bend
    begin = rng.uniform(BORDER, SIDE - BORDER, 2) - along_it / 2
    return _inside(begin + np.array([[0 * across, along_it / 3 + across, along_it * 2 / 3 + across, along_it]]))


def _waves(rng: np.random.Generator) -> Callable[[Curves], Curves]:
    """A smooth displacement of points: sine waves both ways, with a root mean square of 1 each way."""
    lengths, turns, phases = (rng.uniform(low, high, (2, WAVES)) for low, high in ((30, 70), (0, 7), (0, 7)))
    numbers = 2 * np.pi / lengths * np.stack([np.cos(turns), np.sin(turns)])

    def displacement(points: Curves) -> Curves:
        turned = np.einsum("...i,ijk->...jk", points, numbers)
        displaced: Curves = np.sin(turned + phases).sum(-1) * math.sqrt(2 / WAVES)
        return displaced

    return displacement


def _turned(stroke: Curves, angle: float) -> Curves:
    middle = stroke.mean((0, 1))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turned: Curves = (stroke - middle) @ turn + middle
    return turned


def _inside(stroke: Curves) -> Curves:
    """``stroke`` moved until its ends and control points are on the sheet, as far as it fits there."""
    low, high = stroke.min((0, 1)), stroke.max((0, 1))
    moved: Curves = stroke + np.maximum(BORDER - low, 0) - np.maximum(high - (SIDE - BORDER), 0)
    return moved


def _pieces(stroke: Curves, gap: float, start: float) -> Strokes:
    points, distances = along(stroke)
    edges = np.arange(start - GAP_EVERY, distances[-1], GAP_EVERY)
    spans = [(max(begin, 0.0), min(begin + GAP_EVERY - gap, float(distances[-1]))) for begin in edges.tolist()]
    return [part_of(points, distances, begin, end) for begin, end in spans if end > begin]
