"""The same picture by every checkpoint: a workflow for each of them and each prompt."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from kanjiprep.errors import TrainerError, UsageError
from kanjiprep.progress import Progress
from kanjiprep.publishing.comfyui.graph import Workflow
from kanjiprep.publishing.comfyui.written import copies, folder, recipe
from kanjiprep.publishing.comfyui.written.copies import Copy, Shape
from kanjiprep.publishing.comfyui.written.folder import Entry
from kanjiprep.publishing.comfyui.written.recipe import Recipe
from kanjiprep.publishing.comfyui.written.wording import Asked
from kanjiprep.publishing.tuned import Tuned

FOLDER: Final = "strip"
"""Of the workflows. kanjiprep publish takes along what is beside it, and nothing of what is in it."""
LORAS: Final = "loras"
PATTERN: Final = "step-{step}_{prompt}.png"
"""Of the pictures, for ``kanjiprep score``."""


@dataclass(frozen=True, slots=True)
class Strip:
    """Workflows for all checkpoints of a run.

    Attributes:
        name: Of the folder in ComfyUI that the LoRAs go into.
        steps: Of the checkpoints.
        workflows: By the names that their pictures get.
        copies: The LoRAs by their names here.
        bytes: Of all LoRAs.
        own_bytes: Of those that cannot share their bytes with the run.
        left_out: Why checkpoints have no workflow, a sentence each.
    """

    name: str
    steps: tuple[int, ...]
    workflows: Mapping[str, Workflow] = field(repr=False)
    copies: Mapping[str, Copy] = field(repr=False)
    bytes: int
    own_bytes: int
    left_out: tuple[str, ...]


def strip(
    every: tuple[Tuned, ...],
    first: Recipe,
    drawn: Callable[[Recipe], Workflow],
    out: Path,
    aside: Path,
    progress: Progress,
    sound: Path | None = None,
) -> Strip:
    """Workflows for ``every`` checkpoint that differ in nothing but the LoRA.

    A file whose header is as that of one that had nothing to be mended is not read any further: what is not finite
    in it shows as a black picture, as in validation.

    Args:
        every: The checkpoints by step.
        first: What a workflow says.
        drawn: Makes the nodes of it.
        out: The folder of the LoRAs' folder.
        aside: Where mended copies are written first.
        progress: Hears of every checkpoint.
        sound: A file that had nothing to be mended, if one is known already.

    Raises:
        TrainerError: If no checkpoint is fit for it.
        UsageError: If a copy cannot be written, or there is no room for all that have to be.
    """
    loras, left_out = _copies(every, out, aside, progress, sound)
    _refuse_cramped(loras, aside)
    there = [one for one in every if _file(one) in loras]
    workflows = {
        f"step-{one.step}_{asked.name}": drawn(_said(first, one, asked)) for one in there for asked in first.prompts
    }
    sizes = [(copy.bytes, copy.is_shared) for copy in loras.values()]
    return Strip(
        name=every[0].name,
        steps=tuple(one.step for one in there if one.step is not None),
        workflows=workflows,
        copies=loras,
        bytes=sum(size for size, _ in sizes),
        own_bytes=sum(size for size, is_shared in sizes if not is_shared),
        left_out=left_out,
    )


def _refuse_cramped(loras: Mapping[str, Copy], aside: Path) -> None:
    """Refuse plain copies that will not fit; mended ones stand in ``aside`` by now."""
    needed = sum(
        one.bytes for one in loras.values() if not one.is_shared and one.file and aside not in one.file.parents
    )
    _refuse_full(needed, aside, "give --out on the disk of the run, where they take no space")


def _refuse_full(needed: int, aside: Path, remedy: str) -> None:
    free = shutil.disk_usage(aside).free
    if needed > free:
        what = f"has {free / 1e9:,.1f} GB free, and copies of the LoRAs take {needed / 1e9:,.1f}"
        raise UsageError(what, str(aside.parent), remedy)


def _said(first: Recipe, one: Tuned, asked: Asked) -> Recipe:
    name = recipe.label(one)
    return replace(first, name=name, lora=f"{one.name}/{name}.safetensors", prompts=(asked,))


def _file(one: Tuned) -> str:
    return f"{LORAS}/{recipe.label(one)}.safetensors"


def _copies(
    every: tuple[Tuned, ...], out: Path, aside: Path, progress: Progress, sound: Path | None
) -> tuple[dict[str, Copy], tuple[str, ...]]:
    before = folder.entries(out)
    shape = copies.shape(sound) if sound else None
    fit: set[Shape] = {shape} if shape else set()
    mended: set[Shape | None] = set()
    found: dict[str, Copy] = {}
    left_out: list[str] = []
    for number, one in enumerate(every, 1):
        try:
            copy = _copy(one, out, aside, before.get(_file(one)), fit)
        except TrainerError as error:
            if number == len(every) and not found:
                raise
            left_out.append(f"the checkpoint of step {one.step} is left out: {error.what}")
        else:
            found[_file(one)] = copy
            if copy.changes and (shape := _shape(one)) not in mended:  # so are the others of this shape
                mended.add(shape)
                others = [other for other in every[number:] if _shape(other) == shape]
                _refuse_full(_to_come(others, out, before), aside, "free some space, or give another --out")
        progress("checkpoints", number, len(every))
    return found, tuple(left_out)


def _shape(one: Tuned) -> Shape | None:
    try:
        return copies.shape(one.path)
    except TrainerError:  # it is left out when its turn comes
        return ()


def _to_come(every: Iterable[Tuned], out: Path, before: Mapping[str, Entry]) -> int:
    """Bytes of those that do not stand where they belong."""
    missing = (one for one in every if copies.standing(one, out / _file(one), before.get(_file(one))) is None)
    return sum(one.path.stat().st_size for one in missing)


def _copy(one: Tuned, out: Path, aside: Path, entry: Entry | None, fit: set[Shape]) -> Copy:
    shape = copies.shape(one.path)
    there, beside = out / _file(one), aside / _file(one)
    if shape is not None and shape in fit:
        return copies.unmended(one, there, beside, entry)
    copy = copies.prepare(one, there, beside, entry)
    if shape is not None and not copy.changes:
        fit.add(shape)
    return copy
