"""A LoRA file, inspected before it is published: what it adapts, how strongly, and whether it does at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Final

from kanjiprep.dataset.folder import sha256_of
from kanjiprep.errors import TrainerError, os_reason
from kanjiprep.evaluation.weights import (
    lora_family,
    lora_faults,
    lora_keys,
    lora_pairs,
    lora_settings,
    safetensors_file,
)
from kanjiprep.evaluation.weights.lora_keys import Layout
from kanjiprep.evaluation.weights.lora_pairs import Pair, pairs_of, shapes_of
from kanjiprep.evaluation.weights.lora_settings import Settings
from kanjiprep.evaluation.weights.safetensors_header import Header

_HINTS: Final = ("modelspec.architecture", "ss_base_model_version", "ss_sd_model_name")


@dataclass(frozen=True, slots=True)
class Lora:
    """What a LoRA file holds.

    Attributes:
        path: The file.
        header: Of the file.
        pairs: One a module.
        key_style: How its tensors are named: ``diffusers-peft``, ``diffusers-down-up``, ``base_model.model``,
            ``kohya``, ``lora_transformer``, ``lycoris``, ``diffusion_model`` or ``no prefix``, several if mixed.
        layout: Which kind of model has such modules.
        family: ``sd3 large``, ``sd3 medium``, ``sd3 tiny``, ``sd1x`` or ``unknown``, a guess by names and widths.
        targets: The ends of the modules' names, as in ``lora.targets``.
        blocks: How many blocks have an adapted module.
        tensors: In the file.
        parameters: Numbers in all pairs.
        dtypes: Types of the pairs' numbers.
        bytes: Of the file.
        sha256: Of the file; empty where its numbers were not read.
        not_finite: Tensors with NaN or infinity, of those that were read.
        zero: Whether every product of two matrices is nothing but zeros; not so where they were not read.
        base_model: What the metadata says of the model below, by the metadata's names.
        settings: PEFT's.
        faults: What is wrong with names, shapes and settings, one phrase each.
    """

    path: Path
    header: Header = field(repr=False)
    pairs: tuple[Pair, ...] = field(repr=False)
    key_style: str
    layout: Layout
    family: str
    targets: tuple[str, ...]
    blocks: int
    tensors: int
    parameters: int
    dtypes: tuple[str, ...]
    bytes: int
    sha256: str
    not_finite: tuple[str, ...]
    zero: bool
    base_model: Mapping[str, str]
    settings: Settings = field(repr=False)
    faults: tuple[str, ...]

    @property
    def modules(self) -> int:
        """How many modules are adapted."""
        return len(self.pairs)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of a token, by the attentions of a transformer; one, or none if no attention is adapted."""
        return lora_family.widths(shapes_of(self.pairs, self.header))

    @property
    def rank(self) -> int | None:
        """The rank of all pairs; None if they have several, see ``rank_by_module``."""
        ranks = set(self.rank_by_module.values())
        return ranks.pop() if len(ranks) == 1 else None

    @property
    def rank_by_module(self) -> dict[str, int]:
        """Rank by the module's name."""
        return {pair.module: pair.rank for pair in self.pairs}

    @property
    def alpha(self) -> float | None:
        """The alpha of all pairs; None if the file does not say, or they have several, see ``alpha_by_module``."""
        alphas = {pair.alpha for pair in self.pairs}
        return alphas.pop() if len(alphas) == 1 else None

    @property
    def alpha_by_module(self) -> dict[str, float]:
        """Alpha by the module's name, where the file says it."""
        return {pair.module: pair.alpha for pair in self.pairs if pair.alpha is not None}

    @property
    def finite(self) -> bool:
        """Whether every number of every pair is one."""
        return not self.not_finite


def inspect(path: Path) -> Lora:
    """What a file holds; every number of its pairs is read.

    Raises:
        TrainerError: If it is no .safetensors file, or cannot be read.
    """
    found = outline(path)
    not_finite, zero = _numbers(path, found.header, found.pairs)
    return replace(found, sha256=_sha256(path), not_finite=not_finite, zero=zero)


def outline(path: Path) -> Lora:
    """What the header of a file says, and the alphas beside its pairs: no matrix is read.

    Raises:
        TrainerError: If it is no .safetensors file, or cannot be read.
    """
    header = safetensors_file.read(path)
    settings = lora_settings.read(header.metadata)
    keys = lora_pairs.keys_of(header)
    downs = lora_pairs.downs_of(keys)
    pairs = tuple(lora_pairs.pair_of(key, path, header, settings) for key in downs)
    matrices = [header.tensors[name] for pair in pairs for name in (pair.down, pair.up)]
    kind = lora_keys.layout(pair.module for pair in pairs)
    return Lora(
        path=path,
        header=header,
        pairs=pairs,
        key_style=", ".join(sorted({key.style for key in downs})),
        layout=kind,
        family=lora_family.family(kind, shapes_of(pairs, header)),
        targets=tuple(sorted({lora_keys.target(pair.module) for pair in pairs})),
        blocks=len(lora_keys.blocks(pair.module for pair in pairs)),
        tensors=len(header.tensors),
        parameters=sum(prod(tensor.shape) for tensor in matrices),
        dtypes=tuple(sorted({tensor.dtype for tensor in matrices})),
        bytes=header.data_start + max((tensor.stop for tensor in header.tensors.values()), default=0),
        sha256="",
        not_finite=(),
        zero=False,
        base_model=_base_model(header, settings),
        settings=settings,
        faults=(
            *lora_faults.of_names(header, keys),
            *lora_faults.of_pairs(pairs, header),
            *lora_faults.of_settings(pairs, settings),
        ),
    )


def family_of(path: Path) -> str:
    """The family of a file, as in ``Lora.family``, by its header alone.

    Raises:
        TrainerError: If it is no .safetensors file, or cannot be read.
    """
    header = safetensors_file.read(path)
    pairs = pairs_of(path, header)
    return lora_family.family(lora_keys.layout(pair.module for pair in pairs), shapes_of(pairs, header))


def problems(lora: Lora) -> tuple[str, ...]:
    """What makes a LoRA unfit to be used, one phrase each."""
    if not lora.pairs:
        return (lora_faults.of_nothing(lora.header),)
    found = [*filter(None, (misfit(lora),)), *lora.faults]
    if lora.not_finite:
        found.append(f"NaN or infinity in {lora_faults.listed(lora.not_finite)}")
    elif lora.zero:
        found.append("all its matrices multiply to zero, so it does nothing")
    return tuple(found)


def misfit(lora: Lora) -> str:
    """Why a LoRA is of no model that is known here, a phrase; empty if it may be of one."""
    return lora_family.misfit(lora.layout, shapes_of(lora.pairs, lora.header))


def refuse_unfit(lora: Lora) -> None:
    """Refuse a LoRA that is unfit to be used.

    Raises:
        TrainerError: If it has a problem; all are named.
    """
    if found := problems(lora):
        raise TrainerError(f"unfit: {'; '.join(found)}", str(lora.path), "take another checkpoint")


def _numbers(path: Path, header: Header, pairs: Iterable[Pair]) -> tuple[tuple[str, ...], bool]:
    """Tensors that are not finite, and whether one of the two matrices of every pair is zero."""
    import numpy as np

    not_finite, zero = [], True
    for pair in pairs:
        has_zero = False
        for name in (pair.down, pair.up):
            numbers = safetensors_file.values(path, header, name)
            has_zero |= not numbers.any()
            if not np.isfinite(numbers).all():
                not_finite.append(name)
        zero &= has_zero
    return tuple(not_finite), zero


def _base_model(header: Header, settings: Settings) -> dict[str, str]:
    found = {name: header.metadata[name] for name in _HINTS if header.metadata.get(name)}
    below = settings.words.get("base_model_name_or_path")
    return found | ({"base_model_name_or_path": below} if isinstance(below, str) and below else {})


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise TrainerError(f"cannot be read: {os_reason(error)}", str(path), "check its permissions") from error
