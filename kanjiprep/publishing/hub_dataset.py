"""A dataset of the Hub as a folder here: fetched at one commit, compared byte for byte, kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kanjiprep import metadata, receipt
from kanjiprep.dataset import characters
from kanjiprep.dataset.folder import CARD, PICTURE_SUFFIXES
from kanjiprep.errors import DatasetError
from kanjiprep.publishing import hub_kept, layouts, parquet_rows, restore
from kanjiprep.publishing.destination import Remote, RemoteFile
from kanjiprep.publishing.hub.courier import Hub
from kanjiprep.publishing.hub.patience import Patience
from kanjiprep.publishing.hub_fetch import Wanted
from kanjiprep.publishing.hub_kept import Kind
from kanjiprep.receipt import Receipt


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

    def make(files: Path, whole: Path, remote: Remote) -> None:
        _restore(files, whole, wanted, patience)
        receipt.write(whole, _receipt(hub.endpoint, wanted, remote, whole))

    kind = Kind(_is_here, lambda remote: _select(remote, wanted), make, copies=2, error=DatasetError)
    return hub_kept.fetch(hub, patience, wanted, store, kind)


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
        at=receipt.now(),
        tool=receipt.TOOL,
        fetched=True,
        sha256={path: one.sha256 for path, one in remote.files.items() if one.sha256},
    )
