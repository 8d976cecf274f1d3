"""A run's strip: a row of pictures for every prompt, from the first checkpoint to the last."""

from __future__ import annotations

from typing import Final

from PIL import Image

from kanjiprep.evaluation.choose import Verdict
from kanjiprep.evaluation.judged import JudgedRun
from kanjiprep.evaluation.strips import contents, paint, placed
from kanjiprep.evaluation.strips.contents import BASE, Pictures, Row
from kanjiprep.evaluation.strips.labels import Labels
from kanjiprep.evaluation.strips.placed import GAP_PX, MARGIN_PX, Layout, Page, Placed

_SIDES_PX: Final = (256, 192, 160, 128, 96)
_HANDY_WIDTH_PX: Final = 2_600
_HANDY_HEIGHT_PX: Final = 12_000
_NARROWEST_PX: Final = 860
_TOP_PX: Final = 420
"""Height of title, verdict and legend, at most."""


def strip(run: JudgedRun, load: paint.Load, labels: Labels) -> Image.Image:
    """The strip of ``run`` as a picture (RGB).

    Args:
        run: As judged.
        load: Gives a picture in a size; called from several threads.
        labels: What text is drawn with.
    """
    return paint.painted(layout(run, labels), load, labels)


def layout(run: JudgedRun, labels: Labels) -> Layout:
    """Where everything on the strip of ``run`` is."""
    shown = contents.pictures(run)
    every = contents.rows([shown])
    rows = every[: contents.MOST_ROWS]
    steps = contents.spread(shown.steps, _wanted(run.verdict), len(rows)) if rows else ()
    places = ((BASE,) if shown.has_base else ()) + steps
    side_px, columns = size(len(places), len(rows))
    wide = 2 * MARGIN_PX + columns * (side_px + GAP_PX) - GAP_PX
    page = Page(max(wide, _NARROWEST_PX), labels)
    _add_top(page, run, _left_out(len(steps), len(shown.steps), len(rows), len(every)))
    for index, row in enumerate(rows):
        add_row_heading(page, rows, index, run.prompts.get(row[0], row[0]))
        _add_row(page, shown, row, places, side_px, columns)
    return page.layout()


def size(places: int, rows: int) -> tuple[int, int]:
    """Side of a picture in pixels and columns of the strip, for so many pictures a row and so many rows."""
    side_px = columns = 1
    for side_px in _SIDES_PX:
        columns = _even(places, (_HANDY_WIDTH_PX - 2 * MARGIN_PX) // (side_px + GAP_PX))
        if _height_px(side_px, columns, places, rows) <= _HANDY_HEIGHT_PX:
            return side_px, columns
    while columns < places and _height_px(side_px, columns, places, rows) > _HANDY_HEIGHT_PX:
        columns += 1
    return side_px, columns


def add_row_heading(page: Page, rows: tuple[Row, ...], index: int, text: str) -> None:
    """Add what is above a row: its prompt if it is the first one of it, and which of several it is."""
    name, seed = rows[index]
    if index == 0 or rows[index - 1][0] != name:
        page.heading(name, text)
    seeds = [row[1] for row in rows if row[0] == name]
    if len(seeds) > 1:
        page.text(f"picture {seed + 1}", placed.SMALL_PX, placed.GREY)
        page.y += 10


def verdict_words(verdict: Verdict) -> str:
    """What is said of a run, in a sentence."""
    said = {"chosen": "Chosen", "cannot tell": "Cannot tell", "none": "Nothing to choose"}[verdict.status]
    return f"{said}: {verdict.why}."


def _even(places: int, most: int) -> int:
    """Columns, ``most`` at most, such that the last line is as full as can be."""
    lines = -(-places // most)
    return -(-places // lines) if lines else 1


def _height_px(side_px: int, columns: int, places: int, rows: int) -> int:
    lines = -(-places // columns)
    above = placed.HEAD_PX + placed.SUBHEAD_PX
    return _TOP_PX + rows * (above + lines * placed.cell_height_px(side_px))


def _wanted(verdict: Verdict) -> tuple[int, ...]:
    return (() if verdict.step is None else (verdict.step,)) + verdict.tied


def _left_out(steps: int, all_steps: int, rows: int, all_rows: int) -> str:
    said = [f"{steps:,} of {all_steps:,} steps"] if steps < all_steps and rows else []
    said += [f"{rows:,} of {all_rows:,} rows of pictures"] if rows < all_rows else []
    return f"Shown are {' and '.join(said)}." if said else ""


def _add_top(page: Page, run: JudgedRun, left_out: str) -> None:
    page.text(run.name, placed.TITLE_PX, placed.INK)
    page.y += 6
    page.text(verdict_words(run.verdict), placed.VERDICT_PX, placed.INK, 4)
    page.text(left_out or ("" if run.pictures else "No picture was judged."), placed.SMALL_PX, placed.GREY)
    page.y += 10
    page.legend()
    page.y += 10


def _add_row(page: Page, shown: Pictures, row: Row, places: tuple[int, ...], side_px: int, columns: int) -> None:
    for start in range(0, len(places), columns):
        for column, step in enumerate(places[start : start + columns]):
            left = MARGIN_PX + column * (side_px + GAP_PX)
            page.cells.append(Placed(left, page.y, side_px, shown.shown(row, step)))
        page.y += placed.cell_height_px(side_px)
