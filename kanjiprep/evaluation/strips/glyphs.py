"""Single characters of KanjiVG as masks to paint through, read one by one and only when asked for."""

from __future__ import annotations

import functools
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kanjiprep.dataset import drawing, kanjivg, raster, raw, sources
from kanjiprep.errors import InputError

_WIDEST: Final = 8.5
"""Stroke width of a simple character in KanjiVG's units, as heavy as the letters beside it."""
_NARROWEST: Final = 4.5
_THINNER_A_STROKE: Final = 0.25


def found_kanjivg(
    environ: Mapping[str, str],
    cache: Path,
    installed: Callable[[sources.Upstream], sources.Found | None] | None = None,
) -> Path | None:
    """Where KanjiVG is on this machine; None if it is not, for labels are not worth a download.

    Args:
        environ: The environment.
        cache: The folder of earlier downloads.
        installed: How to look for a package; None for ``sources.find_installed``.
    """
    given = environ.get(sources.KANJIVG.variable, "")
    cached = cache / sources.KANJIVG.url.rsplit("/", 1)[-1]
    for path in (Path(given) if given else None, cached):
        if path is not None and os.access(path, os.R_OK):
            return path
    package = (installed or sources.find_installed)(sources.KANJIVG)
    return package.path if package else None


@functools.lru_cache(4096)
def mask(place: Path | None, literal: str, side_px: int) -> NDArray[np.uint8] | None:
    """``literal`` of KanjiVG at ``place`` in a square: 255 where ink is; None if it cannot be had.

    What is wrong with a source is told where a dataset is built from it; a label has other ways to be drawn.
    """
    strokes = _strokes(place, literal)
    if strokes is None:
        return None
    width = max(_NARROWEST, _WIDEST - _THINNER_A_STROKE * len(strokes.strokes))
    style = raster.Style(side_px, stroke_width=width)
    try:
        drawn = drawing.pixels_of(drawing.drawing_of(strokes), raster.Canvas(style), style)
    except InputError:
        return None
    return raster.WHITE - drawn


@functools.lru_cache(512)
def _strokes(place: Path | None, literal: str) -> kanjivg.GlyphStrokes | None:
    if place is None:
        return None
    try:
        name = f"{ord(literal):05x}.svg"
        if not raw.is_glyph_collection(place):
            return _whole(place).get(ord(literal))
        data = _folder_file(place, name) if place.is_dir() else _zip_member(place, name)
        return kanjivg.parse_svg(data, ord(literal), f"{place}/{name}") if data else None
    except InputError:
        return None


def _folder_file(place: Path, name: str) -> bytes:
    folder = place / "kanji" if (place / "kanji").is_dir() else place
    try:
        with (folder / name).open("rb") as stream:
            return stream.read(raw.MAX_GLYPH_BYTES)
    except OSError:
        return b""


def _zip_member(place: Path, name: str) -> bytes:
    try:
        with zipfile.ZipFile(place) as archive:
            full = _members(place).get(name)
            return archive.open(full).read(raw.MAX_GLYPH_BYTES) if full else b""
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError):
        return b""


@functools.lru_cache(4)
def _members(place: Path) -> Mapping[str, str]:
    with zipfile.ZipFile(place) as archive:
        return {full.rsplit("/", 1)[-1]: full for full in archive.namelist()}


@functools.lru_cache(2)
def _whole(place: Path) -> Mapping[int, kanjivg.GlyphStrokes]:
    """All of ``kanjivg.xml``, a single document that cannot be read in parts."""
    return kanjivg.parse(sources.read_kanjivg(sources.Found(place, "label")))
