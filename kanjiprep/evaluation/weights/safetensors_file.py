"""Files of tensors: the header of a .safetensors file read without trust, its values, and files written whole."""

from __future__ import annotations

import json
import os
import reprlib
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from kanjiprep.errors import TrainerError, os_reason

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUFFIX: Final = ".safetensors"
ITEM_BYTES: Final[Mapping[str, int]] = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}
"""Bytes of one number, by the format's names of types."""
_NUMPY: Final[Mapping[str, str]] = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_LENGTH: Final = struct.Struct("<Q")
_LONGEST_HEADER: Final = 100_000_000
"""The format's own limit."""
_LARGEST: Final = 2**63
_MOST_DIMENSIONS: Final = 64
"""More than torch has, and few enough to multiply."""
_LOOKED_AT: Final = 64
_MAGIC: Final = {b"PK\x03\x04": "a ZIP archive, such as torch writes", b"GGUF": "a GGUF file"}
_PIECE_BYTES: Final = 2**20
_METADATA: Final = "__metadata__"
_REMEDY: Final = "take another checkpoint, or copy this one anew"

_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = 120

Raw = tuple[str, tuple[int, ...], bytes | memoryview]
"""A tensor to be written: the name of its type, its shape and its bytes."""
Promised = tuple[str, tuple[int, ...], Callable[[], bytes | memoryview]]
"""The same, with its bytes made only when they are to be written."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where a tensor is.

    Attributes:
        name: Of the tensor.
        dtype: The format's name of its type, such as ``BF16``.
        shape: Empty for a single number.
        start: Of its bytes, counted from the end of the header.
        stop: Behind its last byte.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself.

    Attributes:
        tensors: By name.
        metadata: Free words of whoever wrote it.
        data_start: Where the header ends.
    """

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    data_start: int


def shown(value: object) -> str:
    """A name or value out of a file, quoted, short and without control characters."""
    return _brief.repr(value)


def read(path: Path) -> Header:
    """The header of ``path``, of which every byte is accounted for.

    Raises:
        TrainerError: If there is no such file, or it is not exactly what the format allows.
    """
    with _as_trainer_error(path, "cannot be read", "check the path and its permissions"):
        if not path.is_file():
            raise TrainerError("is no file", str(path), f"name a {SUFFIX} file")
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            return _parse(stream, size)


def values(path: Path, header: Header, name: str) -> NDArray[np.float32]:
    """The numbers of a tensor in float32.

    Raises:
        TrainerError: If they are no floating point numbers of 16 bits or more, or cannot be read.
    """
    tensor = header.tensors[name]
    if tensor.dtype not in _NUMPY:
        raise TrainerError(f"{shown(name)} is of type {tensor.dtype}", str(path), "take one in F32, F16 or BF16")
    return decode(raw(path, header, name), tensor.dtype).reshape(tensor.shape)


def raw(path: Path, header: Header, name: str) -> memoryview:
    """The bytes of a tensor, mapped and not loaded.

    Raises:
        TrainerError: If they cannot be read.
    """
    import numpy as np

    tensor = header.tensors[name]
    size = tensor.stop - tensor.start
    if not size:
        return memoryview(b"")
    try:
        with _as_trainer_error(path, "cannot be read", _REMEDY):
            return np.memmap(path, np.uint8, "r", header.data_start + tensor.start, (size,)).data
    except ValueError as error:  # numpy's, where the file ends earlier than it did
        raise TrainerError("was cut short while it was read", str(path), _REMEDY) from error


def decode(data: bytes | memoryview, dtype: str) -> NDArray[np.float32]:
    """The numbers of bytes in F64, F32, F16 or BF16, in one row."""
    import numpy as np

    numbers = np.frombuffer(data, _NUMPY[dtype])
    if dtype == "BF16":
        return (numbers.astype("<u4") << 16).view("<f4").astype(np.float32)
    with np.errstate(over="ignore"):  # of F64; what becomes infinite is found by whoever looks for it
        return numbers.astype(np.float32)


def encode(numbers: NDArray[np.float32], dtype: str) -> memoryview:
    """The bytes of finite numbers in F64, F32, F16 or BF16, each rounded to the nearest, ties to even."""
    import numpy as np

    if dtype == "BF16":
        bits = np.ascontiguousarray(numbers, "<f4").view("<u4")
        coded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
    else:
        with np.errstate(over="ignore"):
            coded = np.ascontiguousarray(numbers.astype(_NUMPY[dtype]))
    return memoryview(coded.tobytes())


def write(path: Path, tensors: Mapping[str, Raw | Promised], metadata: Mapping[str, str]) -> None:
    """Write a file aside and rename it; the same tensors and metadata give the same bytes.

    Wide types come first, so that every tensor begins at a multiple of its numbers' size, as torch needs it; those
    of one type come by name. One promised tensor is in memory at a time.

    Raises:
        TrainerError: If a tensor has not as many bytes as its shape says, or the file cannot be written.
    """
    order = sorted(tensors, key=lambda name: (-ITEM_BYTES[tensors[name][0]], name))
    entries: dict[str, object] = {_METADATA: dict(sorted(metadata.items()))} if metadata else {}
    stop = 0
    for name in order:
        dtype, shape, _ = tensors[name]
        start, stop = stop, stop + prod(shape) * ITEM_BYTES[dtype]
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    _write_aside(path, chain((_LENGTH.pack(len(text)), text), (_data(path, name, *tensors[name]) for name in order)))


def _data(
    path: Path,
    name: str,
    dtype: str,
    shape: tuple[int, ...],
    data: bytes | memoryview | Callable[[], bytes | memoryview],
) -> bytes | memoryview:
    made = data() if callable(data) else data
    if len(made) != prod(shape) * ITEM_BYTES[dtype]:
        raise TrainerError(f"{shown(name)} has {len(made)} bytes, not those of {list(shape)} {dtype}", str(path))
    return made


def copy(path: Path, out: Path) -> None:
    """Write a copy aside and rename it, byte for byte.

    Raises:
        TrainerError: If it cannot be read or written.
    """
    with _as_trainer_error(path, "cannot be copied", "check its permissions"), path.open("rb") as stream:
        _write_aside(out, iter(partial(stream.read, _PIECE_BYTES), b""))


def _write_aside(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    aside = path.with_name(f".{path.name}.writing")
    with _as_trainer_error(path, "cannot be written", "free the space, fix the permissions, or give another folder"):
        try:
            with aside.open("wb") as stream:
                for piece in pieces:
                    stream.write(piece)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def _as_trainer_error(path: Path, what: str, remedy: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TrainerError(f"{what}: {os_reason(error)}", str(path), remedy) from error
    except _Malformed as error:
        remedy = f"get the {SUFFIX} file itself" if isinstance(error, _Stranger) else _REMEDY
        raise TrainerError(f"no {SUFFIX} file: {error}", str(path), remedy) from error


class _Malformed(Exception):
    """What the format does not allow, as a phrase."""


class _Stranger(_Malformed):
    """A file of another kind altogether."""


def _parse(stream: IO[bytes], size: int) -> Header:
    text = _text(stream, size)
    data_start = stream.tell()
    table = _table(text)
    metadata = _metadata(table.pop(_METADATA, {}))
    tensors = {name: _tensor(name, entry, size - data_start) for name, entry in table.items()}
    _refuse_gaps(tensors.values(), size - data_start)
    return Header(tensors, metadata, data_start)


def _text(stream: IO[bytes], size: int) -> str:
    if size < _LENGTH.size:
        raise _Malformed(f"it has {size} bytes")
    start = stream.read(_LENGTH.size)
    if what := _other_kind(start + stream.read(_LOOKED_AT)):
        raise _Stranger(what)
    stream.seek(_LENGTH.size)
    (length,) = _LENGTH.unpack(start)
    if length > _LONGEST_HEADER:
        raise _Malformed(f"its header would have {length:,} bytes, and {_LONGEST_HEADER:,} is the most")
    if length > size - _LENGTH.size:
        raise _Malformed(f"its header would have {length:,} bytes, and the file has {size:,}")
    try:
        return stream.read(length).decode()
    except UnicodeDecodeError as error:
        raise _Malformed(f"its header is not UTF-8 at byte {error.start}") from error


def _other_kind(start: bytes) -> str:
    """What a file is that begins so, a phrase; empty if it may be of the format."""
    if start.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer, which stands for a file"
    begin = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if begin.startswith((b"<!doctype", b"<html", b"<?xml", b"<!--", b"<head")):
        return "it is a web page"
    return next((f"it is {what}" for magic, what in _MAGIC.items() if start.startswith(magic)), "")


def _table(text: str) -> dict[str, object]:
    try:
        table = json.loads(text, object_pairs_hook=_without_twins)
    except (ValueError, RecursionError) as error:
        raise _Malformed(f"its header is not JSON: {error}") from error
    if not isinstance(table, dict):
        raise _Malformed("its header is no JSON object")
    return table


def _without_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) < len(pairs):
        ((twin, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise _Malformed(f"its header names {shown(twin)} twice")
    return table


def _metadata(entry: object) -> dict[str, str]:
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        raise _Malformed("its metadata is no table of texts")
    if not all(_is_unicode(word) for pair in entry.items() for word in pair):
        raise _Malformed("its metadata is not Unicode")
    return entry


def _tensor(name: str, entry: object, room: int) -> Tensor:
    if not _is_unicode(name):
        raise _Malformed(f"the name {shown(name)} is not Unicode")
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _Malformed(f"{shown(name)} has not just a dtype, a shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise _Malformed(f"{shown(name)} is of type {shown(dtype)}, which is not known")
    if not _is_counts(shape) or len(shape) > _MOST_DIMENSIONS:
        raise _Malformed(f"{shown(name)} has the shape {shown(shape)}")
    if not _is_counts(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= room:  # noqa: PLR2004
        raise _Malformed(f"{shown(name)} has the offsets {shown(offsets)} in {room:,} bytes of data")
    if prod(shape) * ITEM_BYTES[dtype] != offsets[1] - offsets[0]:
        raise _Malformed(f"{shown(name)} has {offsets[1] - offsets[0]:,} bytes, not those of {shown(shape)} {dtype}")
    return Tensor(name, dtype, tuple(shape), *offsets)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _is_counts(value: object) -> bool:
    return isinstance(value, list) and all(type(one) is int and 0 <= one < _LARGEST for one in value)


def _refuse_gaps(tensors: Iterable[Tensor], room: int) -> None:
    stop = 0
    for tensor in sorted(tensors, key=lambda one: (one.start, one.stop)):
        if tensor.start != stop:
            word = "overlaps another" if tensor.start < stop else "leaves a hole before it"
            raise _Malformed(f"{shown(tensor.name)} {word}")
        stop = tensor.stop
    if stop != room:
        raise _Malformed(f"it has {room:,} bytes of data, and its tensors have {stop:,}")
