"""Pictures for the judge to be tried on, measured: sound ones, damaged ones and inventions."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kanjiprep.dataset import workers
from kanjiprep.dataset.kanjivg import GlyphStrokes
from kanjiprep.evaluation import features, pictures, reference
from kanjiprep.evaluation.bands import Bands
from kanjiprep.evaluation.cells import Cell
from kanjiprep.evaluation.features import Values
from kanjiprep.evaluation.proof import corruptions, inventions
from kanjiprep.evaluation.proof.corruptions import KINDS, SEVERITIES
from kanjiprep.evaluation.proof.material import Material
from kanjiprep.progress import Progress

SOUND: Final = "sound"
"""Pictures of the dataset, with natural variation."""
REDRAWN: Final = "redrawn"
"""The same characters with the same variation, from their strokes: what damage alone is added to."""
INVENTED: Final = "invented"
"""Characters that do not exist."""
SOUND_PICTURES: Final = 400
"""A false alarm in a hundred is then four pictures."""
REDRAWN_PICTURES: Final = 100
"""They are compared with as many sound ones, of the same characters and with the same variation."""
MOST_INVENTED: Final = 300
"""The error of their AUC against ``SOUND_PICTURES`` is then 0.02."""
_OTHERS: Final = 4
"""Neighbours that ``overlay`` chooses among."""

Name = tuple[str, float]
"""Of a group of pictures: a kind and its severity, which is 0 where nothing is damaged."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the pictures measure.

    Attributes:
        material: What they are made of.
        bands: Of the dataset's pictures of its first half.
        groups: (pictures, statistics) for each group, all of the second half.
    """

    material: Material
    bands: Bands
    groups: Mapping[Name, Values]


@dataclass(frozen=True, slots=True)
class _Job:
    """A picture to be painted.

    Attributes:
        name: Of its group.
        number: Of the character, and of the variation and damage that it gets.
    """

    name: Name
    number: int


@dataclass(frozen=True, slots=True)
class _Easel:
    material: Material
    invented: tuple[GlyphStrokes, ...]


def measure(material: Material, pictures_per_kind: int, progress: Progress) -> Measured:
    """The bands of the first half, and the statistics of pictures of the second; the same for the same dataset.

    Args:
        material: Of a dataset.
        pictures_per_kind: Of each kind of damage at each severity, of the same characters at all three.
        progress: Hears of both.

    Raises:
        InputError: If a picture cannot be read, or a stroke is broken.
    """
    bands = reference.measure(material.training, progress)
    second = [one.glyph.codepoint for one in material.second]
    made = inventions.invent_some(material.drawings, MOST_INVENTED, 0, second)
    easel = _Easel(material, tuple(map(inventions.glyph_of, made)))
    jobs = tuple(_jobs(pictures_per_kind, len(made)))
    rows: list[Values] = []
    for part in workers.in_threads(functools.partial(_measured, easel), jobs, workers.available(), 8):
        rows.append(part)
        progress("measure sound and damaged pictures", sum(map(len, rows)), len(jobs))
    return Measured(material, bands, _grouped(jobs, np.concatenate(rows)))


def _jobs(pictures_per_kind: int, invented: int) -> Iterator[_Job]:
    for kind, count in ((SOUND, SOUND_PICTURES), (REDRAWN, REDRAWN_PICTURES), (INVENTED, invented)):
        yield from (_Job((kind, 0.0), number) for number in range(count))
    for place, kind in enumerate(KINDS):
        first = SOUND_PICTURES + place * pictures_per_kind
        for severity in SEVERITIES:
            yield from (_Job((kind, severity), first + index) for index in range(pictures_per_kind))


def _measured(easel: _Easel, jobs: Sequence[_Job]) -> Values:
    return np.array([features.measure(_paint(easel, job)) for job in jobs])


def _paint(easel: _Easel, job: _Job) -> NDArray[np.uint8]:
    """(256, 256, 3) uint8 RGB."""
    (kind, severity), rng = job.name, np.random.default_rng(job.number)
    second, style, side_px = easel.material.second, easel.material.style, features.SIDE_PX
    one = second[job.number % len(second)]
    if kind == SOUND:
        stands = pictures.load(Cell(0, SOUND, job.number, one.path), side_px)
        return corruptions.vary_as_drawn(stands[..., 0], rng)
    if kind == REDRAWN:
        return corruptions.draw_sound(one.glyph, rng, side_px, style)
    if kind == INVENTED:
        return corruptions.draw_sound(easel.invented[job.number], rng, side_px, style)
    others = [second[(job.number + 1 + index) % len(second)].glyph for index in range(_OTHERS)]
    return corruptions.draw(kind, severity, one.glyph, others, rng, side_px, style)


def _grouped(jobs: Sequence[_Job], values: Values) -> dict[Name, Values]:
    """Jobs of a group are one after another."""
    places: dict[Name, list[int]] = {}
    for place, job in enumerate(jobs):
        places.setdefault(job.name, []).append(place)
    return {name: values[numbers] for name, numbers in places.items()}
