"""The adapters of one run: opened without reading their matrices, compared, and a few of their modules chosen."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kanjiprep.errors import TrainerError, shown
from kanjiprep.evaluation.weights import lora_keys, lora_pairs, norm_cache, safetensors_file
from kanjiprep.evaluation.weights.lora_pairs import Pair
from kanjiprep.evaluation.weights.norm_cache import Stamp
from kanjiprep.evaluation.weights.norms import Norms, multiply, norms
from kanjiprep.evaluation.weights.safetensors_header import Header

_REMEDY: Final = "take another checkpoint, or copy this one anew"


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA file, opened.

    Attributes:
        step: Of the run.
        path: The file.
        stamp: Of its state.
        header: Of the file.
        pairs: By module.
    """

    step: int
    path: Path
    stamp: Stamp
    header: Header = field(repr=False)
    pairs: Mapping[str, Pair] = field(repr=False)


def load(step: int, path: Path) -> Adapter:
    """The adapter in a file; no matrix is read.

    Raises:
        TrainerError: If it cannot be read, or holds no LoRA, or one whose matrices do not multiply.
    """
    stamp = norm_cache.stamp_of(path)
    header = safetensors_file.read(path)
    pairs = {pair.module: pair for pair in lora_pairs.pairs_of(path, header)}
    if not pairs:
        raise TrainerError("holds no LoRA of a known kind", str(path), _REMEDY)
    for pair in pairs.values():
        if not multiply(header.tensors[pair.down].shape, header.tensors[pair.up].shape):
            raise TrainerError(f"the matrices of {shown(pair.module)} do not multiply", str(path), _REMEDY)
    return Adapter(step, path, stamp, header, pairs)


def refuse_strangers(adapters: Sequence[Adapter]) -> None:
    """Refuse adapters that are not of one run, since their modules or ranks differ.

    Raises:
        TrainerError: With the first difference.
    """
    wanted = _ranks(adapters[0])
    for other in adapters[1:]:
        for name, rank in sorted(_ranks(other) ^ wanted)[:1]:
            has, lacks = (adapters[0], other) if (name, rank) in wanted else (other, adapters[0])
            what = f"step {has.step:,} adapts {shown(name)} at rank {rank}, and step {lacks.step:,} does not"
            raise TrainerError(what, str(other.path), "give checkpoints of one run")


def read_norms(adapter: Adapter, modules: Iterable[str]) -> dict[str, Norms]:
    """The norms of some modules, one after the other, so that no more than one pair is in memory.

    Raises:
        TrainerError: If a matrix cannot be read, or is of integers or of 8 bits.
    """
    return {module: _norms(adapter, adapter.pairs[module]) for module in modules}


def ordered(modules: Iterable[str]) -> tuple[str, ...]:
    """Names by depth: block 2 before block 10."""
    return tuple(sorted(modules, key=_depth))


def spread(modules: Sequence[str], most: int) -> tuple[str, ...]:
    """At most so many of the modules, in their order: as many of each kind, each kind at depths of its own.

    Args:
        modules: By depth.
        most: How many.
    """
    kinds: dict[str, list[str]] = defaultdict(list)
    for module in modules:
        kinds[lora_keys.target(module)].append(module)
    chosen = set()
    for index, kind in enumerate(sorted(kinds)):
        same = kinds[kind]
        share = min(most // len(kinds) + (index < most % len(kinds)), len(same))
        offset = (index + 0.5) / len(kinds)
        chosen |= {same[int((place + offset) * len(same) / share)] for place in range(share)}
    return tuple(module for module in modules if module in chosen)


def _ranks(adapter: Adapter) -> set[tuple[str, int]]:
    return {(name, pair.rank) for name, pair in adapter.pairs.items()}


def _norms(adapter: Adapter, pair: Pair) -> Norms:
    down, up = (safetensors_file.values(adapter.path, adapter.header, name) for name in (pair.down, pair.up))
    return norms(down, up, 1.0 if pair.scale is None else pair.scale)


def _depth(module: str) -> list[str | int]:
    return [int(part) if part.isascii() and part.isdigit() else part for part in re.split(r"([0-9]+)", module)]
