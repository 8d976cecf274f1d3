"""What a request for pictures means: which checkpoints paint which prompts with which seeds, and where to."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kanjiprep.errors import UsageError
from kanjiprep.paths import resolved
from kanjiprep.publishing import tuned as tuneds
from kanjiprep.publishing.painting import base as bases
from kanjiprep.publishing.painting import fitting, texts
from kanjiprep.publishing.painting.base import Base
from kanjiprep.publishing.painting.devices import Ways
from kanjiprep.publishing.painting.texts import Asked, Named
from kanjiprep.publishing.painting.wish import refuse_size
from kanjiprep.publishing.tuned import Tuned

FOLDER: Final = "pictures"
_BASE: Final = "base"


@dataclass(frozen=True, slots=True)
class Request:
    """What a user wants.

    Attributes:
        wanted: A run, a LoRA's file, or a folder.
        asked: Which pictures.
        checkpoints: Of a run; empty for the best or last one.
        every: Whether to take every checkpoint.
        with_base: Whether the base model paints too.
        base: The base model; None for the one that was trained on.
        ways: How it is loaded.
        out: The folder; None for pictures/NAME.
    """

    wanted: str
    asked: Asked
    checkpoints: tuple[str, ...] = ()
    every: bool = False
    with_base: bool = False
    base: str | None = None
    ways: Ways = dataclasses.field(default_factory=Ways)
    out: Path | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """What paints a column of pictures.

    Attributes:
        tuned: A checkpoint; None for the base model.
        stem: How its files' names begin.
        title: For people.
    """

    tuned: Tuned | None
    stem: str
    title: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be painted.

    Attributes:
        base_name: Of the base model.
        base: Where it is; None if it is not on this machine.
        family: ``sd3`` or ``sd1x``.
        columns: What paints.
        pictures: What each of them paints.
        out: The folder.
        notes: What a user should know, a sentence each.
        warnings: What speaks against it, a sentence each.
    """

    base_name: str
    base: Base | None
    family: str
    columns: tuple[Column, ...]
    pictures: tuple[Named, ...]
    out: Path
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def plan(request: Request) -> Plan:
    """What ``request`` means, without loading or fetching a model.

    Raises:
        UsageError: If something in it is not there, or does not go together.
        TrainerError: If a run, a LoRA or the base model cannot be read, or something is in the way.
    """
    tuned = _tuned(request)
    base_name = tuned[0].base if request.base is None else request.base
    base = bases.here(base_name)
    family = base.family if base is not None else tuned[0].family or "sd3"
    for one in tuned:
        if base is not None:
            fitting.refuse_stranger(one, base)
    pictures = texts.pictures(request.asked, tuned[0], family, base.flavour if base is not None else "")
    for size_px in {one.wish.size_px for one in pictures}:
        refuse_size(size_px, family)
    columns = tuple(_columns(tuned, request.with_base))
    out = resolved(request.out or Path(FOLDER) / tuned[0].name)
    _refuse_file(out)
    return Plan(
        base_name=base_name,
        base=base,
        family=family,
        columns=columns,
        pictures=pictures,
        out=out,
        notes=tuple(_notes(tuned, pictures)),
        warnings=tuple(dict.fromkeys(line for one in tuned for line in _warnings(one, request.asked, family))),
    )


def _tuned(request: Request) -> tuple[Tuned, ...]:
    if request.every:
        if request.checkpoints:
            raise UsageError("--checkpoint and --every-checkpoint are two things", "", "give one of the two")
        return _every(request.wanted)
    wanted = request.checkpoints or (None,)
    found = [tuneds.find(request.wanted, checkpoint) for checkpoint in wanted]
    return tuple({one.path: one for one in found}.values())


def _every(wanted: str) -> tuple[Tuned, ...]:
    try:
        return tuneds.every(wanted)
    except UsageError as error:
        tuneds.find(wanted)  # says itself what is wrong with what is neither a run nor a LoRA
        remedy = "leave --every-checkpoint out, or give the folder of its run"
        raise UsageError("is one checkpoint alone", wanted, remedy) from error


def _columns(tuned: Sequence[Tuned], with_base: bool) -> Iterator[Column]:
    if with_base:
        yield Column(None, _BASE, "base model")
    for one in tuned:
        is_of_run = one.step is not None
        yield Column(
            one, f"step-{one.step}" if is_of_run else one.name, f"step {one.step:,}" if is_of_run else one.name
        )


def _notes(tuned: Sequence[Tuned], pictures: Sequence[Named]) -> Iterator[str]:
    first = tuned[0]
    which = f"step {first.step:,} of {first.name}, {first.how}" if first.step is not None else first.name
    yield f"paints with {which}" if len(tuned) == 1 else f"paints with {len(tuned)} checkpoints of {first.name}"
    yield from texts.repeated(pictures)


def _warnings(tuned: Tuned, asked: Asked, family: str) -> Iterator[str]:
    yield from tuned.warnings
    if asked.like_validation and family == "sd3":
        yield (
            "the trainer leaves out the first step and scales the share of the negative prompt (CFG-Zero*), which "
            "diffusers does not; pictures are of the same kind as in validation, not equal"
        )
    if asked.like_validation and tuned.asked is not None and tuned.asked.skip_layers:
        yield "the run's validation left blocks out in a third pass (skip_layers), and these pictures do not"


def _refuse_file(out: Path) -> None:
    first = next(one for one in (out, *out.parents) if os.path.lexists(one))
    if not first.is_dir():
        raise UsageError("is no folder", str(first), "give --out another folder")


def name_of(column: Column, picture: Named) -> str:
    """The name of a picture's file, which ``kanjiprep score --pattern`` can read."""
    return f"{column.stem}_{picture.name}_seed-{picture.wish.seed}.png"
