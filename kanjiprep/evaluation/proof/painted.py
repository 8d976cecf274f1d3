"""Pictures for the judge to be tried on, measured: sound ones, damaged ones and inventions."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kanjiprep.dataset import workers
from kanjiprep.dataset.kanjivg import GlyphStrokes
from kanjiprep.dataset.raster import Style
from kanjiprep.evaluation import features, reference
from kanjiprep.evaluation.bands import Bands
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
        number: Of the variation and damage that it gets.
        of: A picture that stands, or the character to draw.
        others: That damage may draw over it.
    """

    name: Name
    number: int
    of: Path | GlyphStrokes
    others: tuple[GlyphStrokes, ...] = ()


def measure(material: Material, pictures_per_kind: int, progress: Progress) -> Measured:
    """The bands of the first half, and the statistics of pictures of the second; the same for the same dataset.

    Args:
        material: Of a dataset.
        pictures_per_kind: Of each kind of damage at each severity, of the same characters at all three.
        progress: Hears of both.

    Raises:
        DatasetError: If a picture of it cannot be read.
        InputError: If a stroke is broken.
    """
    bands = reference.measure(material.training, progress)
    jobs = tuple(_jobs(material, pictures_per_kind))
    work = functools.partial(_measured, material.style)
    rows: list[Values] = []
    for part in workers.in_threads(work, jobs, workers.available(), 8):
        rows.append(part)
        progress("measure sound and damaged pictures", sum(map(len, rows)), len(jobs))
    return Measured(material, bands, _grouped(jobs, np.concatenate(rows)))


def _jobs(material: Material, pictures_per_kind: int) -> Iterator[_Job]:
    second = material.second
    glyphs = [one.glyph for one in second]
    for number in range(SOUND_PICTURES):
        yield _Job((SOUND, 0.0), number, second[number % len(second)].path)
    for number in range(REDRAWN_PICTURES):
        yield _Job((REDRAWN, 0.0), number, glyphs[number % len(second)])
    invented = inventions.invent(material.drawings, MOST_INVENTED, 0, [one.codepoint for one in glyphs])
    yield from (_Job((INVENTED, 0.0), number, glyph) for number, glyph in enumerate(invented))
    for place, kind in enumerate(KINDS):
        first = SOUND_PICTURES + place * pictures_per_kind
        for severity in SEVERITIES:
            for number in range(first, first + pictures_per_kind):
                one, *others = (glyphs[(number + index) % len(second)] for index in range(1 + _OTHERS))
                yield _Job((kind, severity), number, one, tuple(others))


def _measured(style: Style, jobs: Sequence[_Job]) -> Values:
    return np.array([features.measure(_paint(style, job)) for job in jobs])


def _paint(style: Style, job: _Job) -> NDArray[np.uint8]:
    """(256, 256, 3) uint8 RGB."""
    (kind, severity), rng, side_px = job.name, np.random.default_rng(job.number), features.SIDE_PX
    if isinstance(job.of, Path):
        return reference.painted(job.of, corruptions.variation(rng))
    if kind in KINDS:
        return corruptions.draw(kind, severity, job.of, job.others, rng, side_px, style)
    return corruptions.draw_sound(job.of, rng, side_px, style)


def _grouped(jobs: Sequence[_Job], values: Values) -> dict[Name, Values]:
    places: dict[Name, list[int]] = {}
    for place, job in enumerate(jobs):
        places.setdefault(job.name, []).append(place)
    return {name: values[numbers] for name, numbers in places.items()}
