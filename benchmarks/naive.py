"""The rival: what the notebook did. Parse, drop the numbers, CairoSVG, Pillow RGB, save; row by row.

Usage: naive.py KANJIDIC2.xml.gz KANJI_FOLDER OUT LIMIT
"""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import cairosvg
from lxml import etree
from PIL import Image

SVG = "{http://www.w3.org/2000/svg}"


def main(kanjidic: str, folder: str, out: str, limit: str) -> None:
    """Build the first ``limit`` pictures and rows as the notebook did."""
    rows = []
    for entry in etree.parse(kanjidic).getroot().iterfind("character"):
        literal = entry.findtext("literal", "")
        meanings = [
            meaning.text or ""
            for meaning in entry.iterfind("reading_meaning/rmgroup/meaning")
            if "m_lang" not in meaning.attrib
        ]
        path = Path(folder) / f"{ord(literal):05x}.svg"
        if not meanings or not path.exists():
            continue
        root = etree.parse(str(path)).getroot()
        for group in root.findall(f"{SVG}g"):
            if group.get("id", "").startswith("kvg:StrokeNumbers"):
                root.remove(group)
        png = cairosvg.svg2png(etree.tostring(root), output_width=1024, output_height=1024, background_color="white")
        name = f"{literal}_kanji_{ord(literal):05x}.png"
        Image.open(io.BytesIO(png)).convert("RGB").save(Path(out) / name)
        means = ", ".join(meanings)
        rows.append(
            (name, f"Image of a Japanese kanji character {literal} in plain font. The character means: {means}.")
        )
        if len(rows) == int(limit):
            break
    with (Path(out) / "metadata.csv").open("w", encoding="utf-8", newline="") as table:
        csv.writer(table).writerows([("file_name", "text"), *rows])


if __name__ == "__main__":
    main(*sys.argv[1:])
