"""The header of a .safetensors file, read without trust.

Source: https://github.com/huggingface/safetensors, section Format.
"""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import IO, Final

from kanjiprep.errors import shown

ITEM_BYTES: Final[Mapping[str, int]] = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}
"""Bytes of one number, by the format's names of types."""
LENGTH: Final = struct.Struct("<Q")
_LONGEST_HEADER: Final = 100_000_000
"""The format's own limit."""
_LARGEST: Final = 2**63
_MOST_DIMENSIONS: Final = 64
"""More than torch has, and few enough to multiply."""
_LOOKED_AT: Final = 64
_MAGIC: Final = {b"PK\x03\x04": "a ZIP archive, such as torch writes", b"GGUF": "a GGUF file"}
METADATA: Final = "__metadata__"


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


class Malformed(Exception):
    """What the format does not allow, as a phrase."""


class Stranger(Malformed):
    """A file of another kind altogether."""


def parse(stream: IO[bytes], size: int) -> Header:
    """The header of a file of ``size`` bytes, of which every byte is accounted for.

    Raises:
        Malformed: If it is not exactly what the format allows.
    """
    text = _text(stream, size)
    data_start = stream.tell()
    table = _table(text)
    metadata = _metadata(table.pop(METADATA, {}))
    tensors = {name: _tensor(name, entry, size - data_start) for name, entry in table.items()}
    _refuse_gaps(tensors.values(), size - data_start)
    return Header(tensors, metadata, data_start)


def _text(stream: IO[bytes], size: int) -> str:
    if size < LENGTH.size:
        raise Malformed(f"it has {size} bytes")
    start = stream.read(LENGTH.size)
    if what := _other_kind(start + stream.read(_LOOKED_AT)):
        raise Stranger(what)
    stream.seek(LENGTH.size)
    (length,) = LENGTH.unpack(start)
    if length > _LONGEST_HEADER:
        raise Malformed(f"its header would have {length:,} bytes, and {_LONGEST_HEADER:,} is the most")
    if length > size - LENGTH.size:
        raise Malformed(f"its header would have {length:,} bytes, and the file has {size:,}")
    try:
        return stream.read(length).decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"its header is not UTF-8 at byte {error.start}") from error


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
        raise Malformed(f"its header is not JSON: {error}") from error
    if not isinstance(table, dict):
        raise Malformed("its header is no JSON object")
    return table


def _without_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) < len(pairs):
        ((twin, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise Malformed(f"its header names {shown(twin)} twice")
    return table


def _metadata(entry: object) -> dict[str, str]:
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        raise Malformed("its metadata is no table of texts")
    if not all(_is_unicode(word) for pair in entry.items() for word in pair):
        raise Malformed("its metadata is not Unicode")
    return entry


def _tensor(name: str, entry: object, room: int) -> Tensor:
    if not _is_unicode(name):
        raise Malformed(f"the name {shown(name)} is not Unicode")
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise Malformed(f"{shown(name)} has not just a dtype, a shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise Malformed(f"{shown(name)} is of type {shown(dtype)}, which is not known")
    if not _is_counts(shape) or len(shape) > _MOST_DIMENSIONS:
        raise Malformed(f"{shown(name)} has the shape {shown(shape)}")
    if not _is_counts(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= room:  # noqa: PLR2004
        raise Malformed(f"{shown(name)} has the offsets {shown(offsets)} in {room:,} bytes of data")
    if prod(shape) * ITEM_BYTES[dtype] != offsets[1] - offsets[0]:
        raise Malformed(f"{shown(name)} has {offsets[1] - offsets[0]:,} bytes, not those of {shown(shape)} {dtype}")
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
            raise Malformed(f"{shown(tensor.name)} {word}")
        stop = tensor.stop
    if stop != room:
        raise Malformed(f"it has {room:,} bytes of data, and its tensors have {stop:,}")
