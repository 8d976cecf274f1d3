"""KANJIDIC2 as values: one ``KanjiEntry`` for each character."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from kanjiprep.dataset import safe_xml
from kanjiprep.errors import InputError

JOUYOU_GRADES = (1, 2, 3, 4, 5, 6, 8)
"""KANJIDIC2's grades that make up the 2,136 Jouyou kanji; 9 and 10 are Jinmeiyou."""
_MOST_DIGITS = 9


@dataclass(frozen=True, slots=True)
class KanjiEntry:
    """One character of the dictionary.

    Attributes:
        literal: The character, one code point.
        meanings: English meanings in the dictionary's order, perhaps none.
        on: On readings in katakana.
        kun: Kun readings in hiragana, with the dictionary's ``.`` and ``-``.
        stroke_counts: The accepted count first, then common miscounts.
        grade: 1-6 (school years), 8 (rest of Jouyou), 9-10 (Jinmeiyou), or None.
        jlpt: Level of the old test, 4 (easiest) to 1, or None.
        frequency: Rank among the 2,500 most used in newspapers, or None.
        radical: Number of the classical radical, 1-214.
    """

    literal: str
    meanings: tuple[str, ...]
    on: tuple[str, ...]
    kun: tuple[str, ...]
    stroke_counts: tuple[int, ...]
    grade: int | None
    jlpt: int | None
    frequency: int | None
    radical: int

    @property
    def codepoint(self) -> int:
        """Unicode code point of the literal."""
        return ord(self.literal)


@dataclass(frozen=True, slots=True)
class Kanjidic:
    """The whole dictionary.

    Attributes:
        version: ``database_version`` of its header, empty when the file has none.
        date: ``date_of_creation`` of its header (ISO 8601), empty when the file has none.
        entries: In the file's own order, which is the dataset's order.
    """

    version: str
    date: str
    entries: tuple[KanjiEntry, ...]


def parse(data: bytes, where: str) -> Kanjidic:
    """The dictionary in ``data``, an uncompressed KANJIDIC2 document.

    Source: http://www.edrdg.org/kanjidic/kanjidic2_dtdh.html

    Raises:
        InputError: With file and line, if it is not KANJIDIC2 or an entry breaks its schema.
    """
    version, date = parse_header(data, where)
    entries: dict[str, KanjiEntry] = {}
    for element in safe_xml.iterate(data, where, "kanjidic2", ("character",)):
        entry = _entry(element, where)
        if entry.literal in entries:
            raise InputError(
                f"{entry.literal} appears twice", f"{where}:{element.sourceline}", "use the upstream file"
            )
        entries[entry.literal] = entry
    if not entries:
        raise InputError("holds no <character>", where, "fetch it again")
    return Kanjidic(version, date, tuple(entries.values()))


def parse_header(data: bytes, where: str) -> tuple[str, str]:
    """``database_version`` and ``date_of_creation``, read without the rest; empty where there is no header.

    Raises:
        InputError: If the document's beginning is not KANJIDIC2's.
    """
    for element in safe_xml.iterate(data, where, "kanjidic2", ("header", "character")):
        return _text(element, "database_version"), _text(element, "date_of_creation")
    return "", ""


def _entry(element: etree._Element, where: str) -> KanjiEntry:
    groups = {child.tag: child for child in element}
    literal = _text(element, "literal")
    at = f"{where}:{element.sourceline}"
    if len(literal) != 1:
        raise InputError(f"<literal> is {literal!r}, not one character", at, "use the upstream file")
    _expect_same_codepoint(groups.get("codepoint"), literal, at)
    misc = _numbers(groups.get("misc"), ("stroke_count", "grade", "jlpt", "freq"), literal, at)
    radical = _numbers(groups.get("radical"), ("rad_value",), literal, at)
    if not misc["stroke_count"] or not radical["rad_value"]:
        raise InputError(f"{literal} lacks its stroke_count or rad_value", at, "use the upstream file")
    readings, meanings = _readings_and_meanings(groups.get("reading_meaning"))
    return KanjiEntry(
        literal=literal,
        meanings=meanings,
        on=tuple(text for kind, text in readings if kind == "ja_on"),
        kun=tuple(text for kind, text in readings if kind == "ja_kun"),
        stroke_counts=tuple(misc["stroke_count"]),
        grade=next(iter(misc["grade"]), None),
        jlpt=next(iter(misc["jlpt"]), None),
        frequency=next(iter(misc["freq"]), None),
        radical=radical["rad_value"][0],
    )


def _readings_and_meanings(group: etree._Element | None) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    """Every reading with its type, and the English meanings: those without ``m_lang``."""
    if group is None:
        return [], ()
    readings = [(reading.get("r_type", ""), reading.text or "") for reading in group.iter("reading")]
    texts = [(meaning.text or "").strip() for meaning in group.iter("meaning") if meaning.get("m_lang", "en") == "en"]
    return readings, tuple(text for text in texts if text)


def _expect_same_codepoint(group: etree._Element | None, literal: str, at: str) -> None:
    values = () if group is None else group.iter("cp_value")
    ucs = next((value.text or "" for value in values if value.get("cp_type") == "ucs"), "")
    if ucs.strip().lower().lstrip("0") != f"{ord(literal):x}":
        raise InputError(
            f"{literal} is U+{ord(literal):04X}, but its ucs code point says {ucs or 'nothing'}",
            at,
            "use the upstream file",
        )


def _numbers(group: etree._Element | None, tags: tuple[str, ...], literal: str, at: str) -> dict[str, list[int]]:
    """The numbers in ``group`` by tag, in the file's order; of ``rad_value`` the classical one alone."""
    found: dict[str, list[int]] = {tag: [] for tag in tags}
    for child in () if group is None else group.iter(*tags):
        text = (child.text or "").strip()
        if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
            raise InputError(f"{child.tag!s} of {literal} is {text!r:.40}, not a number", at, "use the upstream file")
        if child.get("rad_type", "classical") == "classical":
            found[str(child.tag)].append(int(text))
    return found


def _text(element: etree._Element, path: str) -> str:
    return (element.findtext(path) or "").strip()
