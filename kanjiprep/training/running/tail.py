"""Files that grow line by line: read from where one stopped, and appended to without tearing a line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Final

from kanjiprep.errors import os_reason

_CHUNK: Final = 1 << 20
_KNOWN_BY: Final = 64


class Tail:
    """New bytes and whole new lines of a file that may not be there yet, be cut short, or be replaced."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._path = path
        self._offset = offset
        self._inode: int | None = None
        self._rest = b""
        self._seen = b""

    def data(self) -> bytes:
        """What was written since the last call; from the start again if it is another or a shorter file."""
        try:
            with self._path.open("rb") as stream:
                inode = os.fstat(stream.fileno()).st_ino
                if self._inode not in (None, inode) or not self._goes_on(stream):
                    self._offset, self._rest, self._seen = 0, b"", b""
                self._inode = inode
                stream.seek(self._offset)
                data = stream.read(_CHUNK)
        except (FileNotFoundError, NotADirectoryError):
            return b""
        self._offset += len(data)
        self._seen = (self._seen + data[-_KNOWN_BY:])[-_KNOWN_BY:]
        return data

    def _goes_on(self, stream: BinaryIO) -> bool:
        """Whether what was read last still stands there; one that is shorter or another has it not.

        Not even its inode tells: a new file may be given that of the one that is gone.
        """
        if os.fstat(stream.fileno()).st_size < self._offset:
            return False
        stream.seek(self._offset - len(self._seen))
        return stream.read(len(self._seen)) == self._seen

    def lines(self) -> list[bytes]:
        """The whole lines since the last call; one without an end waits until it has one."""
        found: list[bytes] = []
        while data := self.data():
            *whole, self._rest = (self._rest + data).split(b"\n")
            found += [line for line in whole if line.strip()]
        return found


def last_bytes(path: Path, count: int) -> bytes:
    """At most ``count`` bytes from the end of ``path``; none if it is not there."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - count))
            return stream.read(count)
    except OSError:
        return b""


def size(path: Path) -> int:
    """Bytes of ``path``; 0 if it is not there."""
    return path.stat().st_size if path.exists() else 0


class Journal:
    """Appends whole lines to a file; what a full disk refuses is kept and tried again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: list[bytes] = []
        self._is_torn = last_bytes(path, 1) not in (b"", b"\n")

    def add(self, line: bytes) -> None:
        """Append ``line``, which ends in a newline, and all that is waiting."""
        self._waiting.append(line)
        self.flush()

    def flush(self) -> str:
        """Write what is waiting; why not, or an empty text."""
        if not self._waiting:
            return ""
        data = (b"\n" if self._is_torn else b"") + b"".join(self._waiting)
        try:
            before = size(self._path)
            written = self._append(data)
        except OSError as error:
            return os_reason(error)
        if written < len(data):
            os.truncate(self._path, before)
            return "no space left on device"
        self._waiting, self._is_torn = [], False
        return ""

    def _append(self, data: bytes) -> int:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            return os.write(descriptor, data)
        finally:
            os.close(descriptor)
