"""A folder of our own for what is to be sent or was fetched, held alone and gone afterwards."""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kanjiprep.errors import HubError, os_reason

_POLL_S: Final = 0.2
_ATTEMPTS: Final = 2
_ELSEWHERE: Final = "set XDG_CACHE_HOME, or XDG_DATA_HOME for what is fetched"


@contextmanager
def opened(cache: Path, key: str, wait: bool = False) -> Iterator[Path]:
    """An empty folder for whatever ``key`` names, removed at the end; what a kill left in it is swept out first.

    Args:
        cache: Where such folders are.
        key: What is sent where to, or fetched; nobody else does the same meanwhile.
        wait: Whether to wait for whoever does.

    Raises:
        HubError: If somebody does and is not waited for, or the folder cannot be written.
    """
    folder = cache / hashlib.sha256(key.encode()).hexdigest()[:16]
    lock = _taken(cache, folder)
    for _ in itertools.count() if wait else range(_ATTEMPTS):  # another's sweep may have been quicker than our lock
        if lock is not None:
            break
        time.sleep(_POLL_S)
        lock = _taken(cache, folder)
    if lock is None:
        raise HubError("another kanjiprep is at the same work", str(folder), "wait for it or stop it")
    try:
        with _as_hub_error(folder):
            _empty(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _taken(cache: Path, folder: Path) -> int | None:
    """A lock on ``folder``, which is made; None if somebody else holds it."""
    with _as_hub_error(folder):
        cache.mkdir(parents=True, exist_ok=True)
        _sweep(cache)
        folder.mkdir(exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    if _is_taken(lock, folder):
        return lock
    os.close(lock)
    return None


def _is_taken(lock: int, folder: Path) -> bool:
    """Whether we hold ``folder`` from now on, and it is still the one that was opened."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(lock).st_ino == folder.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        return False


def _sweep(cache: Path) -> None:
    """Remove what others left behind who are gone."""
    for folder in [one for one in cache.iterdir() if one.is_dir() and not one.is_symlink()]:
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # another is ahead of us
            continue
        try:
            if _is_taken(lock, folder):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def refuse_cramped(folder: Path, needed: int) -> None:
    """Refuse to begin what will not fit.

    Args:
        folder: Where it is to be written.
        needed: Bytes.

    Raises:
        HubError: If less is free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        what = f"has {free / 1e6:,.0f} MB free, and what is to come takes {needed / 1e6:,.0f}"
        raise HubError(what, str(folder), f"free some space, or {_ELSEWHERE}")


def link(source: Path, target: Path) -> None:
    """Lay out ``source`` at ``target`` without a second copy where the disk allows it.

    What a symbolic link leads to is laid out, and nothing is ever written over: ``target`` may share its bytes
    with a file of the user's.

    Raises:
        HubError: If it cannot be, or there is something at ``target``.
    """
    with _as_hub_error(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source.resolve(), target)
        except FileExistsError:
            raise
        except OSError:  # another disk, or one that knows no links
            with source.open("rb") as stream, target.open("xb") as copy:
                shutil.copyfileobj(stream, copy)


@contextmanager
def _as_hub_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HubError(
            f"cannot be written: {os_reason(error)}",
            str(error.filename or path),
            f"free some space, mend its permissions, or {_ELSEWHERE}",
        ) from error
