"""Copies of LoRA files that are mended, made smaller or added up: where they go, and what was done."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from kanjiprep.errors import TrainerError, UsageError
from kanjiprep.evaluation.weights import lora_pairs, safetensors_file
from kanjiprep.evaluation.weights.safetensors_file import SUFFIX
from kanjiprep.progress import Progress
from kanjiprep.publishing.doctor import fixed, lycoris, merged, parts, resized, rounding
from kanjiprep.publishing.doctor.parts import Source
from kanjiprep.publishing.doctor.resized import Loss, Wish
from kanjiprep.publishing.tuned import Tuned
from kanjiprep.training.running.attempts import WEIGHTS

_DUST: Final = 1e-4
"""A sum of less than this share of what was added up is what rounding left over."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a copy is to be.

    Attributes:
        out: The file; None for a name beside the first one that is given.
        resize: Its rank; None for the one that it has.
        weights: What each file is multiplied by, as ``merged.weights`` reads it; None for equal shares.
        alpha: What a file was trained with that does not say; None for what its run was told.
        dtype: The format's name of the type of its numbers; None for the one that they have.
    """

    out: Path | None = None
    resize: Wish | None = None
    weights: str | None = None
    alpha: float | None = None
    dtype: str | None = None


@dataclass(frozen=True, slots=True)
class Copied:
    """What was written.

    Attributes:
        out: The file.
        bytes: Of the file.
        changes: One line each.
        rank: The largest of a module; None if it was only mended.
        error: The norm of what a smaller rank lost, as a share; None if the rank was left.
        worst: The module that lost most, by its share.
        lower_before: The share of modules whose rank was smaller already.
        losses: What each module lost.
    """

    out: Path
    bytes: int
    changes: tuple[str, ...]
    rank: int | None = None
    error: float | None = None
    worst: Loss | None = None
    lower_before: float | None = None
    losses: tuple[Loss, ...] = ()


def fix(found: Tuned, order: Order, progress: Progress) -> Copied:
    """A mended copy.

    Raises:
        UsageError: If ``order.out`` is no file that may be written, or ``order.alpha`` is not what the file says.
        TrainerError: If the file is unfit or of LyCORIS, or the copy cannot be written.
    """
    _refuse_idle_alpha([found], order.alpha)
    out = place([found], order.out, "fixed")
    other = lycoris.parse(safetensors_file.read(found.path))
    if other is not None:
        what = f"it is {' and '.join(other.kinds)} of LyCORIS, which no other names make a LoRA"
        raise TrainerError(what, str(found.path), "make a LoRA of LoKr or LoHa with --resize R")
    changes = fixed.fix(found.path, out, _alpha(found, order), order.dtype, progress)
    return Copied(out, out.stat().st_size, changes)


def resize(found: Tuned, order: Order, progress: Progress) -> Copied:
    """A copy of a smaller rank.

    Raises:
        UsageError: If ``order.out`` is no file that may be written, or ``order.alpha`` is not what the file says.
        TrainerError: If the file is unfit, its rank is no larger, or the copy cannot be written.
    """
    _refuse_idle_alpha([found], order.alpha)
    wanted = order.resize or Wish()
    suffix = "auto" if wanted.rank is None else f"r{wanted.rank}"
    out = place([found], order.out, suffix)
    return _written(parts.source(found.path, _alpha(found, order)), out, order, progress, ())


def merge(found: Sequence[Tuned], order: Order, progress: Progress) -> Copied:
    """The weighted sum of several.

    Raises:
        UsageError: If there is only one, the weights do not fit, or ``order.out`` is no file that may be written.
        TrainerError: If a file is unfit, they do not belong together or cancel each other out, or the sum cannot be
            written.
    """
    if len(found) < 2:  # noqa: PLR2004
        raise UsageError("one file alone is nothing to add up", "--merge", "give two or more")
    by = merged.weights(order.weights, len(found))
    _refuse_idle_alpha(found, order.alpha)
    out = place(found, order.out, "merged")
    sources = [parts.source(one.path, _alpha(one, order)) for one in found]
    sizes: merged.Sizes = {}
    whole = merged.joined(sources, by, order.resize is not None, sizes)
    named = ", ".join(f"{weight:.4g} of {one.path}" for weight, one in zip(by, found, strict=True))
    rank = max(part.rank for part in whole.parts)
    changes = (f"added up {named}, at rank {rank:,}, the sum of theirs",)
    copied = _written(whole, out, order, progress, changes)
    if (left := merged.left(sizes)) < _DUST:
        out.unlink()  # it was written here and now
        what = f"they cancel each other out: their sum has {left:.1g} of their size"
        raise TrainerError(what, ", ".join(str(one.path) for one in found), "give other --weights")
    return copied


def place(found: Sequence[Tuned], out: Path | None, word: str) -> Path:
    """Where a copy goes: beside the file that was given, or here if a run or a folder was.

    Raises:
        UsageError: If that is no new .safetensors file in a folder that is there.
    """
    first = found[0]
    name = first.name if first.step is None else f"{first.name}-{first.step}"
    is_file = first.run is None and (first.path.name != WEIGHTS or first.name == Path(WEIGHTS).stem)
    path = out or (
        (first.path.parent if is_file else Path()) / f"{first.path.stem if is_file else name}-{word}{SUFFIX}"
    )
    if path.suffix != SUFFIX:
        raise UsageError(f"is no {SUFFIX} file", f"--out {path}", f"give a name that ends in {SUFFIX}")
    with suppress(OSError, ValueError):
        if path.exists() or path.is_symlink():
            raise UsageError("exists already, and nothing is overwritten", str(path), "give another --out")
    if not path.parent.is_dir():
        raise UsageError("there is no such folder", str(path.parent), "make it, or give another --out")
    return path


def _refuse_idle_alpha(found: Sequence[Tuned], alpha: float | None) -> None:
    """An alpha that no file takes, since all of them say another."""
    if alpha is None:
        return
    said = [{pair.alpha for pair in lora_pairs.pairs_of(one.path, safetensors_file.read(one.path))} for one in found]
    if all(alphas and alphas not in ({None}, {alpha}) for alphas in said):
        first = sorted(one for one in said[0] if one is not None)
        what = (
            f"{alpha:g} would do nothing: the file says alpha {' and '.join(f'{one:g}' for one in first[:3])} itself"
        )
        raise UsageError(what, f"--alpha, {found[0].path}", "leave it out")


def _alpha(found: Tuned, order: Order) -> float | None:
    return found.alpha if order.alpha is None else order.alpha


def _written(whole: Source, out: Path, order: Order, progress: Progress, changes: tuple[str, ...]) -> Copied:
    losses: list[Loss] = []
    rank = max(part.rank for part in whole.parts)
    if order.resize is not None:
        rank = resized.rank_of(order.resize, whole, progress)
        whole = resized.shrunk(whole, rank, losses)
    roundings = parts.write(out, whole, order.dtype, progress)
    types = {order.dtype or part.dtype for part in whole.parts}
    told = f"wrote its numbers as {' and '.join(sorted(types))}; {rounding.told(roundings)}"
    copied = Copied(out, out.stat().st_size, (*changes, told), max(part.rank for part in whole.parts))
    if order.resize is None:
        return copied
    return replace(
        copied,
        error=resized.error_of_all(losses),
        worst=max(losses, key=lambda loss: loss.error),
        lower_before=sum(loss.own < rank for loss in losses) / len(losses),
        losses=tuple(losses),
    )
