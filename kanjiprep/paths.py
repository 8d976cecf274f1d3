"""Paths that users type, made whole."""

from __future__ import annotations

from pathlib import Path

from kanjiprep.errors import UsageError


def resolved(path: Path) -> Path:
    """``path`` absolute, with ``~`` and symbolic links followed.

    Raises:
        UsageError: If that cannot be done, or only the root of the file system is left.
    """
    try:
        whole = path.expanduser().resolve()
    except (RuntimeError, OSError) as error:  # an unknown user, a loop of links, a working folder that is gone
        raise UsageError(f"not a path that can be followed: {error}", str(path), "give another") from error
    if not whole.name:
        raise UsageError("is the root of the file system", str(path), "give a folder inside it")
    return whole
