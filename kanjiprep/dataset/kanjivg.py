"""KanjiVG as values: the strokes of each character, and the tree of components they belong to."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from lxml import etree

from kanjiprep.dataset import raw, safe_xml
from kanjiprep.errors import InputError

SIDE: Final = 109
"""Side of KanjiVG's square, in its own units."""
STROKE_WIDTH: Final = 3.0
"""Stroke width of the published drawings, in the same units."""

_SVG = "{http://www.w3.org/2000/svg}"
# The DTD of every file fixes the first; files since 2026 declare the second on their root as well.
_KVG_SPACES = ("{http://kanjivg.tagaini.net}", "{https://kanjivg.tagaini.net/}")
_KVG_NAMES = (
    "element",
    "variant",
    "partial",
    "original",
    "part",
    "number",
    "tradForm",
    "radicalForm",
    "position",
    "radical",
    "phon",
    "type",
)
_KVG = {name: tuple(space + name for space in _KVG_SPACES) for name in _KVG_NAMES}
_BARE = frozenset(("id", "d", *(key for keys in _KVG.values() for key in keys)))
_DRAWN = (f"{_SVG}g", f"{_SVG}path")
_USUAL_STYLE = {
    "fill": "none",
    "stroke": "#000000",
    "stroke-width": "3",
    "stroke-linecap": "round",
    "stroke-linejoin": "round",
}
_MOST_DIGITS = 9
_USUAL_ROOT = frozenset(("width", "height", "viewBox"))


@dataclass(frozen=True, slots=True)
class Stroke:
    """One stroke: SVG path data, and ``kvg:type`` (such as ``㇐a``; empty where KanjiVG gives none)."""

    path: str
    type: str


@dataclass(frozen=True, slots=True)
class Component:
    """One group of the component tree.

    Attributes:
        element: The character it is, or empty for a group without a name.
        original: The character that ``element`` is a form of (阜 for ⻖), or empty.
        position: ``left``, ``right``, ``top``, ``bottom``, ``kamae``, ... or empty.
        part: Which piece of a split component this is, from 1; 0 where it is not split.
        children: The groups directly inside.
        strokes: How many strokes are inside, those of its children too.
    """

    element: str
    original: str
    position: str
    part: int
    children: tuple[Component, ...]
    strokes: int = 0


@dataclass(frozen=True, slots=True)
class GlyphStrokes:
    """One character's drawing.

    Attributes:
        codepoint: From the file name (or id), never from ``kvg:element``, which is wrong for U+6A45.
        strokes: In writing order.
        tree: The component tree; its root stands for the whole character.
        svg: The drawing without stroke numbers as an SVG document, when it has anything unusual
            (transform, colour, another view box) that only a whole renderer draws; else None.
        where: File, for messages.
    """

    codepoint: int
    strokes: tuple[Stroke, ...]
    tree: Component
    svg: bytes | None
    where: str

    @property
    def literal(self) -> str:
        """The character."""
        return chr(self.codepoint)


@dataclass(frozen=True, slots=True)
class KanjiVG:
    """What KanjiVG's source holds, still unparsed.

    Attributes:
        where: The file or folder.
        sha256: Digest of its base drawings.
        content: The SVG files, or the bytes of the single ``kanjivg.xml``.
    """

    where: str
    sha256: str
    content: raw.GlyphFiles | bytes


def parse(source: KanjiVG) -> Mapping[int, GlyphStrokes]:
    """Every base drawing, by code point.

    Raises:
        InputError: With file and line, if a drawing breaks KanjiVG's schema.
    """
    if isinstance(source.content, bytes):
        glyphs = _parse_single(source.content, source.where)
    else:
        files = source.content
        glyphs = (
            parse_svg(data, raw.codepoint_of(name), f"{files.where}/{name}") for name, data in files.files.items()
        )
    found = {glyph.codepoint: glyph for glyph in glyphs}
    if not found:
        raise InputError("holds no drawing", source.where, "give KanjiVG's folder, zip, wheel or kanjivg.xml")
    return found


def digest(content: raw.GlyphFiles | bytes) -> str:
    """SHA-256 of the drawings: of the document, or over the files' names and contents."""
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else content.sha256()


def parse_svg(data: bytes, codepoint: int, where: str) -> GlyphStrokes:
    """One drawing from the bytes of its SVG file.

    Raises:
        InputError: If it is not one of KanjiVG's drawings.
    """
    root = safe_xml.parse(data, where)
    if root.tag != f"{_SVG}svg":
        raise InputError(
            f"the root element is <{root.tag!s}>, not <svg>", f"{where}:{root.sourceline}", "give KanjiVG's own file"
        )
    _drop_numbers(root)
    drawn = _stroke_paths(root, where)
    strokes = tuple(_stroke(path) for path in drawn.iter(f"{_SVG}path"))
    tree = _component(drawn[0], f"{_SVG}g", where)
    return _glyph(codepoint, strokes, tree, None if _is_usual(root, drawn) else etree.tostring(root), where)


def document(source: KanjiVG, glyph: GlyphStrokes) -> bytes:
    """The SVG document of ``glyph`` without stroke numbers: upstream's own file, where there is one."""
    if glyph.svg is not None:
        return glyph.svg
    if isinstance(source.content, bytes):
        return standard_document(tuple(stroke.path for stroke in glyph.strokes))
    root = safe_xml.parse(source.content.files[f"{glyph.codepoint:05x}.svg"], glyph.where)
    _drop_numbers(root)
    return etree.tostring(root)


def standard_document(paths: tuple[str, ...]) -> bytes:
    """An SVG document of strokes with the published style, as KanjiVG's own files have it."""
    root = etree.Element(f"{_SVG}svg", width=str(SIDE), height=str(SIDE), viewBox=f"0 0 {SIDE} {SIDE}")
    style = "".join(f"{key}:{value};" for key, value in _USUAL_STYLE.items())
    group = etree.SubElement(root, f"{_SVG}g", id="kvg:StrokePaths", style=style)
    for path in paths:
        etree.SubElement(group, f"{_SVG}path", d=path)
    return etree.tostring(root)


def _parse_single(data: bytes, where: str) -> Iterator[GlyphStrokes]:
    for element in safe_xml.iterate(data, where, "kanjivg", ("kanji",)):
        at = f"{where}:{element.sourceline}"
        name = element.get("id", "").removeprefix("kvg:kanji_")
        groups = element.findall("g")
        if len(groups) != 1 or not name or not all(digit in "0123456789abcdef" for digit in name):
            raise InputError("a <kanji> needs an id like kvg:kanji_04e9c and one <g>", at, "use the upstream file")
        safe_xml.refuse_deep(element, where)
        strokes = tuple(_stroke(path) for path in groups[0].iter("path"))
        yield _glyph(int(name, 16), strokes, _component(groups[0], "g", at), None, at)


def _glyph(
    codepoint: int, strokes: tuple[Stroke, ...], tree: Component, svg: bytes | None, where: str
) -> GlyphStrokes:
    if not _is_character(codepoint):
        raise InputError(f"its code point {f'{codepoint:x}':.20} is no character", where, "use the upstream file")
    if not strokes:
        raise InputError(f"{chr(codepoint)} has no strokes", where, "use the upstream file")
    return GlyphStrokes(codepoint, strokes, tree, svg, where)


def _is_character(codepoint: int) -> bool:
    """Whether it is within Unicode, and no half of a surrogate pair."""
    return codepoint <= sys.maxunicode and not 0xD800 <= codepoint <= 0xDFFF  # noqa: PLR2004


def _stroke(path: etree._Element) -> Stroke:
    return Stroke(path.get("d", ""), _kvg(path, "type"))


def _component(group: etree._Element, tag: str, where: str) -> Component:
    part = _kvg(group, "part")
    if part and not (part.isascii() and part.isdecimal() and len(part) <= _MOST_DIGITS):
        raise InputError(
            f"kvg:part is {part!r:.40}, not a number", f"{where}:{group.sourceline}", "use the upstream file"
        )
    children: list[Component] = []
    strokes = 0
    for child in group:
        if child.tag == tag:
            children.append(_component(child, tag, where))
            strokes += children[-1].strokes
        elif child.tag == tag[:-1] + "path":
            strokes += 1
    return Component(
        element=_kvg(group, "element"),
        original=_kvg(group, "original"),
        position=_kvg(group, "position"),
        part=int(part or 0),
        children=tuple(children),
        strokes=strokes,
    )


def _stroke_paths(root: etree._Element, where: str) -> etree._Element:
    for group in root.findall(f"{_SVG}g"):
        if group.get("id", "").startswith("kvg:StrokePaths") and len(group) and group[0].tag == group.tag:
            return group
    raise InputError('has no <g id="kvg:StrokePaths_...">', where, "give KanjiVG's own file")


def _drop_numbers(root: etree._Element) -> None:
    for group in root.findall(f"{_SVG}g"):
        if group.get("id", "").startswith("kvg:StrokeNumbers"):
            root.remove(group)


def _is_usual(root: etree._Element, paths: etree._Element) -> bool:
    """Whether the strokes can be drawn one by one, with nothing but the published style."""
    return (
        len(root) == 1
        and root.get("viewBox", "").split() == ["0", "0", str(SIDE), str(SIDE)]
        and _USUAL_ROOT.issuperset(root.keys())
        and len(paths) == 1
        and {"id", "style"}.issuperset(paths.keys())
        and _style(paths) == _USUAL_STYLE
        and all(element.tag in _DRAWN and _BARE.issuperset(element.keys()) for element in paths[0].iter())
    )


def _style(group: etree._Element) -> dict[str, str]:
    pairs = (part.split(":", 1) for part in group.get("style", "").split(";") if ":" in part)
    return {key.strip(): value.strip() for key, value in pairs}


def _kvg(element: etree._Element, name: str) -> str:
    first, second = _KVG[name]
    return element.get(first) or element.get(second) or ""
