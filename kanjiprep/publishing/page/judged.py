"""What a picture scores by the bands of the training pictures, found in the background."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from kanjiprep.errors import DatasetError, KanjiprepError
from kanjiprep.evaluation import reference, score, training_pictures
from kanjiprep.evaluation.bands import Bands
from kanjiprep.evaluation.cells import Cell
from kanjiprep.evaluation.judged import PictureScore
from kanjiprep.evaluation.reference import Training
from kanjiprep.progress import Progress, silent
from kanjiprep.publishing.page.lane import Lane
from kanjiprep.publishing.page.studio import Stopped
from kanjiprep.training.running import run_source

Word = Literal["sound", "doubtful", "exploded"]
DOUBTFUL: Final = 60.0
"""Below this score a picture is doubtful, as fewer than 1 in 100 of a training's own pictures are."""
Loading = Callable[[Progress], Bands]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is said of a picture.

    Attributes:
        word: None if it was not judged.
        score: 0 to 100, higher is better; None if it was not judged.
        why: What is odd about it, or why it was not judged; may be empty.
        style: How far from ink on paper, 0 for not at all.
        shape: How far from being built as in training; 1 is usual.
    """

    word: Word | None
    score: float | None
    why: str
    style: float | None = None
    shape: float | None = None


def training_of(run: Path | None, dataset: Path | None) -> Training:
    """The pictures that a run was trained on: those of ``dataset``, else those that the run links to.

    Raises:
        DatasetError: If they are not to be found.
        TrainerError: If the run's record cannot be read.
    """
    if dataset is not None:
        return training_pictures.of_dataset(dataset)
    if run is None:
        raise DatasetError("nobody knows what it was trained on", remedy="give the training pictures with --dataset")
    return training_pictures.of_run(run, run_source.environment(run), None, [])


def loading(run: Path | None, dataset: Path | None, cache: Path) -> Loading:
    """What finds the bands of the training pictures, from ``cache`` if they are there."""
    return lambda progress: reference.load(training_of(run, dataset), cache, progress)


def told(found: PictureScore) -> Judgement:
    """A judged picture in words."""
    word: Word = "exploded" if found.fault else "sound"
    if not found.fault and (found.style >= score.EXPLODED or found.score < DOUBTFUL):
        word = "doubtful"
    why = found.fault or (", ".join(found.oddities) if word == "doubtful" else "")
    return Judgement(word, found.score, why, found.style, found.shape)


class Judge:
    """Looks at pictures in a thread of its own, so that nobody waits for it.

    Args:
        load: Finds the bands.
    """

    def __init__(self, load: Loading) -> None:
        self._closed = threading.Event()
        self._lane = Lane("judge")
        self._bands = self._lane.submit(lambda: load(self._progress))

    def look(self, picture: Path, step: int, is_base: bool) -> Future[Judgement]:
        """What is to be said of the picture in a file, as soon as it is known."""
        cell = Cell(step, picture.stem, 0, picture, None, is_base)
        return self._lane.submit(lambda: self._look(cell))

    def close(self, patience_s: float) -> bool:
        """Look at nothing more; whether that is done in time."""
        self._closed.set()
        return self._lane.close(patience_s)

    def _look(self, cell: Cell) -> Judgement:
        try:
            self._progress()
            bands = self._bands.result()
            return told(score.judge([cell], score.measure([cell], silent), bands)[0])
        except KanjiprepError as error:
            return Judgement(None, None, str(error))

    def _progress(self, stage: str = "", done: int = 0, total: int | None = None) -> None:  # noqa: ARG002
        if self._closed.is_set():
            raise Stopped("the page is closed")
