"""Repositories of the loopback Hub: commits, trees, branches and tags, in memory."""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

LARGE_BYTES = 10 * 2**20
"""Files of this size and more are never kept in git itself."""
MAX_ENTRIES = 10_000
"""So many files a folder may hold."""
LARGE_PATTERNS = tuple(
    f"*.{ending}"
    for ending in ("bin", "gz", "jpeg", "jpg", "npy", "npz", "parquet", "png", "pt", "safetensors", "webp", "zip")
)
GIT_ATTRIBUTES = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LARGE_PATTERNS).encode()


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a tree."""

    data: bytes
    is_large: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def pointer(self) -> bytes:
        """What git itself keeps of a large file."""
        return (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.data)}\n".encode()
        )

    @property
    def blob(self) -> str:
        return git_hash("blob", self.pointer if self.is_large else self.data)

    @property
    def remote_oid(self) -> str:
        """What the client compares with to see that a file has not changed."""
        return self.sha256 if self.is_large else self.blob


Tree = Mapping[str, Entry]
NO_FILES: Tree = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit; its parent is None when it is the first."""

    oid: str
    parent: str | None
    message: str
    time: datetime
    author: str
    tree: Tree = field(repr=False)


class RevisionNotFoundError(LookupError):
    """A branch, tag or commit that is not there."""


@dataclass(slots=True)
class Repo:
    """A repository: its commits by oid, and its branches and tags by name."""

    type: str
    id: str
    private: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    commits_by_oid: dict[str, Commit] = field(default_factory=dict, repr=False)
    gated: bool = False

    def head(self, revision: str = "main") -> str:
        """The oid of the commit that a branch, a tag or an oid names."""
        return self.commit_of(revision).oid

    def commit_of(self, revision: str) -> Commit:
        """The commit that a branch, a tag or an oid names, in full or at least seven digits of it."""
        name = re.sub("^refs/(heads|tags)/", "", revision)
        oid = self.branches.get(name) or self.tags.get(name) or revision
        found = [commit for full, commit in self.commits_by_oid.items() if full.startswith(oid)]
        if len(oid) < 7 or len(found) != 1:
            raise RevisionNotFoundError(revision)
        return found[0]

    def commits(self, revision: str = "main") -> list[Commit]:
        """The commits that lead to a revision, the newest first."""
        history = [self.commit_of(revision)]
        while parent := history[-1].parent:
            history.append(self.commits_by_oid[parent])
        return history

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """The content of every file of a revision by its path."""
        return {path: entry.data for path, entry in self.commit_of(revision).tree.items()}

    def add(self, tree: Tree, message: str, author: str, branch: str = "main") -> Commit:
        """Put a commit with a whole tree onto a branch."""
        parent = self.branches.get(branch)
        listing = "".join(f"{entry.blob} {path}\n" for path, entry in tree.items())
        told = f"{parent}\n{len(self.commits_by_oid)}\n{author}\n{message}\n\n{listing}"
        oid = git_hash("commit", f"{self.type} {self.id}\n{told}".encode())
        commit = Commit(oid, parent, message, datetime.now(UTC), author, MappingProxyType(dict(sorted(tree.items()))))
        self.commits_by_oid[oid] = commit
        self.branches[branch] = oid
        return commit


def git_hash(kind: str, data: bytes) -> str:
    """The name that git gives to an object."""
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()


def is_large(path: str, size: int, sample: bytes) -> bool:
    """Whether a file goes to the large storage, by its name, its size, or because it is no text."""
    name = path.rpartition("/")[2]
    named = any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in LARGE_PATTERNS)
    return named or size >= LARGE_BYTES or b"\0" in sample


def entry(path: str, data: bytes) -> Entry:
    """A file as the Hub would keep it."""
    return Entry(data, is_large(path, len(data), data[:512]))


def changed(tree: Tree, changes: Mapping[str, Entry | None], folders: Iterable[str] = ()) -> Tree:
    """A tree after changes, of which None deletes, and after whole folders were deleted."""
    gone = tuple(f"{folder.strip('/')}/" for folder in folders)
    kept = {path: one for path, one in tree.items() if path not in changes and not path.startswith(gone)}
    return {**kept, **{path: one for path, one in changes.items() if one is not None}}


def folders_of(tree: Tree) -> dict[str, str]:
    """Every folder of a tree, and a hash of what is in it."""
    inside: dict[str, list[str]] = {}
    for path, one in tree.items():
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            inside.setdefault("/".join(parts[:depth]), []).append(f"{one.blob} {path}")
    return {folder: git_hash("tree", "\n".join(lines).encode()) for folder, lines in sorted(inside.items())}


def refusal_of_path(path: str) -> str | None:
    """Why a path cannot be committed, or None."""
    parts = path.split("/")
    if not path or path.startswith("/") or {"", ".", "..", ".git"} & set(parts):
        return f"Invalid path in repo: {path!r}"
    return f"The path {path[:40]!r}… is too long" if len(path.encode()) > 1000 else None


def refusal_of_tree(tree: Tree) -> str | None:
    """Why a tree cannot be committed, or None."""
    counts: dict[str, int] = {}
    for path in tree:
        folder = path.rpartition("/")[0]
        counts[folder] = counts.get(folder, 0) + 1
    crowded = [folder for folder, count in counts.items() if count > MAX_ENTRIES]
    files = set(tree)
    blocked = [folder for folder in folders_of(tree) if folder in files]
    if crowded:
        return (
            f"Each folder may hold at most {MAX_ENTRIES} files, and {crowded[0] or '/'} holds {counts[crowded[0]]}."
        )
    return f"{blocked[0]} cannot be both a file and a folder" if blocked else None
