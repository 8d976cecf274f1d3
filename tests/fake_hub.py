"""A Hub in a table, for tests of what is asked of it; the real protocol is in ``hub_server``."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kanjiprep.progress import silent
from kanjiprep.publishing import parcel
from kanjiprep.publishing.hub.courier import HubFault, Report
from kanjiprep.publishing.hub.fault import Fault
from kanjiprep.publishing.hub.patience import Patience

ME: dict[str, Any] = {
    "endpoint": "https://hub.test",
    "name": "me",
    "orgs": {"club": "write", "readers": "read"},
    "token": "laptop",
    "role": "write",
    "scopes": {},
}


class FakeHub:
    """Answers as ``child`` does. ``faults`` are met in order, by the name of the call; None lets one pass."""

    endpoint = "https://hub.test"
    login = "run hf auth login"

    def __init__(self, identity: Mapping[str, Any] = ME) -> None:
        self.identity = dict(identity)
        self.repos: dict[str, dict[str, Any]] = {}
        self.faults: dict[str, list[Fault | None]] = {}
        self.lost: set[str] = set()
        self.asked: list[str] = []
        self.parents: list[str] = []

    def call(
        self,
        name: str,
        within_s: float,
        arguments: Mapping[str, Any],
        report: Report | None = None,
        in_all_s: float = 0,
    ) -> Any:
        self.asked.append(name)
        waiting = self.faults.get(name, [])
        fault = waiting.pop(0) if waiting else None
        if fault is not None and name not in self.lost:
            raise HubFault(fault)
        answer = getattr(self, f"_{name}")(**arguments)
        if fault is not None:
            raise HubFault(fault)
        if report is not None:
            report(1000, 1000)
        return answer

    def has(self, repo_id: str, files: Mapping[str, bytes], private: bool = False, branch: str = "main") -> None:
        repo = self.repos.setdefault(repo_id, {"private": private, "branches": {}, "tags": {}})
        repo["branches"][branch] = dict(files)

    def head(self, repo_id: str, branch: str = "main") -> str:
        files = self.repos[repo_id]["branches"][branch]
        return hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()  # noqa: S324

    def _identity(self) -> Any:
        return {**self.identity}

    def _look(self, repo_id: str, repo_type: str, revision: str, refs: bool) -> Any:
        if repo_id not in self.repos:
            return {"exists": False, "private": None, "head": "", "files": {}, "tags": {}}
        repo = self.repos[repo_id]
        tags = dict(repo["tags"]) if refs else {}
        if revision not in repo["branches"]:
            return {"exists": True, "private": None, "head": "", "files": {}, "tags": tags}
        files = {path: _about(path, data) for path, data in repo["branches"][revision].items()}
        head = self.head(repo_id, revision)
        return {"exists": True, "private": repo["private"], "head": head, "files": files, "tags": tags}

    def _content(self, repo_id: str, repo_type: str, revision: str, path: str, folder: str) -> str:
        branches = self.repos[repo_id]["branches"]
        found = next(files for name, files in branches.items() if self.head(repo_id, name) == revision)
        return base64.b64encode(found[path]).decode()

    def _create(self, repo_id: str, repo_type: str, private: bool) -> str:
        self.has(repo_id, {".gitattributes": b"*.png lfs"}, private)
        return repo_id

    def _branch(self, repo_id: str, repo_type: str, branch: str) -> None:
        self.has(repo_id, self.repos[repo_id]["branches"]["main"], branch=branch)

    def _send(
        self,
        repo_id: str,
        repo_type: str,
        folder: str,
        revision: str,
        parent: str,
        message: str,
        stale: list[str],
    ) -> str:
        self.parents.append(parent)
        files = self.repos[repo_id]["branches"][revision]
        root = Path(folder)
        files |= {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for path in stale:
            del files[path]
        return self.head(repo_id, revision)

    def _tag(self, repo_id: str, repo_type: str, tag: str, commit: str) -> None:
        self.repos[repo_id]["tags"][tag] = commit

    def _tags(self, repo_id: str, repo_type: str) -> Any:
        return dict(self.repos[repo_id]["tags"])

    def _download(
        self, repo_id: str, repo_type: str, commit: str, folder: str, files: list[str] | None, total: int
    ) -> None:
        branches = self.repos[repo_id]["branches"]
        found = next(held for name, held in branches.items() if self.head(repo_id, name) == commit)
        for path in files or found:
            target = Path(folder) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(found[path])


def _about(path: str, data: bytes) -> dict[str, Any]:
    is_large = path.endswith((".parquet", ".png", ".safetensors"))
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324
    return {"size": len(data), "git": blob, "sha256": hashlib.sha256(data).hexdigest() if is_large else ""}


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def patient(deadline_s: float = 100.0, said: list[str] | None = None) -> Patience:
    """Patience on a clock of its own."""
    clock = Clock()
    heard: list[str] = [] if said is None else said
    return Patience(deadline_s, deadline_s, 5.0, 5.0, heard.append, silent, clock, clock.sleep)


def parcel_of(folder: Path, files: Mapping[str, bytes], stale: str = "data/") -> parcel.Parcel:
    """A parcel of ``files`` laid out in ``folder``; what begins with ``stale`` is an earlier one's."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return parcel.pack([folder], lambda path: path.startswith(stale), "a push", silent)
