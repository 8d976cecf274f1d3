"""The pairs of matrices in a LoRA file, by its header: no matrix is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod, sqrt
from pathlib import Path

from kanjiprep.evaluation.weights import lora_keys, lora_settings, safetensors_file
from kanjiprep.evaluation.weights.lora_keys import Key
from kanjiprep.evaluation.weights.lora_settings import Settings
from kanjiprep.evaluation.weights.safetensors_header import Header


@dataclass(frozen=True, slots=True)
class Pair:
    """The two matrices of one adapted module.

    Attributes:
        module: Its name, with dots, or with underlines where the file has them.
        down: The name of the first matrix, also called A.
        up: The name of the second, also called B.
        alpha_tensor: The name of the number beside them; empty if there is none.
        rank: Rows of the first.
        alpha: What the file says; None where it does not.
        scale: What the product of the two is multiplied by; None where the file does not say.
    """

    module: str
    down: str
    up: str
    alpha_tensor: str
    rank: int
    alpha: float | None
    scale: float | None


def pairs_of(path: Path, header: Header) -> tuple[Pair, ...]:
    """The pairs of a file with this header, for whoever needs nothing else of it: no matrix is read.

    Raises:
        TrainerError: If an alpha beside a pair cannot be read.
    """
    settings = lora_settings.read(header.metadata)
    return tuple(pair_of(key, path, header, settings) for key in downs_of(keys_of(header)))


def keys_of(header: Header) -> dict[str, Key]:
    """What the names of a file say that are of a LoRA, by name."""
    return {name: key for name in header.tensors if (key := lora_keys.parse(name))}


def downs_of(keys: Mapping[str, Key]) -> list[Key]:
    """Keys of first matrices that have a second."""
    return [key for name, key in sorted(keys.items()) if key.part == "down" and lora_keys.pair_names(key)[1] in keys]


def pair_of(key: Key, path: Path, header: Header, settings: Settings) -> Pair:
    """The pair whose first matrix is ``key``.

    Raises:
        TrainerError: If the alpha beside it cannot be read.
    """
    down, up = lora_keys.pair_names(key)
    rank = (header.tensors[down].shape or (0,))[0]
    beside = lora_keys.alpha_name(down)
    tensor = header.tensors.get(beside)
    if tensor is not None and prod(tensor.shape) == 1:
        alpha: float | None = float(safetensors_file.values(path, header, beside).item())
    else:
        alpha = settings.alpha_of(key.module)
    root = sqrt(rank) if settings.is_rank_stabilized and tensor is None else rank
    scale = alpha / root if alpha is not None and rank else None
    return Pair(key.module, down, up, beside if tensor is not None else "", rank, alpha, scale)


def shapes_of(pairs: Iterable[Pair], header: Header) -> dict[str, tuple[int, ...]]:
    """Of the first matrices, by module."""
    return {pair.module: header.tensors[pair.down].shape for pair in pairs}
