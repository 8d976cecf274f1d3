"""Grey pixels into the smallest fast PNG."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from kanjiprep.dataset.raster import Pixels

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_GREY_8_BIT: Final = (8, 0, 0, 0, 0)


class _Compressor(Protocol):
    def compress(self, data: memoryview, /) -> bytes: ...
    def flush(self) -> bytes: ...


class Encoder:
    """Encodes pictures of one size; the buffer for their rows is allocated once.

    Rows are unfiltered and deflated by run lengths alone, which is both faster and smaller than the
    usual filters on line drawings. zlib-ng and zlib write the same bytes here, so a machine without
    zlib-ng gives the same dataset, only slower.

    Source: https://www.w3.org/TR/png-3/
    """

    def __init__(self, width: int, height: int) -> None:
        self._rows = np.zeros((height, width + 1), np.uint8)  # the first byte of a row is its filter, 0
        self._header = _chunk(b"IHDR", struct.pack(">2I5B", width, height, *_GREY_8_BIT))

    def encode(self, pixels: Pixels) -> bytes:
        """An 8-bit grey PNG file of ``pixels``, (height, width) uint8."""
        self._rows[:, 1:] = pixels
        return _SIGNATURE + self._header + _chunk(b"IDAT", _deflate(self._rows)) + _END


def deflate_with(make: Callable[..., _Compressor]) -> Callable[[np.ndarray], bytes]:
    """A run-length deflater on ``make``, zlib's or zlib-ng's ``compressobj``."""

    def deflate(rows: np.ndarray) -> bytes:
        stream = make(level=2, strategy=zlib.Z_RLE)
        return stream.compress(rows.data.cast("B")) + stream.flush()

    return deflate


def _best_deflate() -> Callable[[np.ndarray], bytes]:
    try:
        from zlib_ng import zlib_ng
    except ImportError:
        return deflate_with(zlib.compressobj)
    return deflate_with(zlib_ng.compressobj)


_deflate = _best_deflate()


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


_END = _chunk(b"IEND", b"")
