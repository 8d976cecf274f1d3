"""``report``: runs judged and shown in one page, with a strip of each and a grid of all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kanjiprep.dataset import sources
from kanjiprep.errors import TrainerError, UsageError, os_reason
from kanjiprep.evaluation import cell_pixels, judging, score_text, scoring, verdict
from kanjiprep.evaluation import compare as comparing
from kanjiprep.evaluation.cells import Cell
from kanjiprep.evaluation.compare import Comparison, Contestant
from kanjiprep.evaluation.judged import JudgedRun
from kanjiprep.evaluation.judging import Ways
from kanjiprep.evaluation.report import page
from kanjiprep.evaluation.strips import files as strip_files
from kanjiprep.evaluation.strips import grid, labels, sidecar, strip
from kanjiprep.progress import Progress
from kanjiprep.training.running import files

PAGE: Final = "report.html"
_KEPT_PX: Final = 256
"""No cell of a strip or grid is larger."""


@dataclass(frozen=True, slots=True)
class Made:
    """What was judged and written.

    Attributes:
        runs: As they were given.
        comparison: Of several runs; None of one.
        page: The HTML file.
        written: All files.
    """

    runs: tuple[JudgedRun, ...]
    comparison: Comparison | None
    page: Path
    written: tuple[Path, ...]


def report(places: Sequence[str], ways: Ways, out: Path | None, progress: Progress) -> Made:
    """The runs at ``places``, judged and shown.

    Args:
        places: Run folders or names.
        ways: How they are judged.
        out: Folder for the page; None for that of the run, or ``report`` for several.
        progress: Hears of pictures.

    Raises:
        UsageError: If a run is named twice.
        InputError: If a folder is no run, or a picture cannot be read.
        TrainerError: If a record cannot be read, or a file cannot be written.
        DatasetError: If the training pictures cannot be found or read.
    """
    folders = [scoring.find(place) for place in places]
    _refuse_twice(folders)
    target = out or (folders[0] / scoring.REPORT if len(folders) == 1 else Path(scoring.REPORT))
    _refuse_file(target)
    runs = _apart([judging.of_run(folder, ways, progress) for folder in folders])
    for run in runs:
        scoring.write(run)
    compared = compare(runs)
    return Made(runs, compared, target / PAGE, _write(runs, compared, target, progress))


def compare(runs: Sequence[JudgedRun]) -> Comparison | None:
    """Which of several runs, each of another name, is best; None for one."""
    if len(runs) == 1:
        return None
    some = [Contestant(run.name, verdict.candidates(run.steps, run.pictures), run.verdict) for run in runs]
    return comparing.compare(some)


def _apart(runs: Sequence[JudgedRun]) -> tuple[JudgedRun, ...]:
    """``runs`` with names that tell them apart: a later one of the same name gets a number."""
    named: dict[str, JudgedRun] = {}
    for run in runs:
        names = (run.name, *(f"{run.name} ({number})" for number in range(2, len(runs) + 1)))
        name = next(name for name in names if name not in named)
        named[name] = replace(run, name=name)
    return tuple(named.values())


def _refuse_twice(folders: Sequence[Path]) -> None:
    for index, folder in enumerate(folders):
        if folder in folders[:index]:
            raise UsageError("is given twice", str(folder), "give each run once")


def _refuse_file(target: Path) -> None:
    """Before minutes go by: a report needs a folder, or the place for one."""
    first = next((one for one in (target, *target.parents) if os.path.lexists(one)), Path())
    if not first.is_dir():
        raise TrainerError("is no folder", str(first), "give --out another folder")


def _write(
    runs: Sequence[JudgedRun], compared: Comparison | None, target: Path, progress: Progress
) -> tuple[Path, ...]:
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainerError(f"cannot be made: {os_reason(error)}", str(target), "give --out another folder") from error
    files.replace(target / PAGE, page.page(runs, compared, progress))
    return (target / PAGE, *_draw(runs, target, progress))


def _draw(runs: Sequence[JudgedRun], target: Path, progress: Progress) -> Iterator[Path]:
    """Writes a strip of each run and the grid of all; yields their files."""
    drawn = labels.found(os.environ, sources.cache_folder())
    kept = cell_pixels.load_all([one.cell for run in runs for one in run.pictures], _KEPT_PX, progress)

    def load(cell: Cell, side_px: int) -> NDArray[np.uint8]:
        return cell_pixels.reduced(kept[cell], side_px)

    for run in runs:
        if run.pictures:
            name = "strip" if len(runs) == 1 else f"strip-{run.name}"
            strip_files.write(target, name, strip.strip(run, load, drawn), sidecar.strip_json(run, drawn))
            yield from (target / f"{name}.png", target / f"{name}.json")
    if kept:
        strip_files.write(target, "grid", grid.grid(runs, load, drawn), sidecar.grid_json(runs, drawn))
        yield from (target / "grid.png", target / "grid.json")


def document(made: Made) -> dict[str, Any]:
    """``made`` as a table for machines."""
    compared = made.comparison
    return {
        "page": str(made.page),
        "written": [str(path) for path in made.written],
        "comparison": None if compared is None else {"best": compared.run, "why": compared.why},
        "runs": [scoring.document(run) for run in made.runs],
    }


def lines(made: Made) -> Iterator[str]:
    """What was found, a line each."""
    for run in made.runs:
        yield f"{run.name}: {score_text.verdict(run)}"
    if made.comparison is not None:
        yield f"together: {made.comparison.why}"
