"""The pictures and captions of a dataset as ``datasets`` reads an imagefolder, and nothing beside them."""

from __future__ import annotations

import io
import os
import shutil
import warnings
from pathlib import Path
from typing import Final

from kanjiprep import metadata
from kanjiprep.errors import DatasetError
from kanjiprep.progress import Progress
from kanjiprep.training.pictures import Dataset

FOLDER: Final = "train"
_CHUNK: Final = 10_000
"""Rows whose kinds ``datasets`` guesses together. Source: datasets 5.2.0 folder_based_builder.py."""


def table(dataset: Dataset) -> bytes:
    """metadata.csv of ``dataset``, which the trainer will read as it is meant.

    Raises:
        DatasetError: If pictures are not square, or a row would be read as something else.
    """
    oblong = [one.file_name for one in dataset.pictures if one.width_px != one.height_px]
    if oblong:
        what = f"{len(oblong):,} pictures are not square, as {oblong[0]!r}, and the script would cut strokes off"
        raise DatasetError(what, str(dataset.folder), "pad them to squares, or train with SimpleTuner")
    rows = [(one.file_name, one.caption) for one in dataset.pictures]
    written = metadata.to_csv(rows)
    _refuse_misread(written, rows, str(dataset.folder / metadata.NAME))
    return written


def _refuse_misread(written: bytes, rows: list[tuple[str, str]], where: str) -> None:
    """Refuse rows that pandas takes for numbers, or for nothing, as it does with a caption of ``None``."""
    import pandas

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pandas.errors.DtypeWarning)  # what it warns of is told below
            chunks = list(pandas.read_csv(io.BytesIO(written), chunksize=_CHUNK))
    except ValueError as error:
        raise DatasetError(f"pandas cannot read it: {error}", where, "mend its file names") from error
    read = [row for chunk in chunks for row in chunk.itertuples(index=False, name=None)]
    wrong = next((name for row, (name, text) in zip(read, rows, strict=False) if row != (name, text)), None)
    if wrong is not None or len(read) != len(rows):
        what = f"the row of {wrong!r} would be read as something else, a number or no text at all"
        raise DatasetError(what, where, "give it a caption of words, and a file name without commas and quotes")


def write(dataset: Dataset, folder: Path, progress: Progress) -> None:
    """Fill ``folder`` with the pictures of ``dataset`` and their metadata.csv.

    Pictures are hard links where the disk allows it, else copies.

    Raises:
        DatasetError: As ``table``.
        OSError: If it cannot be written.
    """
    captions = table(dataset)
    folder.mkdir()
    with (folder / metadata.NAME).open("xb") as stream:  # first, so that it can never be written through a link
        stream.write(captions)
    for done, one in enumerate(dataset.pictures, 1):
        _lay(dataset.folder / one.file_name, folder / one.file_name)
        progress("lay out pictures", done, len(dataset.pictures))


def _lay(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except FileExistsError:
        raise
    except OSError:  # another disk, or one that knows no links
        shutil.copyfile(source, target)
