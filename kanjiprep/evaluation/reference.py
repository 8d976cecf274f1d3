"""Bands of a dataset: a sample of its pictures, each as a good generator might have painted it, measured."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kanjiprep.dataset import workers
from kanjiprep.errors import DatasetError, InputError, os_reason
from kanjiprep.evaluation import bands, cell_pixels, features, variants
from kanjiprep.evaluation.bands import Bands
from kanjiprep.evaluation.cells import Cell
from kanjiprep.evaluation.features import Values
from kanjiprep.progress import Progress

SAMPLE: Final = 600
"""So many pictures of a dataset are measured; the 1st and 99th percentile then rest on six each."""
LEAST: Final = 200
"""Those of a small dataset are measured again and again, each time in another hand, until there are so many."""
VERSION: Final = 2
"""Of how pictures are chosen and painted; bands of another one are measured anew, as are those of other formulas."""
_REMEDY: Final = "run kanjiprep check on its folder"


@dataclass(frozen=True, slots=True)
class Training:
    """The pictures that a run was trained on.

    Attributes:
        folder: Where they are.
        names: Of their files, at least one.
        digest: Of the dataset; empty if it is not known.
    """

    folder: Path
    names: tuple[str, ...]
    digest: str

    @property
    def key(self) -> str:
        """What the bands depend on: the dataset's digest, or else its files' names, sizes and times.

        Raises:
            DatasetError: If a file is not there any more.
        """
        if self.digest:
            return self.digest
        listed = "\n".join(_stamp(self.folder, name) for name in self.names)
        return hashlib.sha256(listed.encode()).hexdigest()


def _stamp(folder: Path, name: str) -> str:
    try:
        stat = (folder / name).stat()
    except OSError as error:
        raise DatasetError(f"{name} cannot be read: {os_reason(error)}", str(folder), _REMEDY) from error
    return f"{name} {stat.st_size} {stat.st_mtime_ns}"


def load(training: Training, cache: Path, progress: Progress) -> Bands:
    """The bands of the pictures of ``training``, from ``cache`` if they are there, else measured and kept there.

    Raises:
        DatasetError: If a picture cannot be read, or the bands cannot be kept.
    """
    key = training.key
    path = cache / f"{key}-{VERSION}.json"
    known = _read(path, key)
    if known is not None:
        return known
    found = measure(training, progress)
    _keep(path, found)
    return found


def measure(training: Training, progress: Progress) -> Bands:
    """The bands of the pictures of ``training``, measured.

    Raises:
        DatasetError: If a picture cannot be read.
    """
    names = spread(training.names, SAMPLE)
    names *= -(-LEAST // len(names))
    rows: list[Values] = []
    work = functools.partial(_measured, training.folder)
    for part in workers.in_processes(work, tuple(enumerate(names)), workers.available(), cell_pixels.AT_ONCE):
        rows.append(part)
        progress("measure the training pictures", sum(map(len, rows)), len(names))
    return bands.of(np.concatenate(rows), training.key)


def spread(names: Sequence[str], most: int) -> tuple[str, ...]:
    """At most ``most`` of ``names``, evenly spread."""
    count = min(most, len(names))
    return tuple(names[index * len(names) // count] for index in range(count))


def painted(path: Path, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A training picture as a good generator might have painted it: (H, W, 3) uint8 RGB, ``features.SIDE_PX`` a side.

    Raises:
        DatasetError: If it cannot be read.
    """
    try:
        rgb = cell_pixels.load(Cell(0, path.name, 0, path), features.SIDE_PX)
    except InputError as error:
        raise DatasetError(error.what, error.where, _REMEDY) from error
    return variants.vary(np.asarray(Image.fromarray(rgb).convert("L")), rng)


def _measured(folder: Path, numbered: Sequence[tuple[int, str]]) -> Values:
    return np.array(
        [features.measure(painted(folder / name, np.random.default_rng(number))) for number, name in numbered]
    )


def _read(path: Path, digest: str) -> Bands | None:
    """What was kept at ``path``; None if that is nothing, or not bands of this dataset by today's formulas."""
    try:
        table = json.loads(path.read_bytes())
        low, middle, high, spread, bond = (np.array(table[name], np.float64) for name in _ARRAYS)
        usual, count = float(table["usual"]), int(table["pictures"])
        found = Bands(low, middle, high, spread, bond, usual, count, str(table["digest"]))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    measured = (table.get("statistics"), table.get("formulas"), found.digest)
    is_ours = measured == (list(features.NAMES), features.VERSION, digest)
    return found if is_ours and _is_sane(found) else None


def _is_sane(found: Bands) -> bool:
    """Whether a reader can divide by it."""
    count, shapes = len(features.NAMES), int((~features.STYLE).sum())
    wanted = ((count,), (count,), (count,), (shapes,), (shapes, shapes))
    arrays = [getattr(found, name) for name in _ARRAYS]
    if any(one.shape != shape or not np.isfinite(one).all() for one, shape in zip(arrays, wanted, strict=True)):
        return False
    is_ordered = (found.low < found.middle).all() and (found.middle < found.high).all()
    return bool(is_ordered and (found.spread > 0).all() and 0 < found.usual < np.inf)


_ARRAYS: Final = ("low", "middle", "high", "spread", "bond")


def _keep(path: Path, found: Bands) -> None:
    arrays = {name: getattr(found, name).tolist() for name in _ARRAYS}
    told = {"usual": found.usual, "pictures": found.pictures, "digest": found.digest}
    table = {"statistics": features.NAMES, "formulas": features.VERSION, **told, **arrays}
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(table), "utf-8")
        aside.replace(path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        raise DatasetError(f"cannot be written: {os_reason(error)}", str(path), "free some space") from error
