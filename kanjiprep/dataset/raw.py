"""Source files as bytes, whatever they are wrapped in: plain, gzip, a folder, a zip or a wheel."""

from __future__ import annotations

import gzip
import hashlib
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kanjiprep.errors import InputError, os_reason

MAX_DOCUMENT_BYTES: Final = 128 * 2**20
"""Largest single document that is read. KANJIDIC2 has 15 MB, kanjivg.xml 14 MB."""
MAX_GLYPH_BYTES: Final = 2**20
"""Largest SVG that is read. KanjiVG 20260714's largest has 8 kB."""
MAX_GLYPHS: Final = 100_000
"""Most glyph files that are read. KanjiVG has 11,662."""

_GZIP_MAGIC = b"\x1f\x8b"
_ZIP_MAGIC = b"PK\x03\x04"
_GLYPH_NAME = re.compile(r"([0-9a-f]{5,6})(?:-([A-Za-z0-9]+))?\.svg")


@dataclass(frozen=True, slots=True)
class GlyphFiles:
    """KanjiVG's base drawings as files.

    Attributes:
        where: The folder, zip or wheel that holds them, for messages.
        files: File name (``04e9c.svg``) to its bytes, sorted by name.
        variants: How many variant drawings (``04e9c-Kaisho.svg``) lie beside them, unread.
    """

    where: str
    files: dict[str, bytes]
    variants: int

    def sha256(self) -> str:
        """Digest over names and contents, the same for a folder, a zip and a wheel."""
        digest = hashlib.sha256()
        for name, data in self.files.items():
            digest.update(f"{name} {len(data)}\n".encode())
            digest.update(data)
        return digest.hexdigest()


def read_document(path: Path) -> bytes:
    """The document in ``path``, gunzipped if it is gzip.

    Raises:
        InputError: If it is missing, unreadable, truncated or larger than ``MAX_DOCUMENT_BYTES``.
    """
    try:
        with path.open("rb") as raw:  # once, so that a pipe can be read too
            stream = gzip.GzipFile(fileobj=raw) if raw.peek(2).startswith(_GZIP_MAGIC) else raw
            data = stream.read(MAX_DOCUMENT_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError("the gzip is truncated or damaged", str(path), "fetch it again") from error
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(data) > MAX_DOCUMENT_BYTES:
        raise InputError(f"larger than {MAX_DOCUMENT_BYTES >> 20} MiB", str(path), "give the real source file")
    return data


def is_glyph_collection(path: Path) -> bool:
    """Whether ``path`` is a folder or a zip, rather than a single document.

    Raises:
        InputError: If it is missing or unreadable.
    """
    if path.is_dir():
        return True
    try:
        with path.open("rb") as stream:
            return stream.read(4) == _ZIP_MAGIC
    except OSError as error:
        raise _unreadable(path, error) from error


def read_glyph_files(path: Path) -> GlyphFiles:
    """Every base drawing in the folder, zip or wheel at ``path``.

    Raises:
        InputError: If one cannot be read, is too large, is there twice, or there is none.
    """
    members = _folder_members(path) if path.is_dir() else _zip_members(path)
    files: dict[str, bytes] = {}
    variants = 0
    for name, is_variant, data in members:
        if is_variant:
            variants += 1
        elif name in files:
            raise InputError(f"holds {name} twice", str(path), "give one folder or archive of SVGs")
        else:
            files[name] = data
    if not files:
        raise InputError(
            "holds no KanjiVG drawing (like 04e9c.svg)", str(path), "give KanjiVG's folder, zip or wheel"
        )
    return GlyphFiles(str(path), dict(sorted(files.items())), variants)


def codepoint_of(name: str) -> int:
    """The code point that a base drawing's file name tells, the only key that is right for every file."""
    return int(name.split(".", maxsplit=1)[0], 16)


def _folder_members(path: Path) -> Iterator[tuple[str, bool, bytes]]:
    folder = path / "kanji" if (path / "kanji").is_dir() else path
    try:
        names = sorted(entry.name for entry in folder.iterdir())
        for name, variant in _glyphs(names, path):
            data = b"" if variant else _limited(folder / name)
            yield name, variant, data
    except OSError as error:
        raise _unreadable(path, error) from error


def _limited(path: Path) -> bytes:
    with path.open("rb") as stream:
        data = stream.read(MAX_GLYPH_BYTES + 1)
    _expect_small(len(data), str(path))
    return data


def _zip_members(path: Path) -> Iterator[tuple[str, bool, bytes]]:
    try:
        with zipfile.ZipFile(path) as archive:
            inside = {info.filename: info for info in archive.infolist()}
            for full, variant in _glyphs(sorted(inside), path):
                _expect_small(inside[full].file_size, f"{path}/{full}")
                yield full.rsplit("/", 1)[-1], variant, b"" if variant else archive.read(full)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"the archive is damaged: {error}", str(path), "fetch it again") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _glyphs(names: list[str], path: Path) -> Iterator[tuple[str, bool]]:
    matches = [(name, match) for name in names if (match := _GLYPH_NAME.fullmatch(name.rsplit("/", 1)[-1]))]
    if len(matches) > MAX_GLYPHS:
        raise InputError(f"holds more than {MAX_GLYPHS:,} drawings", str(path), "give KanjiVG itself")
    return ((name, match[2] is not None) for name, match in matches)


def _expect_small(size: int, where: str) -> None:
    if size > MAX_GLYPH_BYTES:
        raise InputError(
            f"larger than {MAX_GLYPH_BYTES >> 20} MiB, too large for one drawing", where, "give the real KanjiVG file"
        )


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"cannot be read: {os_reason(error)}", str(path), "check the path and its permissions")
