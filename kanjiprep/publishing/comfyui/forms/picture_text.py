"""The texts that a PNG picture carries, read without decoding it.

Source: PNG specification (third edition), 11.3.3: tEXt, zTXt and iTXt.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Final

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_HEAD: Final = struct.Struct(">I4s")
_CRC_BYTES: Final = 4
_MOST_BYTES: Final = 64 * 2**20


def texts(data: bytes) -> Mapping[str, str]:
    """The texts by their keywords; those that are broken are left out.

    Args:
        data: A whole PNG file; if it is cut short, what comes before counts.
    """
    found: dict[str, str] = {}
    for kind, body in _chunks(data):
        keyword, _, rest = body.partition(b"\0")
        text = _text(kind, rest)
        if text is not None:
            found.setdefault(keyword.decode("latin-1"), text)
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


def _text(kind: bytes, rest: bytes) -> str | None:
    if kind == b"tEXt":
        return rest.decode("latin-1")
    if kind == b"zTXt":
        plain = _unpacked(rest[1:])
        return None if plain is None else plain.decode("latin-1")
    is_packed, body = rest[:1] == b"\1", rest[2:].split(b"\0", 2)
    plain = (_unpacked(body[-1]) if is_packed else body[-1]) if body[2:] else None
    return None if plain is None else plain.decode(errors="replace")


def _unpacked(data: bytes) -> bytes | None:
    """None for what is broken, or larger than any workflow."""
    opened = zlib.decompressobj()
    try:
        plain = opened.decompress(data, _MOST_BYTES)
    except zlib.error:
        return None
    return plain if opened.eof else None
