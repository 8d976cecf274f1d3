"""What the judge is proved on: a dataset's own pictures, and its characters drawn as it draws them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from kanjiprep.dataset import characters, folder, raster
from kanjiprep.dataset.kanjivg import GlyphStrokes
from kanjiprep.dataset.raster import Style
from kanjiprep.errors import DatasetError, UsageError
from kanjiprep.evaluation import training_pictures
from kanjiprep.evaluation.reference import Training

LEAST: Final = 60
"""Bands of fewer characters say little."""
LEAST_OF_HALF: Final = 15
"""So many of them at least must fall into each half."""
_REMEDY: Final = "check with a larger dataset that kanjiprep build made"


@dataclass(frozen=True, slots=True)
class Known:
    """A picture of a dataset, and the strokes of its character.

    Attributes:
        path: The file.
        glyph: KanjiVG's drawing.
    """

    path: Path
    glyph: GlyphStrokes


@dataclass(frozen=True, slots=True)
class Material:
    """The characters of a dataset that KanjiVG draws, in two halves that have none in common.

    Attributes:
        dataset: Its folder.
        digest: Of the dataset; empty if it has none.
        style: How it draws characters.
        first: The half that bands are made of, in the dataset's order.
        second: The half that the judge is tried on, in no order.
        drawings: All that KanjiVG draws, by code point.
    """

    dataset: Path
    digest: str
    style: Style
    first: tuple[Known, ...]
    second: tuple[Known, ...]
    drawings: Mapping[int, GlyphStrokes]

    @property
    def training(self) -> Training:
        """The pictures of the first half, for bands."""
        return Training(self.dataset, tuple(one.path.name for one in self.first), "")


def read(dataset: Path, drawings: Mapping[int, GlyphStrokes]) -> Material:
    """The material of a dataset.

    Args:
        dataset: Its folder.
        drawings: What KanjiVG draws, by code point.

    Raises:
        DatasetError: If it cannot be read, or has too few characters that KanjiVG draws.
    """
    training = training_pictures.of_dataset(dataset)
    known = _known(training, drawings)
    halves = [tuple(one for one in known if half_of(one.glyph.literal) == half) for half in range(2)]
    if len(known) < LEAST or min(map(len, halves)) < LEAST_OF_HALF:
        has = f"has {len(known)} characters that KanjiVG draws, {len(halves[0])} and {len(halves[1])} in its halves"
        what = f"{has}; the check of the judge needs {LEAST}, and {LEAST_OF_HALF} in each half"
        raise DatasetError(what, str(dataset), _REMEDY)
    order = np.random.default_rng(0).permutation(len(halves[1]))
    second = tuple(halves[1][index] for index in order)
    return Material(dataset, training.digest, _style(dataset), halves[0], second, drawings)


def half_of(literal: str) -> int:
    """The half that a character is in, 0 or 1, whatever its dataset."""
    return zlib.crc32(literal.encode()) % 2


def _known(training: Training, drawings: Mapping[int, GlyphStrokes]) -> tuple[Known, ...]:
    """The first picture of each character that is drawn stroke by stroke."""
    found: dict[str, Known] = {}
    for one in characters.read(training.folder, training.names):
        glyph = drawings.get(ord(one.character)) if len(one.character) == 1 else None
        if glyph is not None and glyph.svg is None:
            found.setdefault(one.character, Known(training.folder / one.file_name, glyph))
    return tuple(found.values())


def _style(dataset: Path) -> Style:
    """How its birth certificate says that it draws; as published if it has none."""
    certificate = folder.read_certificate(dataset)
    if certificate is None:
        return Style()
    try:
        raster.refuse_impossible(certificate.style)
    except UsageError as error:
        what = f"tells of pictures that cannot be drawn: {error.what}"
        raise DatasetError(what, str(dataset / folder.CERTIFICATE), "restore the file") from error
    return certificate.style
