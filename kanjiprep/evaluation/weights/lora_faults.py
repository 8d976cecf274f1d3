"""What is wrong with a LoRA file, as far as names, shapes and settings tell: one phrase each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from math import inf, prod
from typing import Final

from kanjiprep.errors import shown
from kanjiprep.evaluation.weights import lora_keys, lora_settings
from kanjiprep.evaluation.weights.lora_keys import Key
from kanjiprep.evaluation.weights.lora_pairs import Pair
from kanjiprep.evaluation.weights.lora_settings import Settings
from kanjiprep.evaluation.weights.safetensors_header import Header

_LYCORIS: Final = (".lokr_", ".hada_", ".oft_", ".boft_")
_SHOWN: Final = 3
_MATRIX: Final = 2


def of_names(header: Header, keys: Mapping[str, Key]) -> Iterator[str]:
    """What is wrong with names of tensors, of which ``keys`` are a LoRA's."""
    matrices = {name: key for name, key in keys.items() if key.part != "alpha"}
    lonely = [name for name, key in matrices.items() if not set(lora_keys.pair_names(key)) <= keys.keys()]
    if lonely:
        yield f"one matrix of two is missing beside {listed(lonely)}"
    alphas = {lora_keys.alpha_name(name) for name in matrices}
    strangers = header.tensors.keys() - matrices.keys() - alphas
    if strangers:
        yield f"it holds more than a LoRA of the model: {listed(sorted(strangers))}"
    if len({(key.prefix, key.suffix) for key in matrices.values() if key.part == "down"}) > 1:
        yield "its tensors are named in several ways"


def of_pairs(pairs: Iterable[Pair], header: Header) -> Iterator[str]:
    """What is wrong with shapes and with alphas beside matrices."""
    shapes = {pair.module: (header.tensors[pair.down].shape, header.tensors[pair.up].shape) for pair in pairs}
    yield from _first(
        f"the matrices of {shown(module)} are {list(down)} and {list(up)}, which do not multiply"
        for module, (down, up) in shapes.items()
        if min(len(down), len(up)) < _MATRIX or down[0] != up[1] or not down[0]
    )
    yield from _first(
        f"the alpha of {shown(pair.module)} is no number above 0"
        for pair in pairs
        if pair.alpha_tensor and (prod(header.tensors[pair.alpha_tensor].shape) != 1 or not _is_amount(pair.alpha))
    )


def _is_amount(alpha: float | None) -> bool:
    return alpha is not None and 0 < alpha < inf


def of_settings(pairs: Iterable[Pair], settings: Settings) -> Iterator[str]:
    """What PEFT's settings say otherwise than the matrices."""
    if settings.fault:
        yield f"its {lora_settings.KEY} {settings.fault}"
    said = [(pair, settings.rank_of(pair.module), settings.alpha_of(pair.module)) for pair in pairs]
    yield from _first(
        f"{shown(pair.module)} has the rank {pair.rank}, and the metadata says {rank}"
        for pair, rank, _ in said
        if rank not in (None, pair.rank)
    )
    yield from _first(
        f"{shown(pair.module)} has the alpha {pair.alpha:g}, and the metadata says {alpha:g}"
        for pair, _, alpha in said
        if pair.alpha_tensor and alpha not in (None, pair.alpha)
    )


def _first(phrases: Iterable[str]) -> Iterator[str]:
    found = list(phrases)
    if found:
        yield found[0] + (f", and {len(found) - 1:,} more like it" if len(found) > 1 else "")


def of_nothing(header: Header) -> str:
    """Why a file without any pair is no LoRA."""
    names = sorted(header.tensors)
    if not names:
        return "it holds no tensors"
    if any(word in name for name in names for word in _LYCORIS):
        return f"it holds LyCORIS matrices and no plain LoRA, such as {listed(names)}"
    return f"it holds no LoRA of a known kind, but {listed(names)}"


def listed(names: Collection[str]) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(shown(name) for name in islice(names, _SHOWN)) + more
