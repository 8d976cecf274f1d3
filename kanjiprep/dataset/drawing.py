"""Glyphs into picture files, by the fast way or CairoSVG's, and the comparison of the two."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kanjiprep.dataset import kanjivg, path_data, png, raster, workers
from kanjiprep.dataset.folder import picture_name
from kanjiprep.dataset.raster import Pixels, Style
from kanjiprep.errors import DatasetError, InputError


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a worker needs to draw one picture.

    Attributes:
        name: The picture's file name.
        paths: Path data of its strokes.
        svg: The whole SVG document where only CairoSVG can draw it; else None.
        where: The source file, for messages.
    """

    name: str
    paths: tuple[str, ...]
    svg: bytes | None
    where: str


class Drawn(NamedTuple):
    """A picture that was written."""

    name: str
    sha256: str


def drawing_of(glyph: kanjivg.GlyphStrokes) -> Drawing:
    """The drawing of ``glyph``."""
    paths = tuple(stroke.path for stroke in glyph.strokes)
    return Drawing(picture_name(glyph.literal), paths, glyph.svg, glyph.where)


def draw_all(drawings: Sequence[Drawing], folder: Path, style: Style, worker_count: int) -> Iterator[list[Drawn]]:
    """Draw every picture into ``folder``; yields what each run of them has become.

    Raises:
        InputError: If a glyph has broken path data.
        OSError: If a file cannot be written.
    """
    yield from workers.in_threads(functools.partial(_draw_run, folder, style), drawings, worker_count)


def pixels_of(drawing: Drawing, canvas: raster.Canvas, style: Style) -> Pixels:
    """The picture of ``drawing``: (size_px, size_px) uint8, perhaps a view into ``canvas``.

    Raises:
        InputError: If its path data is broken.
    """
    strokes = [_segments(path, number, drawing) for number, path in enumerate(drawing.paths, 1)]
    plain = [segments for segments in strokes if segments is not None]
    if drawing.svg is None and len(plain) == len(strokes):
        return canvas.draw(plain)
    from kanjiprep.dataset import reference  # CairoSVG, which a usual build never needs

    return reference.render(drawing.svg or kanjivg.standard_document(drawing.paths), style, drawing.where)


def compare_all(
    documents: Sequence[tuple[str, bytes]], folder: Path, style: Style, worker_count: int
) -> Iterator[int]:
    """Compare pictures in ``folder`` with CairoSVG's rendering; yields how many each run compared.

    Args:
        documents: File name and SVG document of each.
        folder: Where the pictures are.
        style: How they were drawn.
        worker_count: How many processes, since CairoSVG computes in Python.

    Raises:
        DatasetError: If one pixel differs.
    """
    yield from workers.in_processes(functools.partial(_compare_run, folder, style), documents, worker_count, 16)


def _draw_run(folder: Path, style: Style, drawings: Sequence[Drawing]) -> list[Drawn]:
    canvas, encoder = raster.Canvas(style), png.Encoder(style.size_px, style.size_px)
    return [_draw(drawing, canvas, encoder, folder, style) for drawing in drawings]


def _draw(drawing: Drawing, canvas: raster.Canvas, encoder: png.Encoder, folder: Path, style: Style) -> Drawn:
    data = encoder.encode(pixels_of(drawing, canvas, style))
    (folder / drawing.name).write_bytes(data)
    return Drawn(drawing.name, hashlib.sha256(data).hexdigest())


def _segments(path: str, number: int, drawing: Drawing) -> list[path_data.Segment] | None:
    try:
        return path_data.segments(path)
    except path_data.PathError as error:
        raise InputError(
            f"stroke {number} of {drawing.name[0]} is broken: {error}", drawing.where, "use the upstream file"
        ) from error


def _compare_run(folder: Path, style: Style, documents: Sequence[tuple[str, bytes]]) -> int:
    from kanjiprep.dataset import reference

    for name, svg in documents:
        expected = reference.render(svg, style, name)
        largest = int(np.abs(_read(folder / name).astype(np.int16) - expected).max())
        if largest:
            raise DatasetError(
                f"differs from CairoSVG's rendering by up to {largest} of 255",
                str(folder / name),
                "report it with the versions of cairo and CairoSVG",
            )
    return len(documents)


def _read(path: Path) -> Pixels:
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(picture)
