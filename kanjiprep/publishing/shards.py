"""The dataset folder as parquet files with the pictures inside: what the Hub serves best."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kanjiprep import metadata
from kanjiprep.dataset import characters
from kanjiprep.dataset.characters import Character
from kanjiprep.dataset.folder import PICTURE_SUFFIXES
from kanjiprep.errors import DatasetError, os_reason
from kanjiprep.progress import Progress

FOLDER: Final = "data"
SHARD_PICTURE_BYTES: Final = 100_000_000
"""The most picture bytes in one file, and so in memory and in one transfer that breaks off."""
MOST_SHARDS: Final = 8
"""A dataset that would have more has larger files instead: with few files it arrives in one commit.

Of two files that follow each other, the pictures are more than one file may hold; hence the 2 where this is used.
"""
GROUP_ROWS: Final = 100
"""Rows that are written, and later read, at once.

Source: https://huggingface.co/docs/hub/datasets-image, which advises row groups of 100 rows for pictures.
"""

_KINDS: Final = {
    "image": "image",
    "text": "string",
    "character": "string",
    "codepoint": "string",
    "meanings": "strings",
    "stroke_count": "int32",
    "file_name": "string",
}
_PICTURE_LEAF: Final = "image.bytes"
_LEAVES: Final = (
    "image.path",
    "text",
    "character",
    "codepoint",
    "meanings.list.element",
    "stroke_count",
    "file_name",
)
_UNSAFE: Final = re.compile(r'[/\\",\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]|^\.|\.\.')


@dataclass(frozen=True, slots=True)
class Shards:
    """The parquet files of a dataset.

    Attributes:
        paths: The files, in the order of the rows.
        rows: How many rows they hold together.
        picture_bytes: Size of all pictures.
        file_bytes: Size of the files, ``download_size`` on a card.
        table_bytes: Size of the rows in memory, ``num_bytes`` and ``dataset_size`` on a card. It is the
            ``data.nbytes`` of the loaded dataset. ``push_to_hub`` would say an estimate of that less the
            names in ``image``: 0.1 % less for the whole of KANJIDIC2. No version checks it.
    """

    paths: tuple[Path, ...]
    rows: int
    picture_bytes: int
    file_bytes: int
    table_bytes: int


@dataclass(frozen=True, slots=True)
class _Row:
    caption: str
    character: Character
    size: int


def write(dataset: Path, out: Path, progress: Progress) -> Shards:
    """The parquet files of a dataset folder, ``out/data/train-00000-of-0000N.parquet``.

    The same folder and the same pyarrow give the same bytes. The files name no path of this machine.

    Args:
        dataset: The dataset folder.
        out: A folder, made if need be, that has no ``data`` yet.
        progress: Hears rows written.

    Raises:
        DatasetError: If the folder has no rows, a row's picture is missing, empty, unreadable, too
            large or named unsafely, two rows name the same, or ``out`` cannot be written.
    """
    rows = _rows(dataset)
    parts = _parts(rows)
    names = [f"train-{index:05d}-of-{len(parts):05d}.parquet" for index in range(len(parts))]
    table_bytes = done = file_bytes = 0
    with _aside(out / FOLDER) as aside:
        for name, part in zip(names, parts, strict=True):
            with _writer(aside / name) as writer:
                for start in range(0, len(part), GROUP_ROWS):
                    table = _table(dataset, part[start : start + GROUP_ROWS])
                    writer.write_table(table, GROUP_ROWS)
                    table_bytes += table.nbytes
                    done += table.num_rows
                    progress("pack pictures", done, len(rows))
            file_bytes += (aside / name).stat().st_size
    picture_bytes = sum(row.size for row in rows)
    return Shards(tuple(out / FOLDER / name for name in names), len(rows), picture_bytes, file_bytes, table_bytes)


def features() -> list[dict[str, str]]:
    """The columns as ``dataset_info.features`` of a card names them, in words that datasets 3, 4 and 5 know."""
    return [
        {"name": name, "sequence": "string"} if kind == "strings" else {"name": name, "dtype": kind}
        for name, kind in _KINDS.items()
    ]


def schema() -> Any:
    """The Arrow schema of the files, with the key by which ``datasets`` knows that a column holds pictures."""
    import pyarrow as pa

    types = {
        "image": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
        "string": pa.string(),
        "strings": pa.list_(pa.string()),
        "int32": pa.int32(),
    }
    told = {"info": {"features": {name: _feature(kind) for name, kind in _KINDS.items()}}}
    return pa.schema({name: types[kind] for name, kind in _KINDS.items()}, {"huggingface": json.dumps(told)})


def is_safe(file_name: str) -> bool:
    """Whether ``file_name`` is the bare name of a picture that any folder and metadata.csv can hold."""
    return _UNSAFE.search(file_name) is None and file_name.lower().endswith(PICTURE_SUFFIXES)


def refuse_unfit(names: Sequence[str], where: str) -> None:
    """Refuse a table whose rows are not one for each of some pictures beside it.

    Raises:
        DatasetError: If there is no row, a name that is not safe, or one that comes twice.
    """
    if not names:
        raise DatasetError("has no rows", where, "run kanjiprep build")
    if (unsafe := next((name for name in names if not is_safe(name)), None)) is not None:
        raise DatasetError(f"{unsafe!r} is no safe name of a picture beside it", where, "rename the picture")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DatasetError(f"{twice[0]!r} has more than one row", where, "keep one")


def _feature(kind: str) -> dict[str, Any]:
    """A column in the JSON of ``datasets``; version 3 does not know ``List``, and all know ``Sequence``."""
    if kind == "image":
        return {"_type": "Image"}
    if kind == "strings":
        return {"feature": {"dtype": "string", "_type": "Value"}, "_type": "Sequence"}
    return {"dtype": kind, "_type": "Value"}


def _rows(dataset: Path) -> tuple[_Row, ...]:
    table = dataset / metadata.NAME
    pairs = metadata.read_rows(table)
    names = [name for name, _ in pairs]
    refuse_unfit(names, str(table))
    known = characters.read(dataset, names)
    return tuple(_Row(text, one, _size(dataset / name)) for (name, text), one in zip(pairs, known, strict=True))


def _size(path: Path) -> int:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise _unreadable(path, error) from error
    if not 0 < size <= SHARD_PICTURE_BYTES:
        most = f"{SHARD_PICTURE_BYTES:,}"
        raise DatasetError(f"has {size:,} bytes, and a picture has 1 to {most}", str(path), "replace it")
    return size


def _parts(rows: Sequence[_Row]) -> list[list[_Row]]:
    """The rows in runs, each as long as its pictures fit into one file."""
    parts: list[list[_Row]] = []
    room, most = 0, max(SHARD_PICTURE_BYTES, 2 * sum(row.size for row in rows) // MOST_SHARDS)
    for row in rows:
        if row.size > room:
            parts.append([])
            room = most
        parts[-1].append(row)
        room -= row.size
    return parts


def _writer(path: Path) -> Any:
    """A parquet file to be written.

    Pages are not cut by content: with row groups so small, that made Xet send two to three times as much
    after a row was taken out, since it cuts the file itself (measured on 2,000 pictures).
    """
    import pyarrow.parquet as pq

    return pq.ParquetWriter(
        path,
        schema(),
        compression={_PICTURE_LEAF: "NONE", **dict.fromkeys(_LEAVES, "ZSTD")},  # PNG does not compress again
        use_dictionary=False,  # nearly every value is seen once
        write_statistics=list(_LEAVES),  # the least and greatest bytes of pictures say nothing
        write_page_index=True,
    )


def _table(dataset: Path, rows: Sequence[_Row]) -> Any:
    import pyarrow as pa

    known = [row.character for row in rows]
    names = [one.file_name for one in known]
    pictures = [_picture(dataset / row.character.file_name, row.size) for row in rows]
    columns = {
        "image": [{"bytes": data, "path": name} for data, name in zip(pictures, names, strict=True)],
        "text": [row.caption for row in rows],
        "character": [one.character for one in known],
        "codepoint": [one.codepoint for one in known],
        "meanings": [one.meanings for one in known],
        "stroke_count": [one.stroke_count for one in known],
        "file_name": names,
    }
    return pa.Table.from_pydict(columns, schema())


def _picture(path: Path, size: int) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(data) != size:
        raise DatasetError("was changed while it was packed", str(path), "run the same command again")
    return data


def _unreadable(path: Path, error: OSError) -> DatasetError:
    return DatasetError(f"cannot be read: {os_reason(error)}", str(path), "run kanjiprep check on its folder")


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A folder beside ``folder`` that takes its place in the end, or is removed."""
    aside = folder.with_name(f".{folder.name}.packing")
    try:
        if folder.exists():
            raise DatasetError("is there already", str(folder), "move it away")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        yield aside
        aside.rename(folder)
    except OSError as error:
        raise DatasetError(
            f"cannot be written: {os_reason(error)}", str(folder), "free the space or fix the permissions"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
