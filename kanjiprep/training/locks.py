"""Locks that the kernel lets go of when their holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_OF_A_FILE: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_OF_A_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@contextmanager
def held(path: Path, *, waits: bool = True, mode: int = 0o600) -> Iterator[int]:
    """The descriptor of ``path``, which nobody else holds meanwhile; a file is made if nothing is there.

    Args:
        path: A folder, or a file that is opened to be read and appended to. No symbolic link is followed to a file.
        waits: Whether to wait for another holder.
        mode: Who may lock a file that is made, less what the umask takes.

    Raises:
        BlockingIOError: If another holds it and is not waited for.
        OSError: If it cannot be opened or locked.
    """
    descriptor = os.open(path, _OF_A_FOLDER if path.is_dir() else _OF_A_FILE, mode)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)
