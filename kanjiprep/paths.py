"""Paths that users type, made whole."""

from __future__ import annotations

from pathlib import Path

from kanjiprep.errors import UsageError


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
