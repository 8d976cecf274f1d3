"""A dataset of the Hub as a folder here: fetched at one commit, compared byte for byte, kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kanjiprep import __version__, metadata, receipt
from kanjiprep.dataset import characters
from kanjiprep.dataset.folder import CARD, PICTURE_SUFFIXES
from kanjiprep.errors import DatasetError, HubError, UsageError, os_reason
from kanjiprep.publishing import destination, layouts, names, parcel, parquet_rows, restore, staging
from kanjiprep.publishing.destination import MAIN, Remote, RemoteFile
from kanjiprep.publishing.hub import patience as waiting
from kanjiprep.publishing.hub.courier import Hub, HubFault
from kanjiprep.publishing.hub.patience import Patience
from kanjiprep.publishing.hub.words import told
from kanjiprep.receipt import Receipt

_SHAPE: Final = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?", re.ASCII)
_OWN: Final = ("timeout", "died", "broken", "no xet", "too large")
"""Kinds whose usual remedies are options of ``push``."""
_AGAIN: Final = "run the same command again"


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
    is_address = text.startswith("datasets/") and names.meant(text) not in ("", text) and not Path(text).exists()
    if "://" in text or is_address:
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
        HubError: If it cannot be had, or there is no room for it.
        DatasetError: If it is no dataset of pictures with captions, or was changed here since it was fetched.
    """
    names.refuse_repo(wanted.repo_id)
    names.refuse_revision(wanted.revision, "a revision")
    if names.COMMIT.fullmatch(wanted.revision) and _is_here(
        folder := _folder(store, wanted, wanted.revision), wanted
    ):
        return folder
    patience.say(f"asking {hub.endpoint} for {wanted.repo_id}")
    remote = _look(hub, patience, wanted)
    pinned = Wanted(wanted.repo_id, remote.head)
    folder = _folder(store, wanted, remote.head)
    if _is_here(folder, pinned):
        return folder
    files = _select(remote, wanted)
    with staging.opened(store / ".fetching", folder.name, wait=True) as scratch:
        if _is_here(folder, pinned):  # another was at it, and is done
            return folder
        staging.refuse_cramped(scratch, 2 * sum(one.size for one in files.values()))
        whole = scratch / "whole"
        _download(hub, patience, wanted, remote, files, scratch / "files")
        _restore(scratch / "files", whole, wanted, patience)
        receipt.write(whole, _receipt(hub.endpoint, wanted, remote, whole))
        _put(whole, folder)
    return folder


def _folder(store: Path, wanted: Wanted, commit: str) -> Path:
    return store / f"{wanted.repo_id.replace('/', '--')}@{commit[:12]}"


def _is_here(folder: Path, pinned: Wanted) -> bool:
    """Whether that commit stands in ``folder``, as it was fetched."""
    given = receipt.read(folder)
    if given is None or (given.repo_id, given.commit) != (pinned.repo_id, pinned.revision):
        return False
    if given.content != receipt.content_of(folder):
        remedy = "copy it elsewhere if you want to keep it, then remove it here: it is fetched anew"
        raise DatasetError("is no longer as it was fetched", str(folder), remedy)
    return True


def _restore(files: Path, whole: Path, wanted: Wanted, patience: Patience) -> None:
    """Have the folder made; what is wrong with the files is told of the repository, for here they are gone soon."""
    try:
        restore.restore(files, whole, patience.progress)
    except DatasetError as error:
        inside = error.where.removeprefix(str(files)).lstrip("/")
        where = f"{inside} of {wanted.repo_id}" if inside else wanted.repo_id
        raise DatasetError(error.what, where, error.remedy) from error


def _put(whole: Path, folder: Path) -> None:
    """Rename ``whole`` into its place."""
    try:
        whole.rename(folder)
    except OSError as error:
        raise DatasetError(f"cannot be put here: {os_reason(error)}", str(folder), "move away what is") from error


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
    return told(
        error.fault, f"{wanted.repo_id} (no folder here)", hub, remedy=_AGAIN if error.fault.kind in _OWN else ""
    )


def _select(remote: Remote, wanted: Wanted) -> Mapping[str, RemoteFile]:
    """The files that make the dataset: tables with pictures in them, or pictures beside a metadata.csv."""
    tables = parquet_rows.of_train(remote.files)
    plain = [path for path in remote.files if "/" not in path and Path(path).suffix.lower() in PICTURE_SUFFIXES]
    chosen = tables or ([metadata.NAME, *plain] if metadata.NAME in remote.files and plain else [])
    if not chosen:
        raise DatasetError(
            "holds neither parquet files nor pictures beside a metadata.csv", wanted.repo_id, "give another dataset"
        )
    sides = [path for path in (*layouts.BESIDE, CARD, characters.NAME) if path in remote.files]
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
        fetched=True,
        sha256={path: one.sha256 for path, one in remote.files.items() if one.sha256},
    )
