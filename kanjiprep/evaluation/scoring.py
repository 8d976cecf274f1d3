"""``score``: a run, a folder of pictures or a strip judged, and what is kept of it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kanjiprep import __version__, privacy
from kanjiprep.errors import InputError, TrainerError, UsageError, os_reason
from kanjiprep.evaluation import file_pattern, judging, pictures, score_table
from kanjiprep.evaluation.cells import Cell
from kanjiprep.evaluation.judged import JudgedRun, PictureScore
from kanjiprep.evaluation.judging import Ways
from kanjiprep.evaluation.report.private import private
from kanjiprep.progress import Progress
from kanjiprep.training.running import files

REPORT: Final = "report"
DOCUMENT: Final = "scores.json"


@dataclass(frozen=True, slots=True)
class Source:
    """What is to be judged.

    Attributes:
        place: A run folder or its name, a folder of pictures, or a strip.
        pattern: Of the pictures in a folder; None for the trainer's names.
        columns: Of a strip; None if it is none.
        rows: Of a strip.
        steps: Of the columns; None if they are not known.
    """

    place: str
    pattern: str | None = None
    columns: int | None = None
    rows: int = 1
    steps: tuple[int, ...] | None = None

    @property
    def is_of_pictures(self) -> bool:
        """Whether it is no run, by what is said of it."""
        return self.pattern is not None or self.columns is not None or _is(Path.is_file, self.place)


@dataclass(frozen=True, slots=True)
class Scored:
    """A judged run with what was written of it.

    Attributes:
        judged: All that is known.
        written: Files; none for pictures that are of no run folder.
    """

    judged: JudgedRun
    written: tuple[Path, ...]


def score(source: Source, ways: Ways, progress: Progress) -> Scored:
    """``source``, judged; what is kept of a run stands in its report folder.

    Raises:
        InputError: If there are no pictures to judge, or one cannot be read.
        UsageError: If options do not fit what is there.
        TrainerError: If the run's record cannot be read, or the scores cannot be written.
        DatasetError: If the training pictures cannot be found or read.
    """
    run = None if source.is_of_pictures else _run(source.place)
    if run is None:
        return Scored(_of_pictures(source, ways, progress), ())
    judged = judging.of_run(run, ways, progress, must_see=True)
    if not judged.pictures:
        what = "has no validation pictures, so nothing can be judged"
        raise InputError(
            what, str(run), "let it train until its first validation; kanjiprep monitor shows how far it is"
        )
    return Scored(judged, write(judged))


def _run(place: str) -> Path | None:
    """The run folder that ``place`` names; None if it is a folder of pictures with the trainer's names."""
    try:
        return find(place)
    except InputError:
        names = (f"{inside}{file_pattern.SIMPLETUNER}" for inside in pictures.FOLDERS)
        if not _is(Path.is_dir, place) or not any(file_pattern.find(Path(place), name) for name in names):
            raise
        return None


def find(place: str) -> Path:
    """The run folder that ``place`` names.

    Raises:
        InputError: If it is a folder in which nothing was launched.
        UsageError: If there is none.
    """
    try:
        return files.find(place)
    except UsageError as error:
        is_there = _is(Path.is_dir, place) or _is(Path.is_dir, f"runs/{place}")
        if not is_there or not place.strip():
            raise
        remedy = "give a folder in which a run was launched, or --pattern for a folder of pictures"
        raise InputError("is no run", place, remedy) from error


def _of_pictures(source: Source, ways: Ways, progress: Progress) -> JudgedRun:
    """Pictures of a folder or a strip, judged as those of a run.

    Raises:
        InputError: If there are none, or one cannot be read.
        UsageError: If options do not fit what is there.
        DatasetError: If the training pictures cannot be found or read.
    """
    notes: list[str] = []
    place = Path(source.place)
    cells = _cells(place, source, ways.size_px, notes)
    folder = (place if place.is_dir() else place.parent).absolute()
    name = folder.resolve().name if place.is_dir() else place.stem
    judged = judging.of_cells(name, folder, cells, ways, progress)
    return dataclasses.replace(judged, warnings=(*notes, *judged.warnings))


def _cells(place: Path, source: Source, size_px: int | None, notes: list[str]) -> tuple[Cell, ...]:
    if not _is(Path.exists, source.place):
        raise InputError("is not there", source.place, "give a run, a folder of pictures or a strip")
    if place.is_dir():
        if source.columns is not None:
            raise UsageError("is a folder", source.place, "--columns is for one picture with many in it")
        return pictures.of_folder(place, source.pattern, size_px)
    if source.pattern is not None:
        raise UsageError("is a file", source.place, "--pattern is for a folder of pictures")
    if source.columns is None:
        raise UsageError(
            "is a file", source.place, "say with --columns how many pictures are beside each other in it"
        )
    return pictures.of_strip(place, source.columns, source.rows, source.steps, notes=notes)


def write(judged: JudgedRun) -> tuple[Path, ...]:
    """scores.csv and scores.json in the report folder of ``judged``, each aside and then renamed.

    Raises:
        TrainerError: If they cannot be written.
    """
    folder = judged.folder / REPORT
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise TrainerError(f"cannot be made: {os_reason(error)}", str(folder), "fix the permissions") from error
    table, path = judged.folder / score_table.NAME, folder / DOCUMENT
    text = json.dumps(document(judged), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    if judged.verdict.ranked:
        files.replace(table, score_table.to_csv(judged.steps, judged.verdict))
    else:
        _remove(table)
    files.replace(path, text.encode("utf-8", "backslashreplace"))  # half a surrogate pair becomes what JSON writes
    return (table, path) if judged.verdict.ranked else (path,)


def _remove(path: Path) -> None:
    """Take away scores of checkpoints that can no longer be judged."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise TrainerError(f"cannot be removed: {os_reason(error)}", str(path), "move it away") from error


def document(judged: JudgedRun) -> dict[str, Any]:
    """``judged`` as a table for machines, without curves, without paths of this machine, and without NaN."""
    judged = private(judged)
    verdict = judged.verdict
    told = {
        "tool": f"kanjiprep {__version__}",
        "run": judged.name,
        "status": judged.status,
        "verdict": {"status": verdict.status, "step": verdict.step, "why": verdict.why, "tied": verdict.tied},
        "checkpoints": [dataclasses.asdict(one) for one in judged.steps],
        "ranked": [dataclasses.asdict(one) for one in verdict.ranked],
        "pictures": [_picture(one, judged.folder) for one in judged.pictures],
        "phases": [dataclasses.asdict(one) for one in judged.phases],
        "weights": [dataclasses.asdict(one) for one in judged.weights],
        "warnings": judged.warnings,
        "facts": [dataclasses.asdict(one) for one in judged.facts],
    }
    return {name: _finite(value) for name, value in told.items()}


def _finite(value: Any) -> Any:
    """``value`` with null for every number that JSON has none for."""
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _picture(one: PictureScore, folder: Path) -> Mapping[str, Any]:
    table = dataclasses.asdict(one)
    cell = table.pop("cell")
    return {**cell, "path": privacy.inside(one.cell.path, folder), **table}


def _is(test: Callable[[Path], bool], place: str) -> bool:
    try:
        return test(Path(place))
    except OSError:  # a name too long for a file
        return False
