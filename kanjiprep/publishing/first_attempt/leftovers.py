"""What an export that was killed has left beside its target: cleared by the next one, unless somebody is at work."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

SUFFIX: Final = ".exporting"
"""Of a folder that is being written."""
OLD: Final = ".old"
"""After it, of an export whose place is being taken."""
_LONGEST: Final = 20


def prefix(target: Path) -> str:
    """How the name of a folder that becomes ``target`` begins."""
    return f".{target.name[:_LONGEST]}."


@contextmanager
def cleared(target: Path) -> Iterator[None]:
    """A time in which nobody clears what is being written beside ``target``; it begins with clearing it.

    Whoever writes shares a lock on the folder above, which ends with the process at the latest. Leftovers go only
    while no other process has it, so some may stay until the next time.
    """
    lock = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # another is at work, or the disk has no locks
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _clear(target)
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield
    finally:
        os.close(lock)


def _clear(target: Path) -> None:
    """Remove folders of ours; an export that was moved out of the way comes back if nothing took its place."""
    ours = re.compile(re.escape(prefix(target)) + r"[a-z0-9_]{8}" + re.escape(SUFFIX))
    for path in sorted(target.parent.iterdir()):
        if path.is_symlink() or not path.is_dir() or not ours.fullmatch(path.name.removesuffix(OLD)):
            continue
        if not path.name.endswith(OLD):
            shutil.rmtree(path, ignore_errors=True)
        elif len(target.name) <= _LONGEST:  # else it may be of another target
            if target.exists():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.rename(target)
