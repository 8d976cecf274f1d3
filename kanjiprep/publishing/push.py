"""``push``: a dataset folder onto the Hub, checked, packed, sent in one commit, compared and receipted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from kanjiprep import __version__, metadata, receipt
from kanjiprep.dataset import check as checking
from kanjiprep.dataset.check import Checked
from kanjiprep.errors import DatasetError
from kanjiprep.paths import resolved
from kanjiprep.publishing import delivery, destination, layouts, leaks, parcel, staging
from kanjiprep.publishing.destination import Destination, Wish
from kanjiprep.publishing.hub.courier import Hub
from kanjiprep.publishing.hub.patience import Patience
from kanjiprep.publishing.layouts import Layout
from kanjiprep.publishing.parcel import Parcel
from kanjiprep.receipt import Receipt

_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class PushRequest:
    """What is to be pushed where to.

    Attributes:
        dataset: Its folder.
        wish: The repository.
        layout: Parquet files with the pictures inside, or the files as they are.
        force: Whether a dataset that is not fit to train on may go.
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
        status: ``dry run`` if nothing was sent.
        repo_id: ``NAMESPACE/NAME``.
        url: Its page.
        revision: The branch.
        tag: That stands at the commit; empty for none.
        commit: That holds the dataset; empty for a dry run.
        private: Whether only some may see it.
        created: Whether the repository was made for it, or would be.
        who: Whose token was used.
        layout: ``parquet`` or ``files``.
        digest: Of the dataset.
        pictures: How many.
        sent: Bytes by path of what was not there yet, or not so.
        removed: Paths of an earlier push that are gone, or would be.
        in_one_commit: Whether it arrives whole or not at all.
        requests: To the Hub itself, beside those to its storage, that the sending takes.
        receipt: Where the receipt is; None for a dry run.
        notes: What else a user should know.
    """

    status: Literal["pushed", "unchanged", "dry run"]
    repo_id: str
    url: str
    revision: str
    tag: str
    commit: str
    private: bool
    created: bool
    who: str
    layout: Layout
    digest: str
    pictures: int
    sent: Mapping[str, int]
    removed: tuple[str, ...]
    in_one_commit: bool
    requests: int
    receipt: Path | None
    notes: tuple[str, ...]

    @property
    def pinned(self) -> str:
        """What ``--dataset`` takes to train on exactly this."""
        return f"{self.repo_id}@{self.tag or self.commit}"


@dataclass(frozen=True, slots=True)
class _Job:
    """All that is known of a push when it is about to be sent."""

    request: PushRequest
    checked: Checked
    there: Destination
    packed: Parcel
    notes: tuple[str, ...]


def push(request: PushRequest, hub: Hub, patience: Patience) -> Pushed:
    """A dataset on the Hub, whole and as it is here, or untouched there.

    Raises:
        HubError: If it cannot be sent, telling how things stand there now.
        DatasetError: If it is not fit, cannot be read, holds a secret, or its receipt cannot be written.
        UsageError: If the path cannot be followed.
    """
    at = resolved(request.dataset)
    metadata.read_rows(at / metadata.NAME)  # what is no dataset is told before the Hub is asked
    if not request.dry_run:
        _refuse_without_receipt(at)
    with staging.opened(request.cache, f"{at} {request.wish.repo_id}") as scratch:
        there = destination.find(hub, patience, request.wish, scratch / "card")
        job = _prepare(request, at, there, scratch, patience)
        if request.dry_run:
            before = parcel.difference(job.packed, there.remote.files)
            return _pushed(job, "dry run", "", before.missing, before.stale, None)
        done = delivery.deliver(hub, patience, there, job.packed)
    path = receipt.write(at, _receipt(job, done.commit))
    return _pushed(job, done.status, done.commit, done.sent, done.removed, path)


def _prepare(request: PushRequest, at: Path, there: Destination, scratch: Path, patience: Patience) -> _Job:
    checked = checking.judge(at, request.workers, patience.progress)
    _refuse_unfit(checked, request.force)
    staging.refuse_cramped(scratch, layouts.needed_bytes(checked))
    laid = layouts.lay_out(checked, there, request.layout, scratch / "out", patience.progress)
    for folder in (at, *laid.folders):
        leaks.refuse_in(folder, request.environ, (at, Path.home()), but=receipt.NAME)
    message = f"Push {checked.statistics.samples:,} pictures with kanjiprep"
    packed = parcel.pack(laid.folders, laid.is_stale, message, patience.progress)
    return _Job(request, checked, there, packed, laid.notes)


def _refuse_without_receipt(folder: Path) -> None:
    if not os.access(folder, os.W_OK):
        what = "must not be written, and the receipt of the push goes there"
        raise DatasetError(what, str(folder), "change its permissions, or push a copy")


def _refuse_unfit(checked: Checked, force: bool) -> None:
    wrong = [problem for problem in checked.problems if problem.severity == "error"]
    if wrong and not force:
        first = wrong[0]
        where = ", ".join(map(str, first.items[:_SHOWN])) + (" ..." if len(first.items) > _SHOWN else "")
        more = f" (and {len(wrong) - 1} more kinds of problem)" if len(wrong) > 1 else ""
        what = f"is not fit to train on: {first.what}: {len(first.items):,} ({where}){more}. Nothing was sent"
        raise DatasetError(what, str(checked.folder), f"{first.remedy}, see kanjiprep check, or give --force")


def _pushed(
    job: _Job,
    status: Literal["pushed", "unchanged", "dry run"],
    commit: str,
    sent: tuple[str, ...],
    removed: tuple[str, ...],
    path: Path | None,
) -> Pushed:
    there = job.there
    wish, remote = there.wish, there.remote
    return Pushed(
        status=status,
        repo_id=wish.repo_id,
        url=there.url,
        revision=wish.revision,
        tag=wish.tag,
        commit=commit,
        private=wish.private if remote.private is None else remote.private,
        created=not remote.exists,
        who=there.identity.name,
        layout=job.request.layout,
        digest=receipt.digest_of(job.checked.folder),
        pictures=job.checked.statistics.samples,
        sent=delivery.sizes(job.packed, sent),
        removed=removed,
        in_one_commit=job.packed.is_atomic,
        requests=delivery.requests(there, job.packed),
        receipt=path,
        notes=job.notes,
    )


def _receipt(job: _Job, commit: str) -> Receipt:
    wish, remote = job.there.wish, job.there.remote
    return Receipt(
        endpoint=job.there.identity.endpoint,
        repo_id=wish.repo_id,
        commit=commit,
        revision=wish.revision,
        tag=wish.tag,
        layout=job.request.layout,
        private=wish.private if remote.private is None else remote.private,
        digest=receipt.digest_of(job.checked.folder),
        pictures=job.checked.statistics.samples,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        tool=f"kanjiprep {__version__}",
        sha256={path: one.sha256 for path, one in job.packed.files.items()},
    )
