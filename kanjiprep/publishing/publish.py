"""``publish``: an adapter onto the Hub, inspected, repaired, with its card and pictures, and compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kanjiprep.errors import HubError
from kanjiprep.publishing import adapter, delivery, destination, leaks, merging, parcel, staging
from kanjiprep.publishing.delivery import Delivered
from kanjiprep.publishing.destination import Destination, Wish
from kanjiprep.publishing.hub.courier import Hub
from kanjiprep.publishing.hub.patience import Patience
from kanjiprep.training.running.attempts import WEIGHTS


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """What is to be published where to.

    Attributes:
        run: Its folder.
        checkpoint: A step, ``best``, ``last``, or None for the best if one is known, else the last.
        wish: The repository.
        force: Whether it may take the place of an adapter that we did not publish.
        dry_run: Whether nothing is to be sent.
        cache: Where it is laid out.
        environ: Whose secrets must not be among what is sent.
    """

    run: Path
    checkpoint: str | None
    wish: Wish
    force: bool
    dry_run: bool
    cache: Path
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Published:
    """What came of it.

    Attributes:
        hub: What stands there.
        step: Of the checkpoint.
        how: Why this checkpoint.
        rank: Of the adapter; None if its modules have several.
        alpha: Of the adapter; None if its modules have several.
        key_style: How its tensors are named.
        sha256: Of the file of weights that is sent.
        repairs: What was changed in the copy that is sent.
        warnings: What speaks against this checkpoint.
        notes: What else a user should know.
    """

    hub: Delivered
    step: int
    how: str
    rank: int | None
    alpha: float | None
    key_style: str
    sha256: str
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
    chosen = source.chosen
    with staging.opened(request.cache, f"{request.run} {request.wish.repo_id}") as scratch:
        there = destination.find(hub, patience, request.wish, scratch / "card")
        _refuse_stranger(there, request.force)
        out = scratch / "out"
        staging.refuse_cramped(scratch, 2 * chosen.weights.stat().st_size)
        ready = adapter.lay_out(source, there, out)
        leaks.refuse_card(there.card, there.wish.repo_id, request.environ, request.run)
        leaks.refuse_in(out, leaks.names(out), request.environ, request.run)
        message = f"Publish the adapter of step {chosen.step:,} with kanjiprep"
        packed = parcel.pack([out], ready.is_stale, message, patience.progress)
        done = delivery.deliver(hub, patience, there, packed, request.dry_run)
    lora = ready.lora
    return Published(
        hub=done,
        step=chosen.step,
        how=chosen.how,
        rank=lora.rank,
        alpha=lora.alpha,
        key_style=lora.key_style,
        sha256=lora.sha256,
        repairs=ready.repairs,
        warnings=chosen.warnings,
        notes=ready.notes,
    )


def _refuse_stranger(there: Destination, force: bool) -> None:
    if WEIGHTS in there.remote.files and merging.BEGIN not in (there.card or "") and not force:
        what = f"holds {WEIGHTS} that kanjiprep did not publish. Nothing was sent"
        raise HubError(what, there.wish.repo_id, "give another repository, or --force to replace it")
