"""All pictures of a series on one page: a row a prompt, a column a checkpoint or a seed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageDraw

import kanjiprep
from kanjiprep.errors import TrainerError, os_reason
from kanjiprep.evaluation.strips import files as strip_files
from kanjiprep.evaluation.strips import paint, placed
from kanjiprep.evaluation.strips.contents import MOST_ROWS
from kanjiprep.evaluation.strips.labels import Labels
from kanjiprep.evaluation.strips.placed import GAP_PX, MARGIN_PX, Page
from kanjiprep.evaluation.strips.strip import size

NAME: Final = "grid"
KIND: Final = "pictures"
_NARROWEST_PX: Final = 480


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture on the page.

    Attributes:
        label: Below it.
        file: Its name in the folder.
        prompt: Short name.
        text: The whole prompt.
        seed: Of its noise.
        step: Of the run; None for the base model, or what is of no run.
        is_painted: Whether it is there.
    """

    label: str
    file: str
    prompt: str
    text: str
    seed: int
    step: int | None
    is_painted: bool


@dataclass(frozen=True, slots=True)
class Row:
    """Pictures beside each other, with what is above them."""

    name: str
    text: str
    note: str
    shown: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a picture is."""

    left: int
    top: int
    side_px: int
    shown: Shown


def refuse_other(folder: Path) -> None:
    """Refuse a folder in which a page of something else is.

    Raises:
        TrainerError: If its grid is not one of ours, or cannot be read.
    """
    path, picture = folder / f"{NAME}.json", folder / f"{NAME}.png"
    remedy = "give another folder with --out"
    try:
        table = json.loads(path.read_bytes()) if path.exists() else {"kind": KIND} if not picture.exists() else None
    except OSError as error:
        raise TrainerError(f"cannot be read: {os_reason(error)}", str(path), remedy) from error
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict) or table.get("kind") != KIND:
        raise TrainerError("is in the way, and not a page of such pictures", str(picture), remedy)


def write(folder: Path, title: str, note: str, rows: Sequence[Row], labels: Labels) -> None:
    """Write grid.png and grid.json of the pictures in ``folder``.

    Args:
        folder: With the pictures.
        title: Above all.
        note: Below it.
        rows: What is shown.
        labels: What text is drawn with.

    Raises:
        TrainerError: If they cannot be written, or a picture cannot be read.
    """
    page, places = _arranged(title, note, rows, labels)
    drawn = _drawn(folder, page, places, labels)
    strip_files.write(folder, NAME, drawn, _document(drawn, places))


def _arranged(title: str, note: str, rows: Sequence[Row], labels: Labels) -> tuple[Page, list[Place]]:
    shown = rows[:MOST_ROWS]
    widest = max((len(row.shown) for row in shown), default=1)
    side_px, columns = size(widest, len(shown))
    page = Page(max(2 * MARGIN_PX + columns * (side_px + GAP_PX) - GAP_PX, _NARROWEST_PX), labels)
    page.text(title, placed.TITLE_PX, placed.INK, 2)
    page.y += 6
    page.text(note, placed.SMALL_PX, placed.GREY, 3)
    more = f"Shown are the first {len(shown)} of {len(rows)} rows." if len(shown) < len(rows) else ""
    page.text(more, placed.SMALL_PX, placed.GREY)
    places: list[Place] = []
    before = ""
    for row in shown:
        if row.name != before:
            page.heading(row.name, row.text)
        before = row.name
        if row.note:
            page.text(row.note, placed.SMALL_PX, placed.GREY)
            page.y += 10
        for start in range(0, len(row.shown), columns):
            for column, one in enumerate(row.shown[start : start + columns]):
                places.append(Place(MARGIN_PX + column * (side_px + GAP_PX), page.y, side_px, one))
            page.y += side_px + 2 * placed.label_size_px(side_px) + GAP_PX
    return page, places


def _drawn(folder: Path, page: Page, places: Sequence[Place], labels: Labels) -> Image.Image:
    drawn = paint.painted(page.layout(), _no_cells, labels)
    pen = ImageDraw.Draw(drawn)
    for one in places:
        side, shown = one.side_px, one.shown
        pen.rectangle((one.left - 1, one.top - 1, one.left + side, one.top + side), outline=placed.PALE)
        if shown.is_painted:
            drawn.paste(_small(folder / shown.file, side), (one.left, one.top))
        size_px = placed.label_size_px(side)
        label = labels.fitted(shown.label if shown.is_painted else f"{shown.label}: not painted", size_px, side)
        labels.draw(drawn, (one.left, one.top + side + 0.5 * size_px), label, size_px, placed.INK)
    return drawn


def _no_cells(*_: Any) -> Any:
    """Nothing is asked of it: the layout has no cells."""


def _small(path: Path, side_px: int) -> Image.Image:
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB").resize((side_px, side_px), Image.Resampling.LANCZOS)
    except (OSError, ValueError) as error:
        raise TrainerError("is a picture that cannot be read", str(path), "remove it, and paint it again") from error


def _document(drawn: Image.Image, places: Sequence[Place]) -> bytes:
    table = {
        "kind": KIND,
        "tool": f"kanjiprep {kanjiprep.__version__}",
        "width": drawn.width,
        "height": drawn.height,
        "cells": [_cell(one) for one in places],
    }
    return (json.dumps(table, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "backslashreplace")


def _cell(one: Place) -> dict[str, Any]:
    shown = one.shown
    return {
        "left": one.left,
        "top": one.top,
        "width": one.side_px,
        "height": one.side_px,
        "prompt": shown.prompt,
        "text": shown.text,
        "seed": shown.seed,
        "step": shown.step,
        "file": shown.file if shown.is_painted else None,
    }
