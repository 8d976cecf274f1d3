"""metadata.csv, where a dataset meets everyone who reads it: (file name, caption) rows, strictly."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from kanjiprep.errors import DatasetError, UsageError, os_reason
from kanjiprep.paths import resolved

NAME: Final = "metadata.csv"


def to_csv(rows: Iterable[tuple[str, str]]) -> bytes:
    """metadata.csv of (file name, caption) rows: the caption always quoted, all else bare."""
    lines = ["file_name,text\n"]
    for file_name, text in rows:
        quoted = text.replace('"', '""')
        lines.append(f'{file_name},"{quoted}"\n')
    return "".join(lines).encode()


def read_rows(path: Path) -> tuple[tuple[str, str], ...]:
    """The rows of a metadata.csv: file name and caption.

    Raises:
        DatasetError: If it is missing, not UTF-8, or not such a table.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"not UTF-8 text at byte {error.start}", str(path), "save it as UTF-8") from error
    except OSError as error:
        remedy = (
            "run kanjiprep build"
            if isinstance(error, FileNotFoundError | NotADirectoryError)
            else "check its permissions"
        )
        raise DatasetError(f"cannot be read: {os_reason(error)}", str(path), remedy) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if header[:2] != ["file_name", "text"]:
            raise DatasetError(
                f"its columns are {','.join(header) or 'missing'}", f"{path}:1", "make them file_name,text"
            )
        return tuple(_row(fields, len(header), f"{path}:{reader.line_num}") for fields in reader if fields)
    except csv.Error as error:
        raise DatasetError(f"not CSV: {error}", f"{path}:{reader.line_num}", "mend the quotes") from error


def _row(fields: list[str], columns: int, where: str) -> tuple[str, str]:
    if len(fields) != columns:
        raise DatasetError(f"{len(fields)} fields instead of {columns}", where, "quote the caption")
    return fields[0], fields[1]


def refuse_in_dataset(option: str, path: Path) -> None:
    """Refuse to write to ``path``, a file or folder, if that would add to a dataset.

    Args:
        option: By which it was given.
        path: As a user gave it.

    Raises:
        UsageError: If it is a folder with a metadata.csv in it, or is inside one.
    """
    whole = resolved(path)
    for folder in (whole, *whole.parents):
        if _has_rows(folder):
            where = "is the dataset itself" if folder == whole else "is inside the dataset"
            raise UsageError(f"{option} {where}, which it would make unfit", str(whole), "put it elsewhere")


def _has_rows(folder: Path) -> bool:
    try:
        return (folder / NAME).is_file()
    except OSError:  # a name too long for a file, or a folder that may not be entered: whoever writes there says so
        return False
