"""Rows of parquet files that others may have written: pictures with captions, and names to be wary of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kanjiprep.dataset import characters
from kanjiprep.dataset.characters import Character
from kanjiprep.errors import DatasetError, os_reason
from kanjiprep.publishing import shards

_CAPTIONS: Final = ("text", "caption")
_KNOWN: Final = ("character", "codepoint", "meanings", "stroke_count")
_BUFFER_BYTES: Final = 1 << 20
REMEDY: Final = "give another revision or another dataset"


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the things are in a parquet file: pictures, captions, and whether it has what only we write."""

    picture: str
    caption: str
    has_names: bool
    has_characters: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        file_name: A safe name for the picture.
        caption: Its caption.
        picture: Its bytes.
        character: What is known of its character; None if the file has not all of those columns.
    """

    file_name: str
    caption: str
    picture: bytes
    character: Character | None


def of_train(names: Iterable[str]) -> list[str]:
    """Those parquet files of a repository that hold what is trained on, sorted.

    Of those in the folder ``data``, or of all without such, the ones called train-..., if there are any.
    """
    tables = sorted(name for name in names if name.endswith(".parquet"))
    tables = [name for name in tables if name.startswith(f"{shards.FOLDER}/")] or tables
    return [name for name in tables if re.match(r"train[-.]", name.rpartition("/")[2])] or tables


def count(path: Path) -> int:
    """How many rows a parquet file has.

    Raises:
        DatasetError: If it cannot be read.
    """
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def read(path: Path, first: int = 0) -> Iterator[Row]:
    """The rows of a parquet file of pictures, a few at a time.

    Captions are in ``text`` or else ``caption``, and none is an empty one. Where there is no
    ``file_name``, a picture is called as its own path ends, or else by its place in the dataset.

    Args:
        path: The file, or a link to it.
        first: The place of its first row in the dataset.

    Raises:
        DatasetError: If it cannot be read, has no pictures or no captions, or a row has no picture, an
            unsafe name, or a character that is none.
    """
    with _opened(path) as file:
        columns = _columns(file.schema_arrow, path)
        wanted = [columns.picture, columns.caption]
        wanted += (["file_name"] if columns.has_names else []) + (list(_KNOWN) if columns.has_characters else [])
        index = first
        for batch in file.iter_batches(shards.GROUP_ROWS, columns=wanted):
            for record in batch.to_pylist():
                yield _row(record, columns, index, f"{path}: row {index - first + 1}")
                index += 1


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as stream, pq.ParquetFile(stream, buffer_size=_BUFFER_BYTES) as file:
            yield file
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else error
        raise DatasetError(f"cannot be read as parquet: {reason}", str(path), "download it again") from error


def _columns(schema: Any, path: Path) -> _Columns:
    """Where the things are.

    Raises:
        DatasetError: If there are no pictures or no captions.
    """
    kinds = {field.name: field.type for field in schema}
    pictures = [name for name, kind in kinds.items() if _is_picture(kind)]
    captions = [name for name in _CAPTIONS if name in kinds and _is_text(kinds[name])]
    if not pictures or not captions:
        wanted = "a column of pictures with their bytes, or one of captions named text or caption"
        raise DatasetError(f"lacks {wanted}; its columns are {', '.join(kinds)!r:.300}", str(path), REMEDY)
    ours = shards.schema()
    return _Columns(
        picture="image" if "image" in pictures else pictures[0],
        caption=captions[0],
        has_names="file_name" in kinds and _is_text(kinds["file_name"]),
        has_characters=all(kinds.get(name) == ours.field(name).type for name in _KNOWN),
    )


def _is_picture(kind: Any) -> bool:
    from pyarrow import types

    if not types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    held = kind.field("bytes").type
    return bool(types.is_binary(held) or types.is_large_binary(held))


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind))


def _row(record: Mapping[str, Any], columns: _Columns, index: int, where: str) -> Row:
    picture = record[columns.picture] or {}
    if not picture.get("bytes"):
        raise DatasetError("holds no picture", where, REMEDY)
    name = _file_name(record, columns, str(picture.get("path") or ""), index, where)
    character = _character(record, name, where) if columns.has_characters else None
    return Row(name, record[columns.caption] or "", picture["bytes"], character)


def _file_name(record: Mapping[str, Any], columns: _Columns, path: str, index: int, where: str) -> str:
    """The name to write a picture to, which whoever pushed it must not lead out of the folder."""
    if columns.has_names:
        name = record["file_name"] or ""
        if not shards.is_safe(name):
            raise DatasetError(f"{name!r:.100} is no safe name of a picture", where, REMEDY)
        return str(name)
    base = path.replace("\\", "/").rsplit("/", 1)[-1]
    return base if shards.is_safe(base) else f"{index:05d}.png"


def _character(record: Mapping[str, Any], file_name: str, where: str) -> Character:
    table = {
        "file_name": file_name,
        "character": record["character"] or "",
        "codepoint": record["codepoint"] or "",
        "meanings": record["meanings"] or (),
        "stroke_count": record["stroke_count"],
    }
    return characters.of_table(table, where)
