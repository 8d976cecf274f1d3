"""Numbers rounded to a type of a file, and how much that changes them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kanjiprep.errors import TrainerError
from kanjiprep.evaluation.weights import safetensors_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

TYPES: Final = {"bf16": "BF16", "fp16": "F16", "fp32": "F32"}
"""The format's names of types, by those that users say."""


@dataclass(frozen=True, slots=True)
class Rounding:
    """What rounding did to some numbers: the sum of squares of what it changed, and of all of them."""

    error_squared: float
    squared: float


def rounded(numbers: NDArray[Any], dtype: str, where: Path, what: str) -> tuple[memoryview, Rounding]:
    """The bytes of numbers, and what rounding did to them.

    Args:
        numbers: In float32 or float64.
        dtype: The format's name of the type.
        where: The file they are of.
        what: They are, in an error's words.

    Raises:
        TrainerError: If they do not fit into the type, or are none.
    """
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):  # told below
        wanted = numbers.reshape(-1).astype(np.float64)
        data = safetensors_file.encode(wanted.astype(np.float32), dtype)
        error = safetensors_file.decode(data, dtype).astype(np.float64) - wanted
    if not np.isfinite(error).all():
        remedy = "take bf16 or fp32" if dtype == "F16" else "train with alpha = rank"
        raise TrainerError(f"{what} does not fit into {dtype}", str(where), remedy)
    return data, Rounding(float((error**2).sum()), float((wanted**2).sum()))


def share(roundings: Collection[Rounding]) -> float:
    """What rounding changed of all numbers together, as a share of their norm."""
    squared = sum(one.squared for one in roundings)
    return sqrt(sum(one.error_squared for one in roundings) / squared) if squared else 0.0


def told(roundings: Collection[Rounding]) -> str:
    """The same in words."""
    changed = share(roundings)
    return f"rounding changes them by {changed:.2%}" if changed else "this is exact"
