"""Readers of the sources and of a dataset folder."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

from kanjiprep import metadata, receipt
from kanjiprep.dataset import characters, drawing, folder, join, kanjidic, kanjivg, path_data, raster, raw
from kanjiprep.dataset.raster import Style
from kanjiprep.dataset.selection import Selection
from kanjiprep.errors import DatasetError, InputError
from kanjiprep.publishing import front_matter
from tests import sources
from tests.fuzz import seeds
from tests.fuzz.judge import Reader
from tests.fuzz.target import Target, of_file

_STYLE: Final = Style(16)
_GLYPHS: Final = kanjivg.parse(kanjivg.KanjiVG("", "", sources.single_xml()))


def _dictionary(path: Path) -> None:
    data = raw.read_document(path)
    kanjidic.parse_header(data, str(path))
    found = kanjidic.parse(data, str(path))
    assert all(entry.codepoint == ord(entry.literal) for entry in found.entries)
    join.join(found.entries, _GLYPHS, Selection())


def _drawn(glyph: kanjivg.GlyphStrokes) -> None:
    """As ``build`` does, but small; what only CairoSVG can draw is looked at and not drawn, for it takes long."""
    one = drawing.drawing_of(glyph)
    if one.svg is None and all(path_data.segments(path) is not None for path in one.paths[:100]):
        pixels = drawing.pixels_of(one, raster.Canvas(_STYLE), _STYLE)
        assert pixels.shape == (_STYLE.size_px, _STYLE.size_px)


def _drawing(path: Path) -> None:
    data = path.read_bytes()
    glyph = kanjivg.parse_svg(data, 0x4E00, str(path))
    files = raw.GlyphFiles(str(path), {"04e00.svg": data}, 0)
    assert kanjivg.document(kanjivg.KanjiVG(str(path), "", files), glyph)
    _drawn_or_refused(glyph)


def _drawn_or_refused(glyph: kanjivg.GlyphStrokes) -> None:
    try:
        _drawn(glyph)
    except path_data.PathError as error:
        raise InputError(str(error), glyph.where) from error


def _painted(path: Path) -> None:
    """What is unusual, drawn by CairoSVG."""
    glyph = kanjivg.parse_svg(path.read_bytes(), 0x4E00, str(path))
    assert drawing.pixels_of(drawing.drawing_of(glyph), raster.Canvas(_STYLE), _STYLE).size == _STYLE.size_px**2


def _drawings(path: Path) -> None:
    """One document, a zip or a wheel, by what it is."""
    is_collection = raw.is_glyph_collection(path)
    content = raw.read_glyph_files(path) if is_collection else raw.read_document(path)
    found = kanjivg.parse(kanjivg.KanjiVG(str(path), kanjivg.digest(content), content))
    join.join((), found, Selection())
    for glyph in list(found.values())[:3]:
        _drawn_or_refused(glyph)


def _path_of(_: Path) -> Reader:
    def take(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        found = path_data.segments(text)
        if found is not None:
            path_data.check(text)  # what the fast way takes, the grammar takes too
            assert all(math.isfinite(number) for segment in found for number in segment[1:])

    return take


def _table(path: Path) -> None:
    rows = metadata.read_rows(path)
    assert all(len(row) == len(("file_name", "text")) for row in rows)
    receipt.content_of(path.parent)
    characters.read(path.parent, [name for name, _ in rows])


def _characters(path: Path) -> None:
    characters.read(path.parent, ["a.png"])


def _certificate(path: Path) -> None:
    folder.read_certificate(path.parent)
    receipt.certified_digest(path.parent)


def _receipt(path: Path) -> None:
    receipt.read(path.parent)


def _card(_: Path) -> Reader:
    def take(data: bytes) -> None:
        table, body = front_matter.split(data.decode("utf-8", "replace"), "README.md", DatasetError)
        if table:
            again = front_matter.split(front_matter.join(table, body), "README.md", DatasetError)
            assert again == (table, body), "another card comes back"

    return take


TARGETS: Final = (
    Target("kanjidic", of_file("kanjidic2.xml", _dictionary), seeds.dictionaries, (InputError,)),
    Target("kanjivg-svg", of_file("04e00.svg", _drawing), seeds.drawings, (InputError,)),
    Target("kanjivg-cairo", of_file("04e00.svg", _painted), seeds.unusual_drawings, (InputError,)),
    Target("kanjivg-whole", of_file("kanjivg", _drawings), seeds.collections, (InputError,)),
    Target("path", _path_of, seeds.paths, (path_data.PathError,)),
    Target("metadata", of_file("metadata.csv", _table), seeds.tables, (DatasetError,)),
    Target("characters", of_file("characters.jsonl", _characters), seeds.characters, (DatasetError,), "lines"),
    Target("certificate", of_file("build.json", _certificate), seeds.certificates, (DatasetError,), "json"),
    Target("receipt", of_file("push.json", _receipt), seeds.receipts, (DatasetError,), "json"),
    Target("front-matter", _card, seeds.cards, (DatasetError,)),
)
