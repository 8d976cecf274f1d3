"""Several LoRAs as one: the weighted sum of what they add, exactly, at the sum of their ranks.

The mean of the first matrices times the mean of the second ones is not the mean of the products, so the matrices are
laid side by side instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Final

from kanjiprep.errors import TrainerError, UsageError, shown
from kanjiprep.evaluation.weights.safetensors_header import ITEM_BYTES
from kanjiprep.publishing.doctor.parts import Part, Source

if TYPE_CHECKING:
    from kanjiprep.publishing.doctor.factors import Delta

_MOST: Final = 1e6
"""A weight; more is a slip of the pen."""

Sizes = dict[str, tuple[float, float]]
"""By module: the squares of the norms of what is added up, and of the sum."""


def weights(text: str | None, count: int) -> tuple[float, ...]:
    """What each file is multiplied by: equal shares unless ``text`` says otherwise, as ``0.7,0.3``.

    Raises:
        UsageError: If it says something else, or not as many numbers as there are files.
    """
    if text is None:
        return (1 / count,) * count
    remedy = f"give {count} numbers with commas between, such as {','.join([f'{1 / count:.3g}'] * count)}"
    try:
        found = tuple(map(float, text.split(",")))
    except ValueError as error:
        raise UsageError(f"{text!r:.60} is no list of numbers", "--weights", remedy) from error
    if len(found) != count:
        raise UsageError(f"{text!r:.60} does not fit {count} files", "--weights", remedy)
    if what := _fault(found):
        raise UsageError(f"{text!r:.60} {what}", "--weights", remedy)
    return found


def _fault(found: Sequence[float]) -> str:
    if not all(map(isfinite, found)):
        return "is not finite"
    if not any(found):
        return "is all zero, so the sum would do nothing"
    return "is too large" if max(map(abs, found)) > _MOST else ""


def joined(sources: Sequence[Source], by: Sequence[float], is_resized: bool, sizes: Sizes) -> Source:
    """The sum of what the files add, each times its weight; nothing is read yet.

    Args:
        sources: Two or more of one family that adapt the same modules.
        by: Their weights.
        is_resized: Whether the sum is made smaller afterwards.
        sizes: Gets the squares of the norms of what is added up and of the sum, by module, when it is read.

    Raises:
        TrainerError: If they differ in family or modules, or the sum of ranks is more than a module can have.
    """
    for other in sources[1:]:
        _refuse_strangers(sources[0], other)
    columns = [{part.module: part for part in one.parts} for one in sources]
    parts = tuple(_sum([column[part.module] for column in columns], by, sizes) for part in sources[0].parts)
    too_many = next((part for part in parts if part.rank > part.most), None)
    if too_many is not None and not is_resized:
        what = f"together they have rank {too_many.rank:,}, and {shown(too_many.module)} can have {too_many.most:,}"
        raise TrainerError(what, str(sources[0].path), "add --resize R")
    return replace(sources[0], parts=parts, is_plain=False)


def left(sizes: Sizes) -> float:
    """The norm of the sum, as a share of the norms of what was added up; 1 if that was nothing."""
    before, after = (sum(pair[index] for pair in sizes.values()) for index in (0, 1))
    return sqrt(max(after, 0.0) / before) if before else 1.0


def _refuse_strangers(one: Source, other: Source) -> None:
    remedy = "merge checkpoints of one run"
    if one.layout != other.layout or len({one.family, other.family} - {"unknown"}) > 1:
        what = f"it is of {_kind(other)}, and {one.path} of {_kind(one)}"
        raise TrainerError(what, str(other.path), remedy)
    sides = [{part.module: (part.inputs, part.outputs) for part in source.parts} for source in (one, other)]
    for module in sorted(sides[0].keys() ^ sides[1].keys())[:1]:
        has, lacks = (one, other) if module in sides[0] else (other, one)
        raise TrainerError(f"it does not adapt {shown(module)}, and {has.path} does", str(lacks.path), remedy)
    for module in sorted(sides[0]):
        if sides[0][module] != sides[1][module]:
            raise TrainerError(f"{shown(module)} is of another size in {one.path}", str(other.path), remedy)


def _kind(source: Source) -> str:
    return {"unet": "a UNet"}.get(source.layout, source.layout) if source.family == "unknown" else source.family


def _sum(parts: Sequence[Part], by: Sequence[float], sizes: Sizes) -> Part:
    return replace(
        parts[0],
        rank=sum(part.rank for part in parts),
        dtype=max((part.dtype for part in parts), key=lambda one: ITEM_BYTES[one]),
        load=_loader(parts, by, sizes),
    )


def _loader(parts: Sequence[Part], by: Sequence[float], sizes: Sizes) -> Callable[[], Delta]:
    def load() -> Delta:
        import numpy as np

        from kanjiprep.publishing.doctor import factors

        found = [factors.exact(part.load(), part.rank) for part in parts]
        roots = [sqrt(abs(weight)) for weight in by]
        signs = [np.sign(weight) for weight in by]
        down = np.concatenate([one.down * root for one, root in zip(found, roots, strict=True)])
        up = [one.up * root * sign for one, root, sign in zip(found, roots, signs, strict=True)]
        whole = factors.Factors(down, np.concatenate(up, axis=1))
        scaled = zip(found, by, strict=True)
        before = sum(weight**2 * factors.norm_squared(one) for one, weight in scaled)
        sizes[parts[0].module] = (before, factors.norm_squared(whole))
        return whole

    return load
