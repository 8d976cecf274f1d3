"""A folder built aside: locked, resumable after a kill, and renamed into place when it is whole."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kanjiprep.dataset import folder
from kanjiprep.errors import DatasetError, os_reason

_RECIPE: Final = ".recipe"
_JOURNAL: Final = ".journal"


class Aside:
    """The unfinished twin ``.NAME.building`` of a dataset folder, beside it so that a rename suffices.

    Attributes:
        path: The unfinished folder.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self.path = target.with_name(f".{target.name}.building")
        self._replaced = target.with_name(f".{target.name}.replaced")

    @contextmanager
    def opened(self, recipe: bytes) -> Iterator[None]:
        """Hold the folder alone while the block runs.

        What an earlier build of the same ``recipe`` left is kept, anything else is swept out. A
        failure inside removes the folder; an interrupt keeps it, for the next build to go on.

        Raises:
            DatasetError: If the place cannot be written, or another build is at work.
        """
        with _as_dataset_error(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with self._locked():
            self._refuse_a_folder_of_others()
            with self._removed_on_failure(), _as_dataset_error(self.path):
                self._sweep(recipe)
                yield

    def recover(self) -> None:
        """Put back a dataset that a kill left between the two renames of ``finish``.

        Raises:
            DatasetError: If another build is at work, or the place cannot be written.
        """
        with _as_dataset_error(self._replaced):
            if not self._replaced.exists():
                return
            self.path.mkdir(exist_ok=True)
            with self._locked():
                if not any(self.path.iterdir()):
                    self.path.rmdir()
                if self._target.exists():
                    shutil.rmtree(self._replaced)
                else:
                    self._replaced.rename(self._target)

    def journal(self) -> dict[str, str]:
        """Digest by name of each picture that an earlier build finished and that is still whole."""
        noted = folder.parse_sums((self.path / _JOURNAL).read_text("utf-8", "replace"))
        whole = {name: digest for name, digest in noted.items() if _is_whole(self.path / name, digest)}
        (self.path / _JOURNAL).write_bytes(folder.sums(whole))
        return whole

    def note(self, digests: Mapping[str, str]) -> None:
        """Record finished pictures; a kill between two notes loses at most the pictures in between."""
        with (self.path / _JOURNAL).open("ab") as stream:
            stream.write(folder.sums(digests))

    def finish(self, keep: frozenset[str]) -> None:
        """Rename the folder into place with the files in ``keep`` and no other.

        Raises:
            DatasetError: If somebody put files of theirs into the old folder while this one was built.
        """
        for entry in self.path.iterdir():
            if entry.name not in keep:
                entry.unlink()
        if self._target.exists():
            self._target.rename(self._replaced)
            self._refuse_strangers()
        self.path.rename(self._target)
        if self._replaced.exists():
            shutil.rmtree(self._replaced)

    def drop(self) -> None:
        """Remove the unfinished folder."""
        shutil.rmtree(self.path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with _as_dataset_error(self.path):
            lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._take(lock)
            yield
        finally:
            os.close(lock)

    def _take(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock).st_ino == self.path.stat().st_ino:
                return
        except (BlockingIOError, FileNotFoundError):
            pass  # it is held, or was finished and renamed away between open and lock
        raise DatasetError("another build is at work here", str(self.path), "wait for it or stop it")

    def _refuse_a_folder_of_others(self) -> None:
        names = {entry.name for entry in self.path.iterdir()}
        if names and not names & {_RECIPE, folder.CERTIFICATE}:  # a kill inside finish() leaves the second alone
            raise DatasetError("is in the way and not ours", str(self.path), "move it away")

    @contextmanager
    def _removed_on_failure(self) -> Iterator[None]:
        try:
            yield
        except Exception:
            shutil.rmtree(self.path, ignore_errors=True)
            raise

    def _refuse_strangers(self) -> None:
        strangers = folder.foreign_files(self._replaced, folder.listed(self._replaced))
        if strangers:
            self._replaced.rename(self._target)
            raise DatasetError(
                f"somebody put files there meanwhile: {', '.join(strangers[:3])}", str(self._target), "move them away"
            )

    def _sweep(self, recipe: bytes) -> None:
        noted = self.path / _RECIPE
        if noted.exists() and noted.read_bytes() == recipe:
            return
        noted.write_bytes(b"")  # first in and last changed: whatever a kill leaves is known as ours
        for entry in self.path.iterdir():
            if entry != noted:
                entry.unlink()
        (self.path / _JOURNAL).touch()
        noted.write_bytes(recipe)


def _is_whole(path: Path, digest: str) -> bool:
    return path.is_file() and folder.sha256_of(path) == digest


@contextmanager
def _as_dataset_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DatasetError(
            f"cannot be written: {os_reason(error)}",
            str(error.filename or path),
            "free the space, fix the permissions, or give another folder",
        ) from error
