"""Runs side by side: a row for every prompt, a column for the base model and for each run's best checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from PIL import Image

from kanjiprep.evaluation.judged import JudgedRun
from kanjiprep.evaluation.kinds import standing_for
from kanjiprep.evaluation.strips import contents, paint, placed
from kanjiprep.evaluation.strips.contents import BASE, Pictures, Row, Shown
from kanjiprep.evaluation.strips.labels import Labels
from kanjiprep.evaluation.strips.placed import GAP_PX, MARGIN_PX, Layout, Page, Placed, Words
from kanjiprep.evaluation.strips.strip import add_row_heading

MOST_RUNS: Final = 48
_SIDES_PX: Final = (256, 192, 160)
_HANDY_WIDTH_PX: Final = 3_200
_HANDY_HEIGHT_PX: Final = 12_000
_NARROWEST_PX: Final = 720
_NAME_PX: Final = 16
_LINES: Final = 3
_TOP_PX: Final = 400
_GAP_PX: Final = GAP_PX + 6


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        pictures: Of the run; of several for the base model, whose pictures may come from any.
        step: Of the run, or ``BASE``; None if there is nothing to show.
        title: Above it.
        note: Below that: which checkpoint it is, and why that one.
    """

    pictures: tuple[Pictures, ...]
    step: int | None
    title: str
    note: str

    def shown(self, row: Row) -> Shown:
        """The picture in ``row``: of the first run that has it, or an empty one."""
        if self.step is None:
            return replace(self.pictures[0].shown(row, 0), step=None, mark="")
        found = [one.shown(row, self.step) for one in self.pictures]
        return next((one for one in found if one.picture), found[0])


def grid(runs: Sequence[JudgedRun], load: paint.Load, labels: Labels) -> Image.Image:
    """The grid of ``runs`` as a picture (RGB).

    Args:
        runs: As judged, one at least.
        load: Gives a picture in a size; called from several threads.
        labels: What text is drawn with.
    """
    return paint.painted(layout(runs, labels), load, labels)


def layout(runs: Sequence[JudgedRun], labels: Labels) -> Layout:
    """Where everything on the grid of ``runs`` is."""
    shown = [contents.pictures(run) for run in runs[:MOST_RUNS]]
    found = columns(shown)
    every = contents.rows(shown)
    rows = every[: contents.MOST_ROWS]
    side_px = _side_px(len(found), len(rows))
    wide = 2 * MARGIN_PX + len(found) * (side_px + _GAP_PX) - _GAP_PX
    page = Page(max(wide, _NARROWEST_PX), labels)
    _add_top(page, runs, len(shown), len(rows), len(every))
    _add_titles(page, found, side_px)
    for index, row in enumerate(rows):
        add_row_heading(page, rows, index, _text(shown, row))
        for number, column in enumerate(found):
            left = MARGIN_PX + number * (side_px + _GAP_PX)
            page.cells.append(Placed(left, page.y, side_px, column.shown(row)))
        page.y += placed.cell_height_px(side_px)
    return page.layout()


def columns(shown: Sequence[Pictures]) -> tuple[Column, ...]:
    """The base model if a run has pictures of it, then the runs."""
    painted = tuple(one for one in shown if one.has_base)
    base = [Column(painted, BASE, "Base model", "without an adapter")] if painted else []
    return (*base, *map(_column, shown))


def _column(shown: Pictures) -> Column:
    step, why = standing_for(shown.run)
    return Column((shown,), step, shown.run.name, why)


def _side_px(count: int, rows: int) -> int:
    above = placed.HEAD_PX + placed.SUBHEAD_PX
    for side_px in _SIDES_PX[:-1]:
        wide = 2 * MARGIN_PX + count * (side_px + _GAP_PX)
        high = _TOP_PX + rows * (above + placed.cell_height_px(side_px))
        if wide <= _HANDY_WIDTH_PX and high <= _HANDY_HEIGHT_PX:
            return side_px
    return _SIDES_PX[-1]


def _text(shown: Sequence[Pictures], row: Row) -> str:
    """The prompt of a row, with a word if runs have another one of the same name."""
    texts = list(dict.fromkeys(one.run.prompts[row[0]] for one in shown if row[0] in one.run.prompts))
    if not texts:
        return row[0]
    return texts[0] if len(texts) == 1 else f"{texts[0]} (in other words in other runs)"


def _add_top(page: Page, runs: Sequence[JudgedRun], count: int, rows: int, all_rows: int) -> None:
    title = "1 run" if len(runs) == 1 else f"{len(runs):,} runs side by side"
    said = [f"{count:,} of {len(runs):,} runs"] if count < len(runs) else []
    said += [f"{rows:,} of {all_rows:,} rows of pictures"] if rows < all_rows else []
    page.text(title, placed.TITLE_PX, placed.INK)
    page.text(f"Shown are {' and '.join(said)}." if said else "", placed.SMALL_PX, placed.GREY)
    page.text("" if rows else "No picture was judged.", placed.SMALL_PX, placed.GREY)
    page.y += 10
    page.legend()
    page.y += 18


def _add_titles(page: Page, found: Sequence[Column], side_px: int) -> None:
    """Add what is above each column, all beginning at the same height."""
    start = lowest = page.y
    for number, column in enumerate(found):
        left, base = MARGIN_PX + number * (side_px + _GAP_PX), start
        for text, size_px, colour in ((column.title, _NAME_PX, placed.INK), (column.note, 13, placed.GREY)):
            for line in page.labels.wrapped(text, size_px, side_px, _LINES):
                base += round(1.4 * size_px)
                page.words.append(Words(left, base, line, size_px, colour))
        lowest = max(lowest, base)
    page.y = lowest + 12
