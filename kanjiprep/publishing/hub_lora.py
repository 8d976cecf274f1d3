"""An adapter of the Hub as a folder here: fetched at one commit, compared byte for byte, kept."""

from __future__ import annotations

from pathlib import Path

from kanjiprep.errors import HubError, os_reason
from kanjiprep.publishing import hub_fetch, names, staging
from kanjiprep.publishing.destination import Remote
from kanjiprep.publishing.hub.courier import Hub
from kanjiprep.publishing.hub.patience import Patience
from kanjiprep.publishing.hub_fetch import Wanted
from kanjiprep.training.running.attempts import WEIGHTS

_SUFFIX = ".safetensors"
_SHOWN = 5


def fetch(hub: Hub, patience: Patience, wanted: Wanted, store: Path) -> Path:
    """The folder with that adapter, fetched if it is not here yet.

    Args:
        hub: Whom to ask; not asked at all for a commit that is here.
        patience: For how long.
        wanted: Which.
        store: Where fetched adapters are kept.

    Raises:
        HubError: If it cannot be had, holds no adapter or several, or cannot be kept here.
    """
    names.refuse_repo(wanted.repo_id)
    names.refuse_revision(wanted.revision, "a revision")
    if names.COMMIT.fullmatch(wanted.revision) and (kept := _kept(store, wanted, wanted.revision)).is_dir():
        return kept
    patience.say(f"asking {hub.endpoint} for {wanted.repo_id}")
    remote = hub_fetch.look(hub, patience, wanted)
    kept = _kept(store, wanted, remote.head)
    if kept.is_dir():
        return kept
    file = _adapter(remote, wanted)
    with staging.opened(store / ".fetching", kept.name, wait=True) as scratch:
        if not kept.is_dir():  # another may have been at it, and is done
            staging.refuse_cramped(scratch, remote.files[file].size)
            hub_fetch.download(hub, patience, wanted, remote, {file: remote.files[file]}, scratch / "files")
            _keep(scratch, file, kept)
    return kept


def _kept(store: Path, wanted: Wanted, commit: str) -> Path:
    return store / f"{wanted.slug}@{commit[:12]}"


def _adapter(remote: Remote, wanted: Wanted) -> str:
    """The file of weights: the one with the usual name, or the only one."""
    found = sorted(path for path in remote.files if path.endswith(_SUFFIX) and "/" not in path)
    if WEIGHTS in found:
        return WEIGHTS
    if len(found) != 1:
        several = f"holds several files of weights and none of the name {WEIGHTS}: {', '.join(found[:_SHOWN])}"
        what = several if found else f"holds no {WEIGHTS}"
        raise HubError(what, wanted.repo_id, "give the repository of a LoRA, or download its file and give that")
    return found[0]


def _keep(scratch: Path, file: str, kept: Path) -> None:
    """Rename the file that has arrived, with its folder, into its place."""
    whole = scratch / "whole"
    try:
        whole.mkdir()
        (scratch / "files" / file).rename(whole / WEIGHTS)
        whole.rename(kept)
    except OSError as error:
        raise HubError(f"cannot be put here: {os_reason(error)}", str(kept), "move away what is there") from error
