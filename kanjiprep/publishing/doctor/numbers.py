"""What the numbers of a LoRA file say: whether they are numbers, and how large what they add is."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod, sqrt
from statistics import median
from typing import Final

from kanjiprep.evaluation.weights import safetensors_file
from kanjiprep.evaluation.weights.lora import Lora
from kanjiprep.progress import Progress

_LARGEST: Final = 65504.0
"""The largest number that float16 has. Weights of a model are below 10, so what adds more destroys any."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What the numbers of a file say.

    Attributes:
        not_finite: How many matrices have NaN or infinity.
        zero_modules: How many modules are multiplied to nothing but zeros.
        least: The smallest Frobenius norm of what is added to a module that is not zero, with its scale.
        median: Of these norms.
        most: The largest.
        most_module: Whose it is.
        spectral: The largest singular value of all.
        sha256: Of the file.
        too_large: Modules to which numbers are added that float16 does not have.
    """

    not_finite: int
    zero_modules: int
    least: float
    median: float
    most: float
    most_module: str
    spectral: float
    sha256: str
    too_large: tuple[str, ...] = ()


def read(lora: Lora, progress: Progress) -> Numbers:
    """What the numbers of ``lora`` say; every one is read, a module at a time.

    Args:
        lora: The file, with its alphas.
        progress: Hears how many modules were read.

    Raises:
        TrainerError: If they cannot be read.
    """
    from kanjiprep.evaluation.weights.norms import multiply, norms

    found, sides = {}, {}
    for index, pair in enumerate(lora.pairs):
        down, up = (safetensors_file.values(lora.path, lora.header, name) for name in (pair.down, pair.up))
        if multiply(down.shape, up.shape):
            sides[pair.module] = len(up) * prod(down.shape[1:])
            found[pair.module] = norms(down, up, 1.0 if pair.scale is None else pair.scale)
        progress("modules", index + 1, len(lora.pairs))
    sizes = {module: one.frobenius for module, one in found.items() if one.frobenius > 0}
    most = max(sizes, key=lambda module: sizes[module], default="")
    return Numbers(
        not_finite=len(lora.not_finite),
        zero_modules=sum(one.frobenius == 0 for one in found.values()),
        least=min(sizes.values(), default=0.0),
        median=median(sizes.values()) if sizes else 0.0,
        most=sizes.get(most, 0.0),
        most_module=most,
        spectral=max((found[module].spectral for module in sizes), default=0.0),
        sha256=lora.sha256,
        # The largest number of a matrix is no less than the root of the mean square.
        too_large=tuple(name for name, size in sizes.items() if size > _LARGEST * sqrt(sides[name])),
    )
