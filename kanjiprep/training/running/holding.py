"""One run folder, one supervisor: a lock that the kernel lets go of when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from kanjiprep.errors import TrainerError, os_reason

LOCK: Final = "supervisor.lock"
_TRIES: Final = 10
_PAUSE_S: Final = 0.02
"""Who only asks whether the lock is held has it for less than that."""


class Hold:
    """The lock of a run folder, held until ``release`` or until this process is gone.

    It belongs to the open file and not to a process number, so no other process can be taken for its
    holder, and it is not passed on to programs that are started.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go."""
        os.close(self._descriptor)


def take(run: Path) -> Hold | None:
    """The lock of ``run``; None if somebody else holds it.

    Raises:
        TrainerError: If the folder cannot be used.
    """
    try:
        descriptor = os.open(run / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise TrainerError(f"cannot be used: {os_reason(error)}", str(run), "check its permissions") from error
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return Hold(descriptor)
        except BlockingIOError:
            time.sleep(_PAUSE_S)
        except OSError as error:
            os.close(descriptor)
            what = f"its disk knows no locks: {os_reason(error)}"
            raise TrainerError(what, str(run), "keep runs on a local disk") from error
    os.close(descriptor)
    return None


def is_held(run: Path) -> bool:
    """Whether a supervisor holds ``run``; writes nothing, so it works on a folder that may only be read."""
    try:
        descriptor = os.open(run / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # there was never a supervisor here
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no locks here, so nobody could take one
        return False
    finally:
        os.close(descriptor)
    return False
