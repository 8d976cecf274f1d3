"""The pictures that are judged: of a run, of any folder, or of a strip; and their pixels."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from kanjiprep.errors import InputError, TrainerError, UsageError
from kanjiprep.evaluation import cell_pixels, file_pattern, strip_cells
from kanjiprep.evaluation.cells import Cell
from kanjiprep.training import configs, run_folder
from kanjiprep.training.running import picture_file, run_source
from kanjiprep.training.running.picture_file import Box
from kanjiprep.training.running.run_state import RunState

FOLDERS: Final = ("", "validation_images/", "output/validation_images/")
"""Where pictures with SimpleTuner's names are looked for if no pattern is given."""
STRIP: Final = "strip"
"""The prompt of a strip with one row."""

Size = tuple[int, int]
_LABEL_SHARE: Final = 16
_MOST_TOLD: Final = 3
"""Pictures that cannot be read are told one by one up to so many."""


def of_run(run: Path, state: RunState, notes: list[str], width_px: int | None = None) -> tuple[Cell, ...]:
    """All validation pictures on record, by step, prompt and seed; none if none are.

    The base model's are those of step 0 and those that are beside others; of each prompt and seed the earliest.

    Args:
        run: The run folder.
        state: Of it.
        notes: Takes what should be known of the pictures, a sentence each; those that cannot be read are told here.
        width_px: Of the pictures that are taken; None for all, if those of a prompt and seed are of one size.

    Raises:
        TrainerError: If there are pictures and none of them can be read.
        InputError: If pictures of one prompt and seed are of several sizes, or none is of ``width_px``.
    """
    found: list[tuple[Cell, Size]] = []
    problems: list[tuple[str, TrainerError]] = []
    has_base = _has_base(run)
    for one in sorted(state.validations, key=lambda one: one.step):
        try:
            path = run_source.within(run, one.path)
            name = picture_file.named(path.name)
            found += _painted(path, one.step, one.prompt, name.index if name else 0, has_base)
        except TrainerError as error:
            problems.append((one.path, error))
    if problems and not found:
        place, first = problems[0]
        more = f", and none of the {len(problems):,} pictures on record can be read" if len(problems) > 1 else ""
        raise TrainerError(f"{first.what}{more}", place, first.remedy) from first
    notes.extend(f"{place} {error.what}, and is left out" for place, error in problems[:_MOST_TOLD])
    if len(problems) > _MOST_TOLD:
        notes.append(f"{len(problems) - _MOST_TOLD:,} more pictures cannot be read, and are left out")
    return _kept(_of_width(found, width_px, str(run)), str(run))


def of_folder(folder: Path, pattern: str | None, width_px: int | None = None) -> tuple[Cell, ...]:
    """The pictures in a folder, by step, prompt and seed.

    Files that are named as SimpleTuner names them are cut as those of a run are.

    Args:
        folder: Any.
        pattern: Names of folders and of the file below it, with ``{step}``, ``{prompt}``, ``{seed}`` and ``*`` for
            anything; None for SimpleTuner's names, here or where it puts them.
        width_px: Of the pictures that are taken; None for all, if those of a prompt and seed are of one size.

    Raises:
        UsageError: If ``pattern`` is none.
        InputError: If the folder cannot be read, no name fits, a picture cannot be read, two are the same, or
            they are of several sizes.
    """
    patterns = [pattern] if pattern is not None else [f"{inside}{file_pattern.SIMPLETUNER}" for inside in FOLDERS]
    files = next(filter(None, _files(folder, patterns)), ())
    if not files:
        there = file_pattern.examples(folder)
        what = f"has no picture that {patterns[0]} fits; it has {there or 'no files'}"
        raise InputError(what, str(folder), "give a pattern with {step} where the step is in the names")
    try:
        found = [part for one in files for part in _painted(one.path.absolute(), one.step, one.prompt, one.seed)]
    except TrainerError as error:
        raise InputError(error.what, error.where, cell_pixels.REMEDY) from error
    return _kept(_of_width(found, width_px, str(folder)), str(folder))


def of_strip(
    file: Path,
    columns: int,
    rows: int = 1,
    steps: Sequence[int] | None = None,
    *,
    notes: list[str],
) -> tuple[Cell, ...]:
    """The pictures of a strip, a column a checkpoint and a row a prompt, by step and prompt.

    Args:
        file: The strip.
        columns: Pictures beside one another.
        rows: Pictures below one another.
        steps: Of the columns, ascending; None for 1 and on.
        notes: Takes what should be known of the pictures, a sentence each.

    Raises:
        UsageError: If there are not as many steps as columns, or they do not ascend.
        InputError: If the file cannot be read or is no strip of so many pictures.
    """
    _check_steps(columns, steps)
    try:
        picture = cell_pixels.whole(file.absolute())
    except TrainerError as error:
        raise InputError(error.what, error.where, cell_pixels.REMEDY) from error
    boxes = strip_cells.find(picture, columns, rows, str(file))
    if steps is None:
        notes.append(f"the steps of {file.name} are not known: its pictures are numbered 1 to {columns}")
    names = [STRIP] if rows == 1 else [f"row {row}" for row in range(1, rows + 1)]
    places = [(step, name) for name in names for step in steps or range(1, columns + 1)]
    found = (
        Cell(step, name, 0, file.absolute(), box, step == 0) for (step, name), box in zip(places, boxes, strict=True)
    )
    return tuple(sorted(found, key=lambda cell: cell.step))  # rows stay in their order


def _has_base(run: Path) -> bool:
    """Whether what is beside a picture is the base model's, and not the same step's without averaged weights."""
    path = run / run_folder.CONFIG / configs.CONFIG
    config = run_source.table(path) if os.path.lexists(path) else {}
    return not (config.get("use_ema") is True and config.get("disable_benchmark") is True)


def _painted(path: Path, step: int, prompt: str, seed: int, has_base: bool = True) -> list[tuple[Cell, Size]]:
    """The newest picture in a file, and then the base model's if it is beside it, each with its whole size."""
    whole = picture_file.size_of(path)
    found = picture_file.layout(path.name, whole)
    if found.first is None:
        box = None if found.newest == (0, 0, *whole) else found.newest
        return [(Cell(step, prompt, seed, path, box, step == 0), _size(found.newest))]
    newest = Cell(step, prompt, seed, path, _unlabelled(found.newest), step == 0)
    base = Cell(0, prompt, seed, path, _unlabelled(found.first), True)
    return [(newest, _size(found.newest)), *([(base, _size(found.first))] if has_base else [])]


def _unlabelled(box: Box) -> Box:
    """The part of a picture in a row of pictures that its label cannot be in.

    SimpleTuner draws a label into every picture of such a row, and only there: that there is a row is known by the
    file's size, so that no pixel needs to be looked at. All rows that it may reach into are cut away, for each of its
    letters would count as a piece of ink. As many are cut away below: then the picture keeps its middle, and as it
    keeps its width, ``load`` shows what is left as large and in the same place as without a label, with paper above
    and below. Kanji leave so much free (1 % of the dataset's have ink within 54 px of an edge of 1024). In small
    pictures, where it would be more than a sixteenth, nothing is cut away below, for ink would go with it; of one
    under 96 px half is left, with the rest of the label in it.
    """
    left, top, right, bottom = box
    label = min(picture_file.LABEL_PX, (bottom - top) // 2)
    return (left, top + label, right, bottom - (label if _LABEL_SHARE * label <= bottom - top else 0))


def _size(box: Box) -> Size:
    left, top, right, bottom = box
    return (right - left, bottom - top)


def _of_width(found: Sequence[tuple[Cell, Size]], width_px: int | None, where: str) -> Sequence[tuple[Cell, Size]]:
    """Those that are so wide, or all."""
    if width_px is None or not found:
        return found
    taken = [(cell, size) for cell, size in found if size[0] == width_px]
    if not taken:
        widths = ", ".join(map(str, sorted({width for _, (width, _) in found})))
        raise InputError(f"has no picture that is {width_px} px wide", where, f"there are pictures of {widths} px")
    return taken


def _kept(found: Iterable[tuple[Cell, Size]], where: str) -> tuple[Cell, ...]:
    """Each step's picture once, the one that is on record last; each base model's picture once, the earliest."""
    kept: dict[tuple[int, str, int], Cell] = {}
    sizes: dict[str, Size] = {}
    for cell, size in found:
        place = (cell.step, cell.prompt, cell.seed)
        kept[place] = kept.get(place, cell) if cell.is_base else cell
        if (before := sizes.setdefault(cell.key, size)) != size:
            told = " and ".join(f"{width} x {height}" for width, height in (before, size))
            remedy = f"judge those of one size, such as --size-px {size[0]}"
            raise InputError(f"pictures of {cell.prompt} are {told} px, which cannot be compared", where, remedy)
    return tuple(kept[place] for place in sorted(kept))


def _files(folder: Path, patterns: Sequence[str]) -> Iterator[tuple[file_pattern.Found, ...]]:
    for number, pattern in enumerate(patterns):
        if number == 0 or (folder / pattern).parent.is_dir():
            yield file_pattern.find(folder, pattern)


def _check_steps(columns: int, steps: Sequence[int] | None) -> None:
    if steps is not None and len(steps) != columns:
        raise UsageError(f"{len(steps)} steps for {columns} columns", remedy="give one a column")
    if steps is not None and any(a >= b for a, b in pairwise(steps)):
        raise UsageError("the steps do not ascend", remedy="give them in the order of the columns, each once")
