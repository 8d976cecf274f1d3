"""A dataset of the Hub as a folder here: fetched at one commit, compared byte for byte, kept."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kanjiprep import __version__, metadata, receipt
from kanjiprep.errors import DatasetError, HubError, UsageError, os_reason
from kanjiprep.publishing import destination, names, parcel, restore
from kanjiprep.publishing.destination import MAIN, Remote, RemoteFile
from kanjiprep.publishing.hub import patience as waiting
from kanjiprep.publishing.hub.courier import Hub, HubFault
from kanjiprep.publishing.hub.patience import Patience
from kanjiprep.publishing.hub.words import told
from kanjiprep.receipt import Receipt

_SHAPE: Final = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_SIDE: Final = ("build.json", "SHA256SUMS", "skipped.csv", "README.md", "characters.jsonl")
_PICTURES: Final = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A dataset repository at a branch, tag or commit."""

    repo_id: str
    revision: str = MAIN


def parse(text: str) -> Wanted | None:
    """What ``REPO_ID[@REV]`` names; None if ``text`` is a path: it stands here, or looks like one.

    Raises:
        UsageError: If it is an address.
    """
    if "://" in text or (text.startswith("datasets/") and not Path(text).exists()):
        name = names.meant(text) or "REPO_ID"
        raise UsageError(f"{text!r:.120} is an address", "--dataset", f"give {name}, or {name}@ with a tag or commit")
    found = _SHAPE.fullmatch(text)
    if found is None or text.startswith(".") or Path(text).exists():
        return None
    return Wanted(found["repo"], found["revision"] or MAIN)


def fetch(hub: Hub, patience: Patience, wanted: Wanted, store: Path) -> Path:
    """The folder of that dataset, fetched if it is not here yet.

    Args:
        hub: Whom to ask; not asked at all for a commit that is here.
        patience: For how long.
        wanted: Which.
        store: Where fetched datasets are kept.

    Raises:
        HubError: If it cannot be had.
        DatasetError: If it is no dataset of pictures with captions, or there is no room for it.
    """
    names.refuse_repo(wanted.repo_id)
    if names.COMMIT.fullmatch(wanted.revision) and _is_here(folder := _folder(store, wanted, wanted.revision)):
        return folder
    remote = _look(hub, patience, wanted)
    folder = _folder(store, wanted, remote.head)
    if _is_here(folder):
        return folder
    files = _select(remote, wanted)
    with _scratch(folder, sum(one.size for one in files.values())) as scratch:
        whole = scratch / folder.name
        _download(hub, patience, wanted, remote, files, scratch / "files")
        _restore(scratch / "files", whole, wanted, patience)
        receipt.write(whole, _receipt(hub.endpoint, wanted, remote, whole))
        _put(whole, folder)
    return folder


def _restore(files: Path, whole: Path, wanted: Wanted, patience: Patience) -> None:
    """Have the folder made; what is wrong with the files is told of the repository, for here they are gone soon."""
    try:
        restore.restore(files, whole, patience.progress)
    except DatasetError as error:
        inside = error.where.removeprefix(str(files)).lstrip("/")
        where = f"{inside} of {wanted.repo_id}" if inside else wanted.repo_id
        raise DatasetError(error.what, where, error.remedy) from error


def _put(whole: Path, folder: Path) -> None:
    """Rename ``whole`` into its place, where another fetch may have put the same meanwhile."""
    try:
        whole.rename(folder)
    except OSError as error:
        if not _is_here(folder):
            raise DatasetError(f"cannot be put here: {os_reason(error)}", str(folder), "move away what is") from error


def _folder(store: Path, wanted: Wanted, commit: str) -> Path:
    return store / f"{wanted.repo_id.replace('/', '--')}@{commit[:12]}"


def _is_here(folder: Path) -> bool:
    return (folder / receipt.NAME).is_file()


def _look(hub: Hub, patience: Patience, wanted: Wanted) -> Remote:
    try:
        at: dict[str, Any] = {"repo_id": wanted.repo_id, "repo_type": "dataset", "revision": wanted.revision}
        remote = destination.remote_of(waiting.ask(hub, patience, "look", **at, refs=False))
    except HubFault as error:
        raise _told(error, hub, wanted) from error
    if not remote.exists:
        what = "is neither a folder here nor a dataset on the Hub that the token may see"
        raise HubError(what, wanted.repo_id, "check the name and whose token it is")
    if not remote.head:
        raise HubError(f"has no revision {wanted.revision!r}", wanted.repo_id, "give a branch, tag or commit of it")
    return remote


def _told(error: HubFault, hub: Hub, wanted: Wanted) -> HubError:
    return told(error.fault, f"{wanted.repo_id} (no folder here)", hub)


def _select(remote: Remote, wanted: Wanted) -> Mapping[str, RemoteFile]:
    """The files that make the dataset: tables with pictures in them, or pictures beside a metadata.csv."""
    tables = [path for path in remote.files if path.endswith(".parquet")]
    trained = [path for path in tables if Path(path).name.startswith("train")] or tables
    plain = [path for path in remote.files if "/" not in path and Path(path).suffix.lower() in _PICTURES]
    chosen = trained or ([metadata.NAME, *plain] if metadata.NAME in remote.files and plain else [])
    if not chosen:
        raise DatasetError(
            "holds neither parquet files nor pictures beside a metadata.csv", wanted.repo_id, "give another dataset"
        )
    sides = [path for path in _SIDE if path in remote.files]
    return {path: remote.files[path] for path in (*chosen, *sides)}


def _download(
    hub: Hub,
    patience: Patience,
    wanted: Wanted,
    remote: Remote,
    files: Mapping[str, RemoteFile],
    scratch: Path,
) -> None:
    arguments = {
        "repo_id": wanted.repo_id,
        "commit": remote.head,
        "folder": str(scratch),
        "files": list(files),
        "total": sum(one.size for one in files.values()),
    }
    report = waiting.reporter(patience, "fetch (kB)")
    try:
        waiting.insist(
            patience,
            lambda within_s: hub.call(
                "download", min(patience.silence_s, within_s), arguments, report, in_all_s=within_s
            ),
        )
    except HubFault as error:
        raise _told(error, hub, wanted) from error
    for path, one in files.items():
        if not (scratch / path).is_file() or not parcel.sent(scratch / path).is_at(one):
            raise HubError(
                f"{path} did not arrive as the Hub says it is", wanted.repo_id, "run the same command again"
            )


@contextmanager
def _scratch(folder: Path, needed: int) -> Iterator[Path]:
    """A folder beside ``folder`` for what is fetched, gone afterwards."""
    scratch = folder.with_name(f".{folder.name}.fetching")
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
    except OSError as error:
        raise DatasetError(f"cannot be made: {os_reason(error)}", str(scratch), "check its permissions") from error
    try:
        free = shutil.disk_usage(scratch).free
        if free < 2 * needed:
            what = f"needs {2 * needed / 1e6:,.0f} MB and there are {free / 1e6:,.0f}"
            raise DatasetError(what, str(scratch.parent), "free some space")
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _receipt(endpoint: str, wanted: Wanted, remote: Remote, folder: Path) -> Receipt:
    return Receipt(
        endpoint=endpoint,
        repo_id=wanted.repo_id,
        commit=remote.head,
        revision=wanted.revision,
        tag="",
        layout="parquet" if any(path.endswith(".parquet") for path in remote.files) else "files",
        private=bool(remote.private),
        digest=receipt.certified_digest(folder),
        content=receipt.content_of(folder),
        pictures=len(metadata.read_rows(folder / metadata.NAME)),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        tool=f"kanjiprep {__version__}",
        sha256={path: one.sha256 for path, one in remote.files.items() if one.sha256},
    )
