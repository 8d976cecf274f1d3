"""A small world of characters for the trained judge: each two simple shapes side by side, with a meaning."""

from __future__ import annotations

import json
from pathlib import Path

from kanjiprep.dataset import kanjivg, raw
from kanjiprep.dataset.folder import picture_name
from kanjiprep.dataset.kanjivg import KanjiVG
from kanjiprep.evaluation.judge.learn import Recipe
from tests import sources

SHAPES = {
    "木": ("M10,35L50,35", "M30,10L30,95", "M30,38L12,75", "M30,38L48,75"),
    "口": ("M12,30L12,80", "M12,30L48,30L48,80", "M12,80L48,80"),
    "三": ("M12,25L48,25", "M14,52L46,52", "M10,82L50,82"),
    "川": ("M14,20L10,90", "M30,25L30,85", "M46,18L46,95"),
    "八": ("M26,25L10,85", "M34,25L50,85"),
    "十": ("M10,50L50,50", "M30,12L30,92"),
}
MEANINGS = {"木": ("tree", "wood"), "口": ("mouth",), "川": ("river", "stream"), "八": ("eight",)}
FIRST = 0x4E10
QUICK = Recipe(epochs=2, batch=16, least=5, characters=20)
"""Seconds, and hardly anything is learnt."""


def kanjivg_source() -> KanjiVG:
    """Every shape alone, under its own code point, and each pair of shapes, from U+4E10 on."""
    pairs = [(left, right) for left in SHAPES for right in SHAPES]
    groups = {FIRST + index: _pair(chr(FIRST + index), *pair) for index, pair in enumerate(pairs)}
    groups |= {ord(shape): sources.Group(shape, _moved(shape, 25)) for shape in SHAPES}
    files = {f"{code:05x}.svg": sources.svg(code, group) for code, group in sorted(groups.items())}
    content = raw.GlyphFiles("kanji", files, 0)
    return KanjiVG("kanji", kanjivg.digest(content), content)


def write_dataset(folder: Path, literals: str = "") -> Path:
    """A dataset's tables, without pictures, which the judge does not look at."""
    folder.mkdir(parents=True, exist_ok=True)
    literals = literals or "".join(SHAPES) + "".join(chr(FIRST + index) for index in range(len(SHAPES) ** 2))
    names = [picture_name(one) for one in literals]
    (folder / "metadata.csv").write_text(
        "file_name,text\n" + "".join(f'{name},"A kanji."\n' for name in names), "utf-8"
    )
    lines = (
        {
            "file_name": name,
            "character": one,
            "codepoint": f"{ord(one):05x}",
            "meanings": MEANINGS.get(one, ()),
            "stroke_count": len(SHAPES.get(one, "......")),
        }
        for name, one in zip(names, literals, strict=True)
    )
    (folder / "characters.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return folder


def _pair(literal: str, left: str, right: str) -> sources.Group:
    halves = (sources.Group(left, _moved(left, 0)), sources.Group(right, _moved(right, 50)))
    return sources.Group(literal, (), halves)


def _moved(shape: str, right: int) -> tuple[str, ...]:
    """The shape's strokes, further right, as curves that are straight."""
    return tuple(_path(path, right) for path in SHAPES[shape])


def _path(path: str, right: int) -> str:
    points = [(int(x) + right, int(y)) for x, y in (point.split(",") for point in path[1:].split("L"))]
    (x, y), *rest = points
    return f"M{x},{y}" + "".join(f"C{x},{y} {x},{y} {x},{y}" for x, y in rest)
