"""An adapter of the Hub as a folder here: fetched at one commit, compared byte for byte, kept."""

from __future__ import annotations

from pathlib import Path

from kanjiprep.errors import HubError
from kanjiprep.evaluation.weights.safetensors_file import SUFFIX
from kanjiprep.publishing import hub_kept, staging
from kanjiprep.publishing.destination import Remote, RemoteFile
from kanjiprep.publishing.hub.courier import Hub
from kanjiprep.publishing.hub.patience import Patience
from kanjiprep.publishing.hub_fetch import Wanted
from kanjiprep.publishing.hub_kept import Kind
from kanjiprep.training.running.attempts import WEIGHTS

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

    def select(remote: Remote) -> dict[str, RemoteFile]:
        file = _adapter(remote, wanted)
        return {file: remote.files[file]}

    def make(files: Path, whole: Path, remote: Remote) -> None:
        staging.link(files / _adapter(remote, wanted), whole / WEIGHTS)

    kind = Kind(lambda folder, _: folder.is_dir(), select, make, copies=2, error=HubError)
    return hub_kept.fetch(hub, patience, wanted, store, kind)


def _adapter(remote: Remote, wanted: Wanted) -> str:
    """The file of weights: the one with the usual name, or the only one."""
    found = sorted(path for path in remote.files if path.endswith(SUFFIX) and "/" not in path)
    if WEIGHTS in found:
        return WEIGHTS
    if len(found) != 1:
        several = f"holds several files of weights and none of the name {WEIGHTS}: {', '.join(found[:_SHOWN])}"
        what = several if found else f"holds no {WEIGHTS}"
        raise HubError(what, wanted.repo_id, "give the repository of a LoRA, or download its file and give that")
    return found[0]
