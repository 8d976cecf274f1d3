"""What a repository of the Hub holds, looked up at one commit and fetched, compared byte for byte."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from kanjiprep.errors import HubError, UsageError
from kanjiprep.publishing import destination, names, parcel
from kanjiprep.publishing.destination import MAIN, Remote, RemoteFile
from kanjiprep.publishing.hub import patience as waiting
from kanjiprep.publishing.hub.courier import Hub, HubFault
from kanjiprep.publishing.hub.patience import Patience
from kanjiprep.publishing.hub.words import told

_SHAPE: Final = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?", re.ASCII)
_OWN: Final = ("timeout", "died", "broken", "no xet", "too large")
"""Kinds whose usual remedies are options of ``push``."""
_FILES: Final = (".safetensors", ".json", ".png")
_AGAIN: Final = "run the same command again"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A repository at a branch, tag or commit."""

    repo_id: str
    revision: str = MAIN
    repo_type: Literal["dataset", "model"] = "dataset"

    @property
    def slug(self) -> str:
        """The repository's name as a part of a file name."""
        return self.repo_id.replace("/", "--")


def parse(text: str, repo_type: Literal["dataset", "model"] = "dataset") -> Wanted | None:
    """What ``REPO_ID[@REV]`` names; None if ``text`` is a path: it stands here, or looks like one.

    Raises:
        UsageError: If it is an address.
    """
    is_address = text.startswith("datasets/") and names.meant(text) not in ("", text) and not Path(text).exists()
    if "://" in text or is_address:
        name = names.meant(text) or "REPO_ID"
        where = "--dataset" if repo_type == "dataset" else ""
        raise UsageError(f"{text!r:.120} is an address", where, f"give {name}, or {name}@ with a tag or commit")
    found = _SHAPE.fullmatch(text)
    if found is None or text.startswith(".") or _looks_local(text):
        return None
    return Wanted(found["repo"], found["revision"] or MAIN, repo_type)


def _looks_local(text: str) -> bool:
    """Whether it is a path, mistyped perhaps: what is here by its beginning is not told to the Hub."""
    return Path(text).exists() or Path(text).parts[0] == "runs" or Path(text).suffix in _FILES


def look(hub: Hub, patience: Patience, wanted: Wanted) -> Remote:
    """What stands there.

    Raises:
        HubError: If there is no such repository or revision, or the Hub does not say.
    """
    try:
        at: dict[str, Any] = {"repo_id": wanted.repo_id, "repo_type": wanted.repo_type, "revision": wanted.revision}
        remote = destination.remote_of(waiting.ask(hub, patience, "look", **at, refs=False))
    except HubFault as error:
        raise _told(error, hub, wanted) from error
    if not remote.exists:
        what = f"is neither a folder here nor a {wanted.repo_type} on the Hub that the token may see"
        raise HubError(what, wanted.repo_id, "check the name and whose token it is")
    if not remote.head:
        raise HubError(f"has no revision {wanted.revision!r}", wanted.repo_id, "give a branch, tag or commit of it")
    return remote


def _told(error: HubFault, hub: Hub, wanted: Wanted) -> HubError:
    return told(
        error.fault, f"{wanted.repo_id} (no folder here)", hub, remedy=_AGAIN if error.fault.kind in _OWN else ""
    )


def download(
    hub: Hub,
    patience: Patience,
    wanted: Wanted,
    remote: Remote,
    files: Mapping[str, RemoteFile],
    scratch: Path,
) -> None:
    """Have ``files`` of it in the folder ``scratch``, each compared with what the Hub says of it.

    Raises:
        HubError: If they cannot be had.
    """
    arguments = {
        "repo_id": wanted.repo_id,
        "repo_type": wanted.repo_type,
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
    _refuse_changed(files, scratch, wanted)


def _refuse_changed(files: Mapping[str, RemoteFile], scratch: Path, wanted: Wanted) -> None:
    for path, one in files.items():
        if not (scratch / path).is_file() or not parcel.sent(scratch / path).is_at(one):
            raise HubError(
                f"{path} did not arrive as the Hub says it is", wanted.repo_id, "run the same command again"
            )
