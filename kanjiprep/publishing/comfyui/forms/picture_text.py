"""The texts that a PNG picture carries, read without decoding it.

Source: PNG specification (third edition), 11.3.3: tEXt, zTXt and iTXt.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from kanjiprep.errors import InputError

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_HEAD: Final = struct.Struct(">I4s")
_CRC_BYTES: Final = 4
_MOST_BYTES: Final = 64 * 2**20
"""Of all texts together, unpacked."""


def texts(data: bytes, names: Collection[str], where: str) -> Mapping[str, str]:
    """The texts called ``names`` by their keywords, the first of each; those that are broken are left out.

    Args:
        data: A whole PNG file; if it is cut short, what comes before counts.
        names: Keywords; texts of others are not unpacked.
        where: The file, for errors.

    Raises:
        InputError: If they are too large together.
    """
    firsts: dict[str, tuple[bytes, bytes]] = {}
    for kind, body in _chunks(data):
        keyword, _, rest = body.partition(b"\0")
        name = keyword.decode("latin-1")
        if name in names:
            firsts.setdefault(name, (kind, rest))
    found, left = {}, _MOST_BYTES
    for name, (kind, rest) in firsts.items():
        plain = _plain(kind, rest, left + 1)
        left -= len(plain or b"")
        if left < 0:
            what = f"holds texts of more than {_MOST_BYTES // 2**20} MB, too much for a workflow"
            raise InputError(what, where, "give a picture as ComfyUI saved it")
        if plain is not None:
            found[name] = plain.decode(*(("utf-8", "replace") if kind == b"iTXt" else ("latin-1",)))
    return found


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(SIGNATURE)
    while place + _HEAD.size <= len(data):
        length, kind = _HEAD.unpack_from(data, place)
        place += _HEAD.size
        if place + length > len(data):
            return
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            yield kind, data[place : place + length]
        place += length + _CRC_BYTES


def _plain(kind: bytes, rest: bytes, most: int) -> bytes | None:
    """The bytes of a text, ``most`` of them if there are more; None if it is broken."""
    if kind == b"tEXt":
        return rest[:most]
    if kind == b"zTXt":
        return _unpacked(rest[1:], most)
    is_packed, body = rest[:1] == b"\1", rest[2:].split(b"\0", 2)
    if not body[2:]:
        return None
    return _unpacked(body[-1], most) if is_packed else body[-1][:most]


def _unpacked(data: bytes, most: int) -> bytes | None:
    opened = zlib.decompressobj()
    try:
        plain = opened.decompress(data, most)
    except zlib.error:
        return None
    return plain if opened.eof or len(plain) == most else None
