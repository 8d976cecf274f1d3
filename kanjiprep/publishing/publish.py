"""``publish``: an adapter onto the Hub, inspected, repaired, with its card and pictures, and compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kanjiprep.publishing import adapter, delivery, destination, leaks, parcel, staging
from kanjiprep.publishing.adapter import Prepared
from kanjiprep.publishing.destination import Wish
from kanjiprep.publishing.hub.courier import Hub
from kanjiprep.publishing.hub.patience import Patience


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """What is to be published where to.

    Attributes:
        run: Its folder.
        checkpoint: A step, ``best``, ``last``, or None for the best if one is known, else the last.
        wish: The repository.
        dry_run: Whether nothing is to be sent.
        cache: Where it is laid out.
        environ: Whose secrets must not be among what is sent.
    """

    run: Path
    checkpoint: str | None
    wish: Wish
    dry_run: bool
    cache: Path
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Published:
    """What came of it.

    Attributes:
        status: ``dry run`` if nothing was sent.
        repo_id: ``NAMESPACE/NAME``.
        url: Its page.
        revision: The branch.
        tag: That stands at the commit; empty for none.
        commit: That holds it; empty for a dry run.
        private: Whether only some may see it.
        created: Whether the repository was made for it, or would be.
        who: Whose token was used.
        step: Of the checkpoint.
        how: Why this checkpoint.
        rank: Of the adapter; None if its modules have several.
        alpha: Of the adapter; None if its modules have several.
        key_style: How its tensors are named.
        sha256: Of the file of weights that is sent.
        sent: Bytes by path of what was not there yet, or not so.
        removed: Paths of an earlier publication that are gone, or would be.
        in_one_commit: Whether it arrives whole or not at all.
        requests: To the Hub itself, beside those to its storage, that the sending takes.
        repairs: What was changed in the copy that is sent.
        warnings: What speaks against this checkpoint.
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
    step: int
    how: str
    rank: int | None
    alpha: float | None
    key_style: str
    sha256: str
    sent: Mapping[str, int]
    removed: tuple[str, ...]
    in_one_commit: bool
    requests: int
    repairs: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def publish(request: PublishRequest, hub: Hub, patience: Patience) -> Published:
    """An adapter on the Hub, whole and as it was inspected, or untouched there.

    Raises:
        HubError: If it cannot be sent, telling how things stand there now.
        TrainerError: If the run has no such checkpoint, or its adapter is not fit to be published.
        DatasetError: If a secret is in what would be sent.
        UsageError: If the run is a full fine-tune, or the checkpoint is named in no way that we know.
    """
    source = adapter.choose(request.run, request.checkpoint)
    with staging.opened(request.cache, f"{request.run} {request.wish.repo_id}") as scratch:
        there = destination.find(hub, patience, request.wish, scratch / "card")
        out = scratch / "out"
        staging.refuse_cramped(scratch, 2 * source.chosen.weights.stat().st_size)
        ready = adapter.lay_out(source, there, out)
        leaks.refuse_in(out, request.environ, (request.run, Path.home()))
        message = f"Publish the adapter of step {source.chosen.step:,} with kanjiprep"
        packed = parcel.pack([out], ready.is_stale, message, patience.progress)
        requests = delivery.requests(there, packed)
        if request.dry_run:
            before = parcel.difference(packed, there.remote.files)
            outcome = _Outcome(
                "dry run", "", delivery.sizes(packed, before.missing), before.stale, packed.is_atomic, requests
            )
        else:
            done = delivery.deliver(hub, patience, there, packed)
            outcome = _Outcome(
                done.status, done.commit, delivery.sizes(packed, done.sent), done.removed, packed.is_atomic, requests
            )
    return _published(there, source, ready, outcome)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What was sent, or would be."""

    status: Literal["pushed", "unchanged", "dry run"]
    commit: str
    sent: Mapping[str, int]
    removed: tuple[str, ...]
    is_atomic: bool
    requests: int


def _published(
    there: destination.Destination, source: adapter.Source, ready: Prepared, outcome: _Outcome
) -> Published:
    wish, remote = there.wish, there.remote
    return Published(
        status=outcome.status,
        repo_id=wish.repo_id,
        url=there.url,
        revision=wish.revision,
        tag=wish.tag,
        commit=outcome.commit,
        private=wish.private if remote.private is None else remote.private,
        created=not remote.exists,
        who=there.identity.name,
        step=source.chosen.step,
        how=source.chosen.how,
        rank=ready.lora.rank,
        alpha=ready.lora.alpha,
        key_style=ready.lora.key_style,
        sha256=ready.lora.sha256,
        sent=outcome.sent,
        removed=outcome.removed,
        in_one_commit=outcome.is_atomic,
        requests=outcome.requests,
        repairs=ready.repairs,
        warnings=source.chosen.warnings,
        notes=ready.notes,
    )
