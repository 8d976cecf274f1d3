"""Paths that users type, made whole, and names of files that every system takes."""

from __future__ import annotations

import re
import stat
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kanjiprep.errors import UsageError, os_reason

LONGEST_NAME: Final = 200
"""Bytes of a name in UTF-8. File systems take 255; there must be room for what is added, such as a suffix."""
_FORBIDDEN: Final = frozenset('<>:"/\\|?*')
_UNSEEN: Final = frozenset(("Cc", "Cs", "Zl", "Zp"))
"""Categories of what no name holds: control characters, half pairs, line and paragraph ends. What this Python does
not know yet may be in a name, for rare kanji are among it.
"""
_DEVICES: Final = frozenset(
    (
        "con",
        "prn",
        "aux",
        "nul",
        "conin$",
        "conout$",
        *(f"{port}{digit}" for port in ("com", "lpt") for digit in "123456789¹²³"),
    )
)
"""Names that Windows keeps for devices, whatever the case and whatever follows a dot.
Source: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
"""
_FIRST_BYTES: Final = 1000
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_SVG: Final = re.compile(
    rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*|<!DOCTYPE[^>]*>\s*)*<svg[\s>]", re.DOTALL
)
_NO_DEVICE: Final = "_1"
"""Put behind the name of a device, which it then is no more."""


def expanded(path: Path) -> Path:
    """``path`` of a file to read, with ``~`` followed and all else as it is: it may be a pipe.

    Raises:
        UsageError: If there is no such user.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise UsageError(f"not a path that can be followed: {error}", str(path), "give another") from error


def resolved(path: Path) -> Path:
    """``path`` of a folder or file to write, absolute, with ``~`` and symbolic links followed.

    Raises:
        UsageError: If that cannot be done, or only the root of the file system is left.
    """
    try:
        whole = expanded(path).resolve()
    except (RuntimeError, OSError) as error:  # a loop of links, or a working folder that is gone
        raise UsageError(f"not a path that can be followed: {error}", str(path), "give another") from error
    if not whole.name:
        raise UsageError("is the root of the file system", str(path), "give a folder inside it")
    return whole


def picture_place(path: Path, endings: Sequence[str]) -> Path:
    """``path`` of a picture to write, absolute; what is there already is a picture, which it may replace.

    Args:
        path: As a user gave it.
        endings: That it may have, in lower case.

    Raises:
        UsageError: If it ends otherwise, or something else is there.
    """
    given = expanded(path)
    if given.suffix.lower() not in endings:
        raise UsageError(f"does not end in {' or '.join(endings)}", str(path), "give another name")
    try:
        is_free = _is_free_for_picture(given)
    except OSError as error:
        raise UsageError(f"cannot be written: {os_reason(error)}", str(path), "give another name") from error
    if not is_free:
        raise UsageError("is there and is no picture", str(path), "give another name")
    return resolved(given)


def _is_free_for_picture(path: Path) -> bool:
    """Whether nothing is at ``path``, or a PNG or SVG file: no link, device, folder or pipe, which nothing opens."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return True
    if not stat.S_ISREG(mode):
        return False
    with path.open("rb") as file:
        first = file.read(_FIRST_BYTES)
    return first.startswith(_PNG) or _SVG.match(first) is not None


def unportable(name: str) -> str:
    """Why ``name`` cannot be that of a file or folder on Linux, macOS and Windows alike; empty if it can."""
    strange = next(filter(_is_forbidden, name), "")
    if not name:
        return "it is empty"
    if strange:
        return f"it holds {strange!r}"
    if name != name.strip() or name.startswith(".") or name.endswith("."):
        return "it begins with a dot or a space, or ends with one"
    if _is_device(name):
        return "Windows keeps it for a device"
    if len(name.encode()) > LONGEST_NAME:
        return f"it is longer than {LONGEST_NAME} bytes"
    return "" if unicodedata.normalize("NFC", name) == name else "it is spelt otherwise on macOS"


def portable(words: str, otherwise: str, most_bytes: int = LONGEST_NAME) -> str:
    """A name like ``words`` that Linux, macOS and Windows take for a file or folder.

    Args:
        words: Anything.
        otherwise: The name if nothing is left of ``words``; portable itself, and no longer than ``most_bytes``.
        most_bytes: In UTF-8, at most ``LONGEST_NAME``.
    """
    plain = "".join("-" if _is_forbidden(one) else one for one in unicodedata.normalize("NFC", words))
    cut = plain.strip("-. ").encode()[: most_bytes - len(_NO_DEVICE)].decode("utf-8", "ignore").rstrip("-. ")
    stem, dot, rest = cut.partition(".")
    return (f"{stem.rstrip()}{_NO_DEVICE}{dot}{rest}" if _is_device(cut) else cut) or otherwise


def _is_forbidden(letter: str) -> bool:
    return letter in _FORBIDDEN or unicodedata.category(letter) in _UNSEEN


def _is_device(name: str) -> bool:
    return name.partition(".")[0].rstrip().lower() in _DEVICES
