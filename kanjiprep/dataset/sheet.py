"""A contact sheet: the dataset at a glance, troubled pictures first and framed in red."""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from kanjiprep.errors import DatasetError, os_reason

SUFFIX: Final = ".png"
COLUMNS: Final = 12
ROWS: Final = 8
CELL_PX: Final = 112
_PICTURE_PX = 96
_PAPER, _INK, _TROUBLE = (244, 244, 242), (90, 90, 90), (200, 30, 30)


def choose(names: Sequence[str], troubled: Collection[str]) -> list[str]:
    """The troubled names, then the rest evenly spread, as many as a sheet holds."""
    room = COLUMNS * ROWS
    first = [name for name in names if name in troubled][:room]
    rest = [name for name in names if name not in troubled]
    shown = min(room - len(first), len(rest))
    return first + [rest[index * len(rest) // shown] for index in range(shown)]


def draw(folder: Path, names: Sequence[str], troubled: Collection[str]) -> Image.Image:
    """The sheet of ``names``; a picture that cannot be read stays an empty frame."""
    rows = max(1, -(-len(names) // COLUMNS))
    sheet = Image.new("RGB", (COLUMNS * CELL_PX, rows * (CELL_PX + 12)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=11)
    for index, name in enumerate(names):
        left, top = (index % COLUMNS) * CELL_PX + 8, (index // COLUMNS) * (CELL_PX + 12) + 8
        sheet.paste(_thumb(folder / name), (left, top))
        if name in troubled:
            pen.rectangle(
                (left - 3, top - 3, left + _PICTURE_PX + 2, top + _PICTURE_PX + 2), outline=_TROUBLE, width=3
            )
        label = name.rsplit(".", 1)[0].rsplit("_", 1)[-1][:14]
        pen.text((left + _PICTURE_PX / 2, top + _PICTURE_PX + 10), label, _INK, font, anchor="mm")
    return sheet


def write(sheet: Image.Image, path: Path) -> None:
    """Write ``sheet`` as a PNG file, aside and then renamed.

    Raises:
        DatasetError: If it cannot be written.
    """
    data = io.BytesIO()
    few_colours = sheet.quantize(64, dither=Image.Dither.NONE)  # a third of the bytes, and looks the same
    few_colours.save(data, "PNG", optimize=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(data.getvalue())
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise DatasetError(
            f"cannot be written: {os_reason(error)}", str(path), "give --sheet another path"
        ) from error


def _thumb(path: Path) -> Image.Image:
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB").resize((_PICTURE_PX, _PICTURE_PX), Image.Resampling.LANCZOS)
    except (OSError, SyntaxError, ValueError):  # it is in the report as unreadable
        return Image.new("RGB", (_PICTURE_PX, _PICTURE_PX), "white")
