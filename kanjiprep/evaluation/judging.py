"""Pictures, record and weights brought together: a run judged, and a checkpoint chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from kanjiprep.errors import DatasetError, InputError, TrainerError
from kanjiprep.evaluation import (
    about,
    cell_pixels,
    features,
    history,
    pictures,
    reference,
    score,
    trained,
    training_pictures,
    verdict,
)
from kanjiprep.evaluation.bands import Bands
from kanjiprep.evaluation.cells import Cell
from kanjiprep.evaluation.choose import Flag
from kanjiprep.evaluation.judge import see
from kanjiprep.evaluation.judged import Cost, Curves, DatasetShort, JudgedRun, PictureScore, WeightPoint
from kanjiprep.evaluation.reference import Training
from kanjiprep.evaluation.weights import drift
from kanjiprep.evaluation.weights.drift import Effort
from kanjiprep.progress import Progress
from kanjiprep.training.running import files, run_source
from kanjiprep.training.running.attempts import WEIGHTS
from kanjiprep.training.running.looking import Window
from kanjiprep.training.running.phases import Phase
from kanjiprep.training.running.run_state import RunState

DATASET: Final = Path("dataset")
NORMS: Final = "report/norms.json"
FEW: Final = 100
"""Bands of fewer training pictures are narrower than the truth."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How pictures are judged.

    Attributes:
        dataset: Folder of the training pictures; None for those that the run itself names.
        effort: At how many modules of the weights it is looked.
        trained: Whether the trained judge must look too; it does anyway if there is one and torch is installed.
        cache: Where bands are kept.
        judges: Where trained judges are kept.
        size_px: Width of the pictures that are judged; None for all, which must then be of one size.
    """

    dataset: Path | None
    effort: Effort
    trained: bool
    cache: Path
    judges: Path
    size_px: int | None = None


def dataset_of(ways: Ways) -> Path:
    """The dataset folder of pictures that no run tells of; ``dataset`` in the working folder if none is given.

    Raises:
        DatasetError: If none is given and there is none.
    """
    if ways.dataset is None and not DATASET.is_dir():
        raise DatasetError("is not there", f"{DATASET}/", "give the training pictures with --dataset")
    return ways.dataset or DATASET


def of_run(folder: Path, ways: Ways, progress: Progress, *, must_see: bool = False) -> JudgedRun:
    """The run in ``folder``, judged; nothing but the norms of its weights is written there.

    Args:
        folder: Of the run; it may be a copy from elsewhere.
        ways: How it is judged.
        progress: Hears of pictures and weights.
        must_see: Whether it is an error if it has pictures and none of them can be read.

    Raises:
        TrainerError: If its record cannot be read.
        DatasetError: If the pictures that it was trained on cannot be found or read.
        InputError: If the run has not begun, its pictures are of several sizes, or they must be seen and cannot.
        UsageError: If the trained judge must look and cannot.
    """
    _refuse_unbegun(folder)
    notes: list[str] = []
    seen, state, order = Window(folder).look(), run_source.state(folder), files.read_order(folder)
    spec, environment = run_source.spec(folder), run_source.environment(folder)
    cells = _cells(folder, state, ways, notes, must_see=must_see)
    training = training_pictures.of_run(folder, environment, ways.dataset, notes) if cells else None
    found, bands = _judged(cells, training, ways, about.plain_prompts(folder, spec), progress, notes)
    phases = history.phases(state.steps)
    weights = _weights(folder, state, ways.effort, progress, notes) if spec.model.train == "lora" else ()
    against, kept = _against(state, phases, weights), _kept(folder, state, notes)
    chosen, steps = verdict.verdict_of(found, against, kept, notes)
    cost = history.cost(state, order)
    return JudgedRun(
        name=folder.name,
        folder=folder,
        status=seen.status,
        reason=seen.reason,
        step=state.step,
        total_steps=order.total_steps,
        prompts=about.shown_prompts(folder, spec),
        verdict=chosen,
        steps=steps,
        pictures=found,
        curves=history.curves(state.steps),
        phases=phases,
        weights=weights,
        cost=cost,
        settings=about.settings(spec),
        dataset=about.dataset(folder, environment),
        warnings=tuple(notes),
        facts=about.facts(bands, cost, weights),
    )


def of_cells(name: str, folder: Path, cells: Sequence[Cell], ways: Ways, progress: Progress) -> JudgedRun:
    """Pictures that no run folder tells of, judged as those of a run; every step counts as a checkpoint.

    Args:
        name: Of the whole.
        folder: That the pictures are in.
        cells: Where they are.
        ways: With a dataset.
        progress: Hears of pictures.

    Raises:
        DatasetError: If the training pictures cannot be found or read.
        InputError: If a picture cannot be read.
        UsageError: If the trained judge must look and cannot.
    """
    notes: list[str] = []
    training = training_pictures.of_dataset(dataset_of(ways))
    found, bands = _judged(cells, training, ways, {}, progress, notes)
    kept = {one.step: "" for one in cells if not one.is_base}
    chosen, steps = verdict.verdict_of(found, {}, kept, notes)
    cost = Cost(0.0, None, "", None)
    return JudgedRun(
        name=name,
        folder=folder,
        status="pictures",
        reason="",
        step=max((one.step for one in cells), default=0),
        total_steps=max((one.step for one in cells), default=0),
        prompts={one.prompt: one.prompt for one in cells},
        verdict=chosen,
        steps=steps,
        pictures=found,
        curves=Curves((), (), (), ()),
        phases=(),
        weights=(),
        cost=cost,
        settings={},
        dataset=DatasetShort(len(training.names), training.digest, "", "", ""),
        warnings=tuple(notes),
        facts=about.facts(bands, cost, ())[:2],
    )


def _refuse_unbegun(run: Path) -> None:
    record = run / files.EVENTS
    if not record.is_file() or not record.stat().st_size:
        remedy = "let it run until its first validation; kanjiprep monitor shows how far it is"
        raise InputError("has not begun, so there is nothing to judge", str(run), remedy)


def _cells(run: Path, state: RunState, ways: Ways, notes: list[str], *, must_see: bool) -> tuple[Cell, ...]:
    """The pictures of ``run``; none if none can be read and that is no error."""
    try:
        return pictures.of_run(run, state, notes, ways.size_px)
    except TrainerError as error:
        if must_see:
            raise InputError(error.what, error.where, error.remedy) from error
        notes.append(f"{_inside(error, run)} {error.what}")
        return ()


def _inside(error: TrainerError, run: Path) -> str:
    """Where it is, as seen from the folder of ``run``."""
    return error.where.removeprefix(f"{run}/")


def _bands(training: Training, ways: Ways, progress: Progress, notes: list[str]) -> Bands:
    if len(training.names) < FEW:
        notes.append(f"the bands rest on {len(training.names)} training pictures, and are sure with {FEW} or more")
    return reference.load(training, ways.cache, progress)


def _judged(
    cells: Sequence[Cell],
    training: Training | None,
    ways: Ways,
    prompts: Mapping[str, str],
    progress: Progress,
    notes: list[str],
) -> tuple[tuple[PictureScore, ...], Bands | None]:
    """The pictures, judged, and by what; nothing where there are none."""
    if training is None:
        return (), None
    judge = trained.ready(ways.judges, training, must=ways.trained)
    bands = _bands(training, ways, progress, notes)
    found = score.judge(cells, score.measure(cells, progress), bands)
    if judge is None:
        return found, bands
    shown = ((cell_pixels.load(cell, features.SIDE_PX), prompts.get(cell.prompt, "")) for cell in cells)
    parts = see.see(shown, judge, progress)
    return tuple(replace(one, parts=part) for one, part in zip(found, parts, strict=True)), bands


def _weights(
    run: Path, state: RunState, effort: Effort, progress: Progress, notes: list[str]
) -> tuple[WeightPoint, ...]:
    """Norms of the adapters that are there."""
    adapters = ((one.step, run / one.path / WEIGHTS) for one in state.checkpoints)
    there = [(step, path) for step, path in adapters if path.is_file()]
    try:
        return drift.points(there, effort, progress, run / NORMS)
    except TrainerError as error:
        notes.append(f"the weights were not looked at: {_inside(error, run)} {error.what}")
        return ()


def _against(state: RunState, phases: Sequence[Phase], weights: Sequence[WeightPoint]) -> dict[int, tuple[Flag, ...]]:
    """What record and weights say against each checkpoint."""
    faults = {one.step: (Flag("weights", one.fault),) for one in weights if one.fault}
    steps = [one.step for one in state.checkpoints]
    return {step: (*history.flags(step, phases), *faults.get(step, ())) for step in steps}


def _kept(run: Path, state: RunState, notes: list[str]) -> dict[int, str]:
    """Path by step of the checkpoints that can be used; of all on record if their folders are not here at all."""
    there = {one.step: one.path for one in state.checkpoints if (run / one.path).is_dir()}
    gone = len(state.checkpoints) - len(there)
    if gone and there:
        notes.append(f"{gone} of {len(state.checkpoints)} checkpoints are no longer there, and are not chosen")
    if gone and not there:
        notes.append("no checkpoint is in the run folder; the choice is by their pictures alone")
        return {one.step: one.path for one in state.checkpoints}
    return there
