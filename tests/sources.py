"""Small sources in the real schemas, written by hand: four kanji, of which three have strokes and a meaning."""

from __future__ import annotations

import gzip
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

HEADER = (
    "<header><file_version>4</file_version><database_version>2026-001</database_version>"
    "<date_of_creation>2026-01-02</date_of_creation></header>"
)
KVG_DTD = """<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.0//EN"
"http://www.w3.org/TR/2001/REC-SVG-20010904/DTD/svg10.dtd" [
<!ATTLIST g xmlns:kvg CDATA #FIXED "http://kanjivg.tagaini.net" kvg:element CDATA #IMPLIED >
<!ATTLIST path xmlns:kvg CDATA #FIXED "http://kanjivg.tagaini.net" kvg:type CDATA #IMPLIED >
]>
"""
STYLE = "fill:none;stroke:#000000;stroke-width:3;stroke-linecap:round;stroke-linejoin:round;"


@dataclass(frozen=True)
class Entry:
    literal: str
    meanings: tuple[str, ...] = ("thing",)
    strokes: tuple[int, ...] = (1,)
    grade: int | None = None
    jlpt: int | None = None
    ucs: str | None = None
    extra: str = ""


@dataclass(frozen=True)
class Group:
    element: str = ""
    paths: tuple[str, ...] = ()
    children: tuple[Group, ...] = field(default=())
    attributes: str = ""


def character(entry: Entry) -> str:
    grade = f"<grade>{entry.grade}</grade>" if entry.grade else ""
    jlpt = f"<jlpt>{entry.jlpt}</jlpt>" if entry.jlpt else ""
    counts = "".join(f"<stroke_count>{count}</stroke_count>" for count in entry.strokes)
    meanings = "".join(f"<meaning>{meaning}</meaning>" for meaning in entry.meanings)
    return (
        f"<character><literal>{entry.literal}</literal>"
        f'<codepoint><cp_value cp_type="ucs">{entry.ucs or f"{ord(entry.literal):x}"}</cp_value></codepoint>'
        f'<radical><rad_value rad_type="classical">1</rad_value></radical>'
        f"<misc>{grade}{counts}{jlpt}</misc>"
        f'<reading_meaning><rmgroup><reading r_type="ja_on">オン</reading>{meanings}'
        f'<meaning m_lang="fr">chose</meaning>{entry.extra}</rmgroup></reading_meaning></character>\n'
    )


def kanjidic(*entries: Entry, header: str = HEADER) -> bytes:
    body = "".join(map(character, entries))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<kanjidic2>\n{header}\n{body}</kanjidic2>\n'.encode()


def group_xml(group: Group) -> str:
    element = f' kvg:element="{group.element}"' if group.element else ""
    paths = "".join(f'<path kvg:type="㇐" d="{path}"/>' for path in group.paths)
    return f"<g{element}{group.attributes}>{paths}{''.join(map(group_xml, group.children))}</g>"


def svg(codepoint: int, group: Group, *, style: str = STYLE, root: str = 'viewBox="0 0 109 109"') -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n{KVG_DTD}'
        f'<svg xmlns="http://www.w3.org/2000/svg" width="109" height="109" {root}>\n'
        f'<g id="kvg:StrokePaths_{codepoint:05x}" style="{style}">\n{group_xml(group)}\n</g>\n'
        f'<g id="kvg:StrokeNumbers_{codepoint:05x}" style="font-size:8;fill:#808080">'
        f'<text transform="matrix(1 0 0 1 9 9)">1</text></g>\n</svg>\n'
    ).encode()


ONE = Group(
    "一", ("M11,54.25c3.19,0.62,6.25,0.75,9.73,0.5c20.64-1.5,50.39-5.12,68.58-5.24c3.6-0.02,5.77,0.24,7.57,0.49",)
)
TWO = Group("二", (), (Group("", ("M25,30C40,31,60,29,80,28",)), Group("", ("m12,82 c 20,2 80,0 82,-2 s 2,1 3,1",))))
REST = Group(
    "休",
    (),
    (
        Group(
            "亻",
            ("M40,15c1,4-10,30-25,40", "M29,45S30,70,29.5,95"),
            attributes=' kvg:original="人" kvg:position="left"',
        ),
        Group(
            "木",
            (
                "M45,40C60,39,80,37,98,36",
                "M70,12c1,10,0,70,0,85",
                "M69,40c-5,15-15,30-28,40",
                "M71,40c5,15,15,28,28,35",
            ),
        ),
    ),
)

ENTRIES = (
    Entry("休", ("rest", "day off"), (6,), grade=1, jlpt=4),
    Entry("一", ("one",), (1,), grade=1, jlpt=4),
    Entry("二", ("two", "pair"), (3,), grade=2, jlpt=3),
    Entry("丁", (), (2,), grade=3),
    Entry("人", ("person",), (2,), grade=1),
    Entry("木", ("tree",), (4,), grade=1),
)
GLYPHS = {
    0x4F11: REST,
    0x4E00: ONE,
    0x4E8C: TWO,
    0x4E01: Group("丁", ("M20,20L80,20",)),
    0x3042: Group("あ", ("M20,20C30,30,40,40,50,50",)),
}


def write_kanjidic(path: Path, data: bytes | None = None) -> Path:
    content = kanjidic(*ENTRIES) if data is None else data
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def svg_files(glyphs: dict[int, Group] = GLYPHS) -> dict[str, bytes]:
    files = {f"{codepoint:05x}.svg": svg(codepoint, group) for codepoint, group in glyphs.items()}
    return {**files, "04e00-Kaisho.svg": svg(0x4E00, ONE)}


def write_kanjivg(folder: Path, files: dict[str, bytes] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in (svg_files() if files is None else files).items():
        (folder / name).write_bytes(data)
    return folder


def write_zip(path: Path, files: dict[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (svg_files() if files is None else files).items():
            archive.writestr(f"kanji/{name}", data)
    return path


def single_xml(glyphs: dict[int, Group] = GLYPHS) -> bytes:
    kanji = "".join(
        f'<kanji id="kvg:kanji_{point:05x}">{group_xml(group)}</kanji>\n' for point, group in glyphs.items()
    )
    return f"<kanjivg xmlns:kvg='http://kanjivg.tagaini.net'>\n{kanji}</kanjivg>\n".encode()
