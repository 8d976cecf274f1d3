"""A LoRA of a smaller rank: of each module the nearest product, and how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING, Final

from kanjiprep.errors import TrainerError, UsageError, shown
from kanjiprep.progress import Progress
from kanjiprep.publishing.doctor.parts import Part, Source

if TYPE_CHECKING:
    from kanjiprep.publishing.doctor.factors import Delta

_AUTO: Final = "auto:"
_MOST: Final = 100_000


@dataclass(frozen=True, slots=True)
class Wish:
    """How small it is to be: a rank, or a share of the energy that is to be kept.

    Attributes:
        rank: Of every module that has more; None for the smallest that keeps ``energy``.
        energy: Between 0 and 1.
    """

    rank: int | None = None
    energy: float = 1.0


@dataclass(frozen=True, slots=True)
class Loss:
    """What a module lost.

    Attributes:
        module: Its name.
        before: Its rank by its matrices.
        own: Its rank by its singular values.
        after: Its rank now.
        error: The norm of what was lost, as a share of the module's.
        norm: Of the module.
    """

    module: str
    before: int
    own: int
    after: int
    error: float
    norm: float


def wish(text: str) -> Wish:
    """``64``, or ``auto:0.99`` for the smallest rank that keeps 99 % of the energy.

    Raises:
        UsageError: If it is neither.
    """
    remedy = "give a rank, such as 64, or a share of the energy to keep, such as auto:0.99"
    try:
        if text.startswith(_AUTO):
            found = Wish(energy=float(text.removeprefix(_AUTO)))
            is_fit = 0 < found.energy <= 1
        else:
            found = Wish(int(text))
            is_fit = found.rank is not None and 0 < found.rank <= _MOST
    except ValueError as error:
        raise UsageError(f"{text!r:.60} is no rank", "--resize", remedy) from error
    if not is_fit:
        raise UsageError(f"{text!r:.60} is no rank", "--resize", remedy)
    return found


def rank_of(wanted: Wish, whole: Source, progress: Progress) -> int:
    """The rank that is wanted; every module is read where it follows from the energy.

    Energy is the sum of squares of all singular values of all modules together.

    Raises:
        UsageError: If every module of a LoRA has that rank or less already.
        TrainerError: If all of it is zero, or not finite.
    """
    rank = wanted.rank or _of_energy(wanted.energy, whole, progress)
    most = max(part.rank for part in whole.parts)
    if rank >= most and whole.is_plain:
        what = f"its rank is {most}, so nothing would be smaller at rank {rank}"
        raise UsageError(what, str(whole.path), "give a smaller rank")
    return rank


def shrunk(whole: Source, rank: int, losses: list[Loss]) -> Source:
    """The same at a smaller rank; what each module lost is put into ``losses`` when it is read."""
    return replace(whole, parts=tuple(_smaller(part, rank, losses) for part in whole.parts))


def error_of_all(losses: list[Loss]) -> float:
    """The norm of all that was lost, as a share of that of all that was there."""
    total = sum(one.norm**2 for one in losses)
    return sqrt(sum((one.error * one.norm) ** 2 for one in losses) / total) if total else 0.0


def _smaller(part: Part, rank: int, losses: list[Loss]) -> Part:
    after = min(rank, part.rank, part.most)
    return replace(part, rank=after, load=_loader(part, after, losses))


def _loader(part: Part, rank: int, losses: list[Loss]) -> Callable[[], Delta]:
    def load() -> Delta:
        from kanjiprep.publishing.doctor import factors

        delta = part.load()
        if not factors.is_finite(delta):
            return delta  # told by whoever writes it
        if part.rank <= rank and isinstance(delta, factors.Factors):
            squares, found, error = factors.squares(delta), delta, 0.0
        else:
            smaller = factors.best(delta, rank)
            squares, found, error = smaller.squares, smaller.factors, smaller.error
        own, norm = factors.own_rank(squares), sqrt(float(squares.sum()))
        losses.append(Loss(part.module, part.rank, own, rank, error, norm))
        return found

    return load


def _of_energy(energy: float, whole: Source, progress: Progress) -> int:
    import numpy as np

    from kanjiprep.publishing.doctor import factors

    total = np.zeros(max(part.rank for part in whole.parts))
    for index, part in enumerate(whole.parts):
        delta = part.load()
        if not factors.is_finite(delta):
            raise TrainerError(f"NaN or infinity in {shown(part.module)}", str(whole.path), "take another checkpoint")
        squares = factors.squares(delta)
        total[: len(squares)] += squares
        progress("energy of modules", index + 1, len(whole.parts))
    if not total.any():
        raise TrainerError("all of it is zero, so it has no energy", str(whole.path), "take another checkpoint")
    kept = np.cumsum(total) / total.sum()
    return int(np.searchsorted(kept, energy * (1 - 1e-12))) + 1
