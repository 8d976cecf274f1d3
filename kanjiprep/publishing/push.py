"""``push``: a dataset folder onto the Hub, checked, packed, sent in one commit, compared and receipted."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kanjiprep import metadata, receipt
from kanjiprep.dataset import check as checking
from kanjiprep.dataset.check import Checked
from kanjiprep.errors import DatasetError, UsageError
from kanjiprep.paths import resolved
from kanjiprep.publishing import delivery, destination, layouts, leaks, parcel, staging
from kanjiprep.publishing.delivery import Delivered
from kanjiprep.publishing.destination import Destination, Wish
from kanjiprep.publishing.hub.courier import Hub
from kanjiprep.publishing.hub.patience import Patience
from kanjiprep.publishing.layouts import Layout
from kanjiprep.publishing.parcel import Parcel
from kanjiprep.receipt import Receipt

_SHOWN: Final = 3
_ALWAYS: Final = ("no_rows", "missing_picture", "unreadable_picture")
"""Kinds of problem that no force helps against: there would be nothing to send, or something else than pictures."""


@dataclass(frozen=True, slots=True)
class PushRequest:
    """What is to be pushed where to.

    Attributes:
        dataset: Its folder.
        wish: The repository.
        layout: Parquet files with the pictures inside, or the files as they are.
        force: Whether a dataset that is not fit to train on may go, and over one that we did not push.
        dry_run: Whether nothing is to be sent.
        workers: Threads that check pictures.
        cache: Where it is laid out.
        environ: Whose secrets must not be among what is sent.
    """

    dataset: Path
    wish: Wish
    layout: Layout
    force: bool
    dry_run: bool
    workers: int
    cache: Path
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pushed:
    """What came of a push.

    Attributes:
        hub: What stands there.
        layout: ``parquet`` or ``files``.
        digest: Of the dataset, by its birth certificate; empty if it has none that holds.
        pictures: How many.
        receipt: Where the receipt is; None for a dry run, or a fetched copy, which keeps its own.
        notes: What else a user should know.
    """

    hub: Delivered
    layout: Layout
    digest: str
    pictures: int
    receipt: Path | None
    notes: tuple[str, ...]

    @property
    def pinned(self) -> str:
        """What ``--dataset`` takes to train on exactly this."""
        revision = self.hub.tag or self.hub.commit
        return f"{self.hub.repo_id}@{revision}" if revision else self.hub.repo_id


@dataclass(frozen=True, slots=True)
class _Laid:
    """A dataset that is laid out and about to be sent."""

    packed: Parcel
    digest: str
    content: str
    pictures: int
    notes: tuple[str, ...]


def push(request: PushRequest, hub: Hub, patience: Patience) -> Pushed:
    """A dataset on the Hub, whole and as it is here, or untouched there.

    Raises:
        HubError: If it cannot be sent, telling how things stand there now.
        DatasetError: If it is not fit, cannot be read, holds a secret, or its receipt cannot be written.
        UsageError: If the path cannot be followed, or the arguments are the wrong way round.
    """
    at = resolved(request.dataset)
    _refuse_no_dataset(at, request)
    with staging.opened(request.cache, f"{at} {request.wish.repo_id}") as scratch:
        there = destination.find(hub, patience, request.wish, scratch / "card")
        layouts.refuse_strangers(there, request.force)
        leaks.refuse_card(there.card, there.wish.repo_id, request.environ, at)
        laid = _lay_out(request, at, there, scratch, patience)
        done = delivery.deliver(hub, patience, there, laid.packed, request.dry_run)
    is_kept = request.dry_run or _is_fetched(at)
    path = None if is_kept else receipt.write(at, _receipt(there, laid, done, request.layout))
    return Pushed(done, request.layout, laid.digest, laid.pictures, path, laid.notes)


def _is_fetched(at: Path) -> bool:
    """Whether the folder is a copy of what stands on the Hub, whose receipt says of what."""
    try:
        given = receipt.read(at)
    except DatasetError:  # a damaged one gives way
        return False
    return given is not None and given.fetched


def _refuse_no_dataset(at: Path, request: PushRequest) -> None:
    """What is no dataset is told before the Hub is asked."""
    if not at.exists() and Path(request.wish.repo_id).is_dir():
        words = f"kanjiprep push {shlex.quote(request.wish.repo_id)} {shlex.quote(str(request.dataset))}"
        raise UsageError("is no folder, and the dataset comes first", str(request.dataset), words)
    if at.is_file():
        raise DatasetError("is a file, not the folder of a dataset", str(at), "give the folder that it is in")
    metadata.read_rows(at / metadata.NAME)
    if (at / receipt.NAME).is_dir():
        raise DatasetError("is a folder, and the receipt goes there", str(at / receipt.NAME), "move it away")
    if not request.dry_run and not os.access(at, os.W_OK):
        what = "must not be written, and the receipt of the push goes there"
        raise DatasetError(what, str(at), "change its permissions, or push a copy")


def _lay_out(request: PushRequest, at: Path, there: Destination, scratch: Path, patience: Patience) -> _Laid:
    content = receipt.content_of(at)
    checked = checking.judge(at, request.workers, patience.progress)
    _refuse_unfit(checked, request.force)
    staging.refuse_cramped(scratch, layouts.needed_bytes(checked))
    laid = layouts.lay_out(checked, there, request.layout, scratch / "out", patience.progress)
    leaks.refuse_in(at, layouts.sources(at), request.environ, at)
    for folder in laid.folders:
        leaks.refuse_in(folder, leaks.names(folder), request.environ, at)
    message = f"Push {checked.statistics.samples:,} pictures with kanjiprep"
    packed = parcel.pack(laid.folders, layouts.is_earlier, message, patience.progress)
    return _Laid(packed, laid.digest, content, checked.statistics.samples, (*_warnings(checked), *laid.notes))


def _refuse_unfit(checked: Checked, force: bool) -> None:
    errors = [problem for problem in checked.problems if problem.severity == "error"]
    wrong = [problem for problem in errors if not force or problem.kind in _ALWAYS]
    if not wrong:
        return
    first = wrong[0]
    where = ", ".join(map(str, first.items[:_SHOWN])) + (" ..." if len(first.items) > _SHOWN else "")
    more = f", and {len(wrong) - 1} more of kanjiprep check" if len(wrong) > 1 else ""
    what = f"is not fit to train on: {first.what}: {len(first.items):,} ({where}){more}. Nothing was sent"
    way = "" if any(problem.kind in _ALWAYS for problem in wrong) else ", or give --force"
    raise DatasetError(what, str(checked.folder), f"{first.remedy}{way}")


def _warnings(checked: Checked) -> Iterator[str]:
    """What check has to say and does not stand in the way."""
    found = [f"{problem.what} ({len(problem.items):,})" for problem in checked.problems]
    if found:
        yield f"kanjiprep check warns: {'; '.join(found)}"


def _receipt(there: Destination, laid: _Laid, done: Delivered, layout: Layout) -> Receipt:
    return Receipt(
        endpoint=there.identity.endpoint,
        repo_id=done.repo_id,
        commit=done.commit,
        revision=done.revision,
        tag=done.tag,
        layout=layout,
        private=done.private,
        digest=laid.digest,
        content=laid.content,
        pictures=laid.pictures,
        at=receipt.now(),
        tool=receipt.TOOL,
        fetched=False,
        sha256={path: one.sha256 for path, one in laid.packed.files.items()},
    )
