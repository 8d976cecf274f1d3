"""What is sent: folders of files with their hashes, and how they differ from what stands on the Hub."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kanjiprep.errors import HubError
from kanjiprep.progress import Progress
from kanjiprep.publishing.destination import RemoteFile

MOST_ATOMIC: Final = 20
"""The client sends so many files in one commit whatever happens; more it may split.

Source: huggingface_hub 2.4.0 _upload_pipeline.py COMMIT_SIZE_SCALE.
"""
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Sent:
    """A file that is to stand on the Hub.

    Attributes:
        size: Bytes.
        sha256: By which the Hub knows large files.
        git: Git's hash of a blob, by which it knows small ones.
    """

    size: int
    sha256: str
    git: str

    def is_at(self, remote: RemoteFile | None) -> bool:
        """Whether the Hub holds these very bytes."""
        if remote is None or remote.size != self.size:
            return False
        return remote.sha256 == self.sha256 if remote.sha256 else remote.git == self.git


@dataclass(frozen=True, slots=True)
class Parcel:
    """Files for one repository.

    Attributes:
        folders: Each sent after the one before; a repository is whole after the last one.
        files: By path in the repository, of all folders.
        counts: How many each folder holds.
        is_stale: Whether a file of the repository that is not among them is an earlier parcel's.
        message: Of the commit.
    """

    folders: tuple[Path, ...]
    files: Mapping[str, Sent]
    counts: tuple[int, ...]
    is_stale: Callable[[str], bool]
    message: str

    @property
    def is_atomic(self) -> bool:
        """Whether it arrives in one commit or not at all."""
        return len(self.folders) == 1 and len(self.files) <= MOST_ATOMIC


@dataclass(frozen=True, slots=True)
class Difference:
    """What is missing on the Hub, and what is too much.

    Attributes:
        missing: Paths that are not there or hold other bytes.
        stale: Paths that are to go.
    """

    missing: tuple[str, ...]
    stale: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.stale)


def pack(folders: Sequence[Path], is_stale: Callable[[str], bool], message: str, progress: Progress) -> Parcel:
    """The parcel of all files in ``folders``, each read once.

    Raises:
        HubError: If a name is none for the Hub.
    """
    inside = [list(_files(folder)) for folder in folders]
    paths = [(path, folder) for folder, found in zip(folders, inside, strict=True) for path in found]
    files = {}
    for done, (path, folder) in enumerate(paths, 1):
        files[path.relative_to(folder).as_posix()] = sent(path)
        progress("hash files", done, len(paths))
    return Parcel(tuple(folders), files, tuple(map(len, inside)), is_stale, message)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if not path.name.isprintable():  # a byte that is no UTF-8 is none either
            raise HubError(f"{path.name!r} is no name for a file on the Hub", remedy="rename it")
        if path.is_file():
            yield path


def sent(path: Path) -> Sent:
    """Size and hashes of a file."""
    size = path.stat().st_size
    content = hashlib.sha256()
    blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            content.update(chunk)
            blob.update(chunk)
    return Sent(size, content.hexdigest(), blob.hexdigest())


def difference(parcel: Parcel, remote: Mapping[str, RemoteFile]) -> Difference:
    """How the Hub differs from what is to stand there."""
    missing = tuple(path for path, one in parcel.files.items() if not one.is_at(remote.get(path)))
    stale = tuple(path for path in remote if path not in parcel.files and parcel.is_stale(path))
    return Difference(missing, stale)
