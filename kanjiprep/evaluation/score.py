"""Pictures judged: how far each is from those of the training, and what speaks against their checkpoint."""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from kanjiprep.dataset import workers
from kanjiprep.evaluation import bands as ranges
from kanjiprep.evaluation import cell_pixels, features
from kanjiprep.evaluation.bands import Bands
from kanjiprep.evaluation.cells import Cell
from kanjiprep.evaluation.choose import Flag
from kanjiprep.evaluation.features import Values
from kanjiprep.evaluation.judged import PictureScore
from kanjiprep.progress import Progress

EXPLODED: Final = 0.15
"""``style`` from here on is no ink on paper, if the run's other pictures are better by as much; none of 400 sound
pictures reach it, and every one of the nine exploded kinds at medium severity. Source: benchmarks/bench_judge.py."""
SURE: Final = 0.5
"""``style`` from here on counts as exploded whatever the other pictures are like."""
BLANK: Final = 0.25
"""``contrast`` below this is an empty sheet, or a black one."""
SHARE: Final = 0.5
"""A checkpoint of which this share of the pictures have exploded is not chosen."""
_SHAPE_WEIGHT: Final = 0.35
_STYLE_WEIGHT: Final = 2.0
_BEST_SHAPE: Final = 0.5
_MOST_ODDITIES: Final = 3


def points(style: float, shape: float) -> float:
    """The score of a picture, 0 to 100: a training picture that is like most has about 84.

    Both distances take from it by a factor each: a style of 0.15 a quarter, a shape twice as far away as usual
    three tenths.
    """
    return 100 * math.exp(-_STYLE_WEIGHT * style - _SHAPE_WEIGHT * max(0.0, shape - _BEST_SHAPE))


def measure(cells: Sequence[Cell], progress: Progress) -> Values:
    """The statistics of pictures: (cells, statistics), a row each in their order.

    Raises:
        InputError: If a picture cannot be read.
    """
    rows: list[Values] = []
    for part in workers.in_processes(_measured, cells, workers.available(), cell_pixels.AT_ONCE):
        rows.append(part)
        progress("measure pictures", sum(map(len, rows)), len(cells))
    return np.concatenate(rows) if rows else np.empty((0, len(features.NAMES)))


def _measured(cells: Sequence[Cell]) -> Values:
    return np.array([features.measure(cell_pixels.load(cell, features.SIDE_PX)) for cell in cells])


def judge(cells: Sequence[Cell], values: Values, bands: Bands) -> tuple[PictureScore, ...]:
    """The pictures, judged by the bands of their training.

    Args:
        cells: Of one run.
        values: (cells, statistics), of each.
        bands: Of the training pictures.
    """
    if not cells:
        return ()
    styles, shapes = ranges.style(values, bands), ranges.distance(values, bands)
    far = ranges.outside(values, bands)
    level = _level([style for style, cell in zip(styles, cells, strict=True) if not cell.is_base])
    fault = functools.partial(_fault, level=level)
    return tuple(
        PictureScore(
            cell=cell,
            statistics=dict(zip(features.NAMES, row.tolist(), strict=True)),
            style=float(style),
            shape=float(shape),
            score=points(style, shape),
            fault=fault(style, dict(zip(features.NAMES, row, strict=True)), ranges.words(away)),
            oddities=ranges.words(away, _MOST_ODDITIES),
        )
        for cell, row, style, shape, away in zip(cells, values, styles, shapes, far.tolist(), strict=True)
    )


def _level(styles: Sequence[float]) -> float:
    """How far from the training's style the better pictures of a run are: a lower quartile, ``SURE`` at most."""
    return min(SURE, float(np.quantile(styles, 0.25))) if styles else 0.0


def _fault(style: float, statistics: Mapping[str, float], words: Sequence[str], level: float) -> str:
    """Why a picture counts as exploded; empty if it does not."""
    told = f": {', '.join(words)}" if words else ""
    if statistics["contrast"] < BLANK and statistics["polarity"] < BLANK:
        return "an empty sheet" if statistics["paper"] > BLANK else "black all over"
    if style >= SURE:
        return f"no ink on paper{told}"
    return f"unlike the run's other pictures{told}" if style >= level + EXPLODED else ""


def flags(found: Iterable[PictureScore]) -> tuple[Flag, ...]:
    """What the pictures of one checkpoint say against it."""
    all_ = list(found)
    bad = [one for one in all_ if one.fault]
    if not all_ or len(bad) < SHARE * len(all_):
        return ()
    worst = max(bad, key=lambda one: one.style)
    pictures, have = "picture" if len(all_) == 1 else "pictures", "has" if len(bad) == 1 else "have"
    told = f"{len(bad)} of {len(all_)} {pictures} {have} exploded; {worst.cell.prompt} is {worst.fault}"
    return (Flag("pictures", told),)


def means(found: Sequence[PictureScore]) -> tuple[float | None, float | None, float | None]:
    """Mean style, shape and score of pictures; None where there are none."""
    if not found:
        return None, None, None
    style, shape, score = ([getattr(one, name) for one in found] for name in ("style", "shape", "score"))
    return statistics.fmean(style), statistics.fmean(shape), statistics.fmean(score)
