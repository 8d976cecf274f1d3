"""The content that hf_xet uploads: shards say which chunks make a file, xorbs hold the chunks.

Source: the Xet protocol specification, https://huggingface.co/docs/xet, and what hf_xet writes.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_RECORD_BYTES = 48
_MAGIC = b"HFRepoMetaData\0"
_LAST = b"\xff" * 32
_HAS_VERIFICATION = 1 << 31
_HAS_SHA256 = 1 << 30
_PLAIN, _LZ4, _GROUPED_LZ4 = 0, 1, 2
_LOCAL = Path("xet", "xorbs")
"""Where hf_xet keeps its store below the folder that a local:// address names."""


class XetError(Exception):
    """Content that is not what its shard or its hash says."""


@dataclass(frozen=True, slots=True)
class Term:
    """Some chunks of a xorb, one after another: first is in, end is out."""

    xorb: str
    size: int
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class ShardFile:
    """One file of a shard, as the terms that make it."""

    sha256: str
    terms: tuple[Term, ...]


def shard_files(shard: bytes) -> list[ShardFile]:
    """Every file that a shard tells of."""
    if not shard.startswith(_MAGIC) or len(shard) < 2 * _RECORD_BYTES:
        raise XetError("not a shard")
    records = (shard[at : at + _RECORD_BYTES] for at in range(_RECORD_BYTES, len(shard), _RECORD_BYTES))
    found = []
    while (head := _next(records))[:32] != _LAST:
        found.append(_file(head, records))
    return found


def chunks(xorb: bytes) -> list[bytes]:
    """The chunks of a xorb, decompressed; what follows them is its index."""
    found, at = [], 0
    while at + 8 <= len(xorb) and xorb[at] == 0:
        packed = int.from_bytes(xorb[at + 1 : at + 4], "little")
        size = int.from_bytes(xorb[at + 5 : at + 8], "little")
        found.append(_unpacked(xorb[at + 8 : at + 8 + packed], xorb[at + 4], size))
        at += 8 + packed
    return found


def contents(shard: bytes, xorbs: Mapping[str, bytes]) -> dict[str, bytes]:
    """The content of each file of a shard by its sha256, which is checked."""
    opened = {name: chunks(xorbs[name]) for name in _xorbs_of(shard) if name in xorbs}
    return {file.sha256: _content(file, opened) for file in shard_files(shard)}


def read_local(folder: Path, known: Mapping[str, bytes]) -> dict[str, bytes]:
    """The content by sha256 that hf_xet put into the folder of a local:// address, but for what is known."""
    found: dict[str, bytes] = {}
    for path in sorted((folder / _LOCAL / "shards").glob("*.mdb")):
        shard = path.read_bytes()
        if any(file.sha256 not in known for file in shard_files(shard)):
            stored = ((name, folder / _LOCAL / "xorbs" / f"default.{name}") for name in _xorbs_of(shard))
            found |= contents(shard, {name: place.read_bytes() for name, place in stored if place.exists()})
    return found


def _file(head: bytes, records: Iterator[bytes]) -> ShardFile:
    flags, count = struct.unpack_from("<II", head, 32)
    terms = tuple(_term(_next(records)) for _ in range(count))
    for _ in range(count if flags & _HAS_VERIFICATION else 0):
        _next(records)
    if not flags & _HAS_SHA256:
        raise XetError("a file of the shard has no sha256")
    return ShardFile(_hash(_next(records)[:32]), terms)


def _term(record: bytes) -> Term:
    _, size, first, end = struct.unpack_from("<IIII", record, 32)
    return Term(_hash(record[:32]), size, first, end)


def _next(records: Iterator[bytes]) -> bytes:
    record = next(records, b"")
    if len(record) < _RECORD_BYTES:
        raise XetError("the shard ends too early")
    return record


def _hash(data: bytes) -> str:
    """A hash as text: four little-endian numbers of 64 bits, each written as hex."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", data))


def _xorbs_of(shard: bytes) -> set[str]:
    return {term.xorb for file in shard_files(shard) for term in file.terms}


def _content(file: ShardFile, opened: Mapping[str, list[bytes]]) -> bytes:
    if missing := {term.xorb for term in file.terms} - opened.keys():
        raise XetError(f"xorbs were never uploaded: {sorted(missing)}")
    data = b"".join(chunk for term in file.terms for chunk in opened[term.xorb][term.first : term.end])
    if (actual := hashlib.sha256(data).hexdigest()) != file.sha256 or len(data) != sum(t.size for t in file.terms):
        raise XetError(f"the content of {file.sha256} has the sha256 {actual}")
    return data


def _unpacked(data: bytes, scheme: int, size: int) -> bytes:
    if scheme == _PLAIN:
        return data
    if scheme not in {_LZ4, _GROUPED_LZ4}:
        raise XetError(f"unknown compression {scheme}")
    import pyarrow as pa

    flat = bytes(pa.decompress(data, decompressed_size=size, codec="lz4", asbytes=True))
    return flat if scheme == _LZ4 else _ungrouped(flat)


def _ungrouped(data: bytes) -> bytes:
    """Bytes that were grouped by their place in each four, back in order."""
    whole, at = bytearray(len(data)), 0
    for place in range(4):
        count = len(range(place, len(data), 4))
        whole[place::4] = data[at : at + count]
        at += count
    return bytes(whole)
