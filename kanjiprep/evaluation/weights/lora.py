"""A LoRA file, inspected before it is published: what it adapts, how strongly, and whether it does at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from math import inf, prod, sqrt
from pathlib import Path
from typing import Final

from kanjiprep.dataset.folder import sha256_of
from kanjiprep.errors import TrainerError, os_reason
from kanjiprep.evaluation.weights import lora_family, lora_keys, lora_settings, safetensors_file
from kanjiprep.evaluation.weights.lora_keys import Key, Layout
from kanjiprep.evaluation.weights.lora_settings import Settings
from kanjiprep.evaluation.weights.safetensors_file import Header, shown

_HINTS: Final = ("modelspec.architecture", "ss_base_model_version", "ss_sd_model_name")
_LYCORIS: Final = (".lokr_", ".hada_", ".oft_", ".boft_")
_SHOWN: Final = 3
_MATRIX: Final = 2


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
        return lora_family.widths(_shapes(self.pairs, self.header))

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
    keys = _keys(header)
    downs = _downs(keys)
    pairs = tuple(_pair(key, path, header, settings) for key in downs)
    matrices = [header.tensors[name] for pair in pairs for name in (pair.down, pair.up)]
    kind = lora_keys.layout(pair.module for pair in pairs)
    return Lora(
        path=path,
        header=header,
        pairs=pairs,
        key_style=", ".join(sorted({key.style for key in downs})),
        layout=kind,
        family=lora_family.family(kind, _shapes(pairs, header)),
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
        faults=(*_name_faults(header, keys), *_pair_faults(pairs, header), *_settings_faults(pairs, settings)),
    )


def pairs_of(path: Path, header: Header) -> tuple[Pair, ...]:
    """The pairs of a file with this header, for whoever needs nothing else of it: no matrix is read.

    Raises:
        TrainerError: If an alpha beside a pair cannot be read.
    """
    settings = lora_settings.read(header.metadata)
    return tuple(_pair(key, path, header, settings) for key in _downs(_keys(header)))


def family_of(path: Path) -> str:
    """The family of a file, as in ``Lora.family``, by its header alone.

    Raises:
        TrainerError: If it is no .safetensors file, or cannot be read.
    """
    header = safetensors_file.read(path)
    pairs = pairs_of(path, header)
    return lora_family.family(lora_keys.layout(pair.module for pair in pairs), _shapes(pairs, header))


def problems(lora: Lora) -> tuple[str, ...]:
    """What makes a LoRA unfit to be used, one phrase each."""
    if not lora.pairs:
        return (_no_lora(lora),)
    found = [*filter(None, (misfit(lora),)), *lora.faults]
    if lora.not_finite:
        found.append(f"NaN or infinity in {_listed(lora.not_finite)}")
    elif lora.zero:
        found.append("all its matrices multiply to zero, so it does nothing")
    return tuple(found)


def misfit(lora: Lora) -> str:
    """Why a LoRA is of no model that is known here, a phrase; empty if it may be of one."""
    return lora_family.misfit(lora.layout, _shapes(lora.pairs, lora.header))


def refuse_unfit(lora: Lora) -> None:
    """Refuse a LoRA that is unfit to be used.

    Raises:
        TrainerError: If it has a problem; all are named.
    """
    if found := problems(lora):
        raise TrainerError(f"unfit: {'; '.join(found)}", str(lora.path), "take another checkpoint")


def _keys(header: Header) -> dict[str, Key]:
    return {name: key for name in header.tensors if (key := lora_keys.parse(name))}


def _downs(keys: Mapping[str, Key]) -> list[Key]:
    """Keys of first matrices that have a second."""
    return [key for name, key in sorted(keys.items()) if key.part == "down" and lora_keys.pair_names(key)[1] in keys]


def _pair(key: Key, path: Path, header: Header, settings: Settings) -> Pair:
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


def _shapes(pairs: Iterable[Pair], header: Header) -> dict[str, tuple[int, ...]]:
    """Of the first matrices, by module."""
    return {pair.module: header.tensors[pair.down].shape for pair in pairs}


def _base_model(header: Header, settings: Settings) -> dict[str, str]:
    found = {name: header.metadata[name] for name in _HINTS if header.metadata.get(name)}
    below = settings.words.get("base_model_name_or_path")
    return found | ({"base_model_name_or_path": below} if isinstance(below, str) and below else {})


def _name_faults(header: Header, keys: Mapping[str, Key]) -> Iterator[str]:
    matrices = {name: key for name, key in keys.items() if key.part != "alpha"}
    lonely = [name for name, key in matrices.items() if not set(lora_keys.pair_names(key)) <= keys.keys()]
    if lonely:
        yield f"one matrix of two is missing beside {_listed(lonely)}"
    alphas = {lora_keys.alpha_name(name) for name in matrices}
    strangers = header.tensors.keys() - matrices.keys() - alphas
    if strangers:
        yield f"it holds more than a LoRA of the model: {_listed(sorted(strangers))}"
    if len({(key.prefix, key.suffix) for key in matrices.values() if key.part == "down"}) > 1:
        yield "its tensors are named in several ways"


def _pair_faults(pairs: Iterable[Pair], header: Header) -> Iterator[str]:
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


def _settings_faults(pairs: Iterable[Pair], settings: Settings) -> Iterator[str]:
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


def _no_lora(lora: Lora) -> str:
    names = sorted(lora.header.tensors)
    if not names:
        return "it holds no tensors"
    if any(word in name for name in names for word in _LYCORIS):
        return f"it holds LyCORIS matrices and no plain LoRA, such as {_listed(names)}"
    return f"it holds no LoRA of a known kind, but {_listed(names)}"


def _listed(names: Collection[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(shown(name) for name in islice(names, _SHOWN)) + more


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise TrainerError(f"cannot be read: {os_reason(error)}", str(path), "check its permissions") from error
