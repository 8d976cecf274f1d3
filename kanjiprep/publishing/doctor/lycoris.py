"""LoKr and LoHa: adapters that are no plain product of two matrices, read as what they add."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from kanjiprep.errors import TrainerError, shown
from kanjiprep.evaluation.weights import lora_keys, safetensors_file
from kanjiprep.evaluation.weights.lora_keys import Layout
from kanjiprep.evaluation.weights.safetensors_header import Header
from kanjiprep.publishing.doctor.factors import Delta, Factors, Kronecker

if TYPE_CHECKING:
    from kanjiprep.publishing.doctor.factors import Wide

_KINDS: Final = {"lokr_": "LoKr", "hada_": "LoHa", "oft_": "OFT", "boft_": "BOFT", "glora_": "GLoRA", "dora_": "DoRA"}
_READ: Final = ("LoKr", "LoHa")
_ALPHA: Final = "alpha"
_MATRIX: Final = 2


@dataclass(frozen=True, slots=True)
class Lycoris:
    """The modules of a file that LyCORIS wrote.

    Attributes:
        kinds: What they are, such as ``LoKr``.
        modules: The names of a module's tensors, by the last part of their names, by module without prefix.
        prefix: That the names of all tensors begin with.
        layout: Which kind of model has such modules.
    """

    kinds: tuple[str, ...]
    modules: Mapping[str, Mapping[str, str]]
    prefix: str
    layout: Layout


def parse(header: Header) -> Lycoris | None:
    """What LyCORIS wrote into a file with this header; None if it did not."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    kinds: set[str] = set()
    prefixes: set[str] = set()
    for name in header.tensors:
        stem, _, part = name.rpartition(".")
        prefix, module = lora_keys.parted(stem)
        kind = next((kind for start, kind in _KINDS.items() if part.startswith(start)), None)
        if kind or part == _ALPHA:
            found[module][part] = name
            prefixes.add(prefix)
            kinds |= {kind} if kind else set()
    if not kinds:
        return None
    prefix = prefixes.pop() if len(prefixes) == 1 else ""
    return Lycoris(tuple(sorted(kinds)), dict(found), prefix, lora_keys.layout(found))


def refuse_others(path: Path, header: Header, found: Lycoris) -> None:
    """Refuse what is not LoKr or LoHa of plain matrices, and nothing else.

    Raises:
        TrainerError: With the first tensor that is something else.
    """
    others = [kind for kind in found.kinds if kind not in _READ]
    if others:
        what = f"it is {' and '.join(others)}, which is no sum that a LoRA could stand for"
        raise TrainerError(what, str(path), "train with SimpleTuner's lora_type standard")
    known = {name for parts in found.modules.values() for name in parts.values()}
    strange = sorted(header.tensors.keys() - known)
    strange += sorted(
        name for parts in found.modules.values() if not _is_whole(header, parts) for name in parts.values()
    )
    strange += sorted(name for name in known if prod(header.tensors[name].shape) != 1 and name.endswith(f".{_ALPHA}"))
    if strange:
        what = f"{shown(strange[0])} is no matrix of LoKr or LoHa that is known"
        raise TrainerError(what, str(path), "train with SimpleTuner's lora_type standard")


def _is_whole(header: Header, parts: Mapping[str, str]) -> bool:
    """Whether its matrices are there and multiply."""
    shapes = {part: header.tensors[name].shape for part, name in parts.items() if part != _ALPHA}
    words = [word for word in _words(shapes) if word in shapes or {f"{word}_a", f"{word}_b"} <= shapes.keys()]
    if len(words) < len(_words(shapes)) or any(len(one) != _MATRIX or 0 in one for one in shapes.values()):
        return False
    factored = [word for word in words if word not in shapes]
    if any(shapes[f"{word}_a"][1] != shapes[f"{word}_b"][0] for word in factored):
        return False
    return words[0].startswith("lokr") or len({_sides(shapes, word) for word in words}) == 1


def loader(path: Path, header: Header, parts: Mapping[str, str]) -> partial[Delta]:
    """A function that reads what one module adds."""
    return partial(_read, path, header, parts)


def sides(header: Header, parts: Mapping[str, str]) -> tuple[int, int]:
    """How many numbers go into a module, and how many come out of it."""
    shapes = {part: header.tensors[name].shape for part, name in parts.items()}
    pairs = [_sides(shapes, one) for one in _words(shapes)]
    if "hada_w1_a" in shapes:
        return pairs[0][1], pairs[0][0]
    return prod(pair[1] for pair in pairs), prod(pair[0] for pair in pairs)


def rank(header: Header, parts: Mapping[str, str]) -> int:
    """The largest rank that what it adds can have."""
    shapes = {part: header.tensors[name].shape for part, name in parts.items()}
    return prod(_rank(shapes, one) for one in _words(shapes))


def _words(shapes: Mapping[str, object]) -> tuple[str, str]:
    kind = "hada" if "hada_w1_a" in shapes else "lokr"
    return f"{kind}_w1", f"{kind}_w2"


def _sides(shapes: Mapping[str, tuple[int, ...]], word: str) -> tuple[int, int]:
    if word in shapes:
        return shapes[word][0], shapes[word][1]
    return shapes[f"{word}_a"][0], shapes[f"{word}_b"][1]


def _rank(shapes: Mapping[str, tuple[int, ...]], word: str) -> int:
    if word in shapes:
        return min(shapes[word])
    inner = shapes[f"{word}_a"][1]
    return inner if word.startswith("hada") else min(inner, shapes[f"{word}_a"][0], shapes[f"{word}_b"][1])


def _read(path: Path, header: Header, parts: Mapping[str, str]) -> Delta:
    wide: dict[str, Wide] = {
        part: safetensors_file.values(path, header, name).astype(np.float64) for part, name in parts.items()
    }
    scale = _scale(wide)
    if "hada_w1_a" in wide:
        return Factors(*_hadamard(wide, scale))
    first, second = (_product(wide, word) for word in ("lokr_w1", "lokr_w2"))
    return Kronecker(first * scale, second)


def _product(wide: Mapping[str, Wide], word: str) -> Wide:
    return wide[word] if word in wide else wide[f"{word}_a"] @ wide[f"{word}_b"]


def _scale(wide: Mapping[str, Wide]) -> float:
    """Alpha / rank, where there is a rank: of two whole matrices there is none."""
    ranks = [len(wide[name]) for name in ("lokr_w2_b", "lokr_w1_b", "hada_w1_b") if name in wide]
    return float(wide[_ALPHA].item()) / ranks[0] if ranks and _ALPHA in wide else 1.0


def _hadamard(wide: Mapping[str, Wide], scale: float) -> tuple[Wide, Wide]:
    """Two products, number by number: one product, with every pair of columns and of rows multiplied."""
    a_first, b_first, a_second, b_second = (wide[f"hada_{word}"] for word in ("w1_a", "w1_b", "w2_a", "w2_b"))
    up = (a_first[:, :, None] * a_second[:, None, :]).reshape(len(a_first), -1)
    down = (b_first[:, None, :] * b_second[None, :, :]).reshape(-1, b_first.shape[1])
    return down, up * scale
