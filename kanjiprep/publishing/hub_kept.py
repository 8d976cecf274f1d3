"""What was fetched from the Hub, kept here: a folder for every repository at every commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kanjiprep.errors import KanjiprepError, os_reason
from kanjiprep.publishing import hub_fetch, names, staging
from kanjiprep.publishing.destination import Remote, RemoteFile
from kanjiprep.publishing.hub.courier import Hub
from kanjiprep.publishing.hub.patience import Patience
from kanjiprep.publishing.hub_fetch import Wanted

_COMMIT_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Kind:
    """What is kept of a repository.

    Attributes:
        is_here: Whether a folder holds what is wanted, at the commit that is its revision.
        select: The files that it takes, by path.
        make: Makes the folder to be kept, the second one, out of the fetched files in the first one.
        copies: How often the fetched bytes are on the disk at once.
        error: What it is where the folder cannot be put into its place.
    """

    is_here: Callable[[Path, Wanted], bool]
    select: Callable[[Remote], Mapping[str, RemoteFile]]
    make: Callable[[Path, Path, Remote], None]
    copies: int
    error: type[KanjiprepError]


def fetch(hub: Hub, patience: Patience, wanted: Wanted, store: Path, kind: Kind) -> Path:
    """The folder of what is wanted, fetched if it is not here yet.

    Args:
        hub: Whom to ask; not asked at all for a commit that is here.
        patience: For how long.
        wanted: Which.
        store: Where such folders are kept.
        kind: What is kept of it, and how.

    Raises:
        HubError: If it cannot be had, or there is no room for it.
        KanjiprepError: As the functions of ``kind`` do; of its ``error``, if it cannot be put into its place.
    """
    names.refuse_repo(wanted.repo_id)
    names.refuse_revision(wanted.revision, "a revision")
    if names.COMMIT.fullmatch(wanted.revision) and kind.is_here(
        kept := _kept(store, wanted, wanted.revision), wanted
    ):
        return kept
    patience.say(f"asking {hub.endpoint} for {wanted.repo_id}")
    remote = hub_fetch.look(hub, patience, wanted)
    pinned, kept = Wanted(wanted.repo_id, remote.head, wanted.repo_type), _kept(store, wanted, remote.head)
    if kind.is_here(kept, pinned):
        return kept
    files = kind.select(remote)
    with staging.opened(store / ".fetching", kept.name, wait=True) as scratch:
        if not kind.is_here(kept, pinned):  # another may have been at it, and is done
            staging.refuse_cramped(scratch, kind.copies * sum(one.size for one in files.values()))
            hub_fetch.download(hub, patience, wanted, remote, files, scratch / "files")
            kind.make(scratch / "files", scratch / "whole", remote)
            _put(scratch / "whole", kept, kind.error)
    return kept


def _kept(store: Path, wanted: Wanted, commit: str) -> Path:
    return store / f"{wanted.slug}@{commit[:_COMMIT_DIGITS]}"


def _put(whole: Path, kept: Path, failure: type[KanjiprepError]) -> None:
    """Rename ``whole`` into its place."""
    try:
        whole.rename(kept)
    except OSError as error:
        raise failure(f"cannot be put here: {os_reason(error)}", str(kept), "move away what is there") from error
