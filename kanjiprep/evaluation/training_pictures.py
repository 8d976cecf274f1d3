"""Where the pictures are that a run was trained on."""

from __future__ import annotations

from pathlib import Path

from kanjiprep import metadata, receipt
from kanjiprep.errors import DatasetError
from kanjiprep.evaluation.reference import Training
from kanjiprep.training import pictures, run_folder
from kanjiprep.training.configs import CAPTIONS
from kanjiprep.training.running.run_source import Environment


def of_run(run: Path, environment: Environment, dataset: Path | None, notes: list[str]) -> Training:
    """The training pictures of ``run``: those of ``dataset`` if it is given, else those that the run links to.

    Args:
        run: The run folder; it may be a copy from another machine.
        environment: What it was made with.
        dataset: A dataset folder.
        notes: Hears if that is another dataset than the run's.

    Raises:
        DatasetError: If they are not to be found.
    """
    if dataset is not None:
        found = of_dataset(dataset)
        if environment.digest and found.digest != environment.digest:
            notes.append(f"{dataset.name} is not the dataset, as it was then, that the run was trained on")
        return found
    names = tuple(one.file_name for one in pictures.read_captions(run / run_folder.CONFIG / CAPTIONS))
    folder = run / run_folder.PICTURES
    lost = next((name for name in names if not _is_file(folder / name)), None)
    if lost is not None or not names:
        what = f"{lost or 'the pictures'} that the run was trained on cannot be found"
        raise DatasetError(what, str(folder), f"give --dataset; it was {environment.dataset}")
    return Training(folder, names, environment.digest)


def of_dataset(folder: Path) -> Training:
    """The pictures of a dataset folder.

    Raises:
        DatasetError: If it is none, or lacks one of its pictures.
    """
    names = tuple(name for name, _ in metadata.read_rows(folder / metadata.NAME))
    if not names:
        raise DatasetError("has no rows", str(folder / metadata.NAME), "run kanjiprep build")
    lost = next((name for name in names if not _is_file(folder / name)), None)
    if lost is not None:
        raise DatasetError(f"{lost} is missing", str(folder), "run kanjiprep check on its folder")
    return Training(folder, names, receipt.certified_digest(folder))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long for a file, or with a NUL in it, depending on Python
        return False
