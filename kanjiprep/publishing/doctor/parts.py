"""A LoRA file as what it adds to each module, read when it is needed, and written one module at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kanjiprep.errors import TrainerError, shown
from kanjiprep.evaluation.weights import lora as loras
from kanjiprep.evaluation.weights import lora_keys, lora_settings, safetensors_file
from kanjiprep.evaluation.weights.lora import Lora
from kanjiprep.evaluation.weights.lora_keys import Layout
from kanjiprep.evaluation.weights.lora_settings import Settings
from kanjiprep.evaluation.weights.safetensors_file import Promised
from kanjiprep.evaluation.weights.safetensors_header import ITEM_BYTES, Header
from kanjiprep.progress import Progress
from kanjiprep.publishing.doctor import lycoris, rounding
from kanjiprep.publishing.doctor.lycoris import Lycoris
from kanjiprep.publishing.doctor.plan import Mended, numbers, plan, shape
from kanjiprep.publishing.doctor.rounding import Rounding

if TYPE_CHECKING:
    from kanjiprep.publishing.doctor.factors import Delta, Factors, Wide

_STALE: Final = ("sshs_", "modelspec.hash_sha256")
_NETWORK: Final = ("ss_network_dim", "ss_network_alpha")


@dataclass(frozen=True, slots=True)
class Part:
    """What is added to one module.

    Attributes:
        module: Its name, the same however the file names it.
        names: Of the two matrices that diffusers and ComfyUI read.
        rank: Of what is added, at most.
        inputs: Of the module: channels, and the sides of a convolution.
        outputs: Of the module.
        dtype: The format's name of the type of its numbers.
        load: Reads it.
    """

    module: str
    names: tuple[str, str]
    rank: int
    inputs: tuple[int, ...]
    outputs: int
    dtype: str
    load: Callable[[], Delta]

    @property
    def most(self) -> int:
        """The largest rank that anything added to the module can have."""
        return min(self.outputs, prod(self.inputs))


@dataclass(frozen=True, slots=True)
class Source:
    """A LoRA, opened.

    Attributes:
        path: The file.
        family: As ``Lora.family`` has it.
        layout: Which kind of model has such modules.
        parts: By module, in the order of the file.
        metadata: Of the file.
        settings: PEFT's.
        is_plain: Whether it is one LoRA, and no sum and nothing else.
    """

    path: Path
    family: str
    layout: Layout
    parts: tuple[Part, ...]
    metadata: Mapping[str, str]
    settings: Settings
    is_plain: bool = True


def source(path: Path, alpha: float | None = None) -> Source:
    """A file opened; every number of a LoRA is looked at, and none is kept.

    Args:
        path: A LoRA, a LoKr or a LoHa.
        alpha: What it was trained with, for a file that does not say.

    Raises:
        TrainerError: If it is unfit, or there are no names for its modules that diffusers and ComfyUI both read.
    """
    header = safetensors_file.read(path)
    other = lycoris.parse(header)
    if other is not None:
        return _lycoris(path, header, other)
    lora = loras.inspect(path)
    loras.refuse_unfit(lora)
    todo = plan(lora, alpha)
    parts = tuple(_part(lora, pair, todo.alphas) for pair in todo.pairs)
    layout: Layout = "unet" if lora.layout == "unet" else "transformer"
    return Source(path, lora.family, layout, parts, header.metadata, lora.settings)


def write(out: Path, whole: Source, dtype: str | None, progress: Progress) -> tuple[Rounding, ...]:
    """A file with alpha as large as the rank, which diffusers and ComfyUI read; what rounding did to its numbers.

    Raises:
        TrainerError: If a number does not fit into its type, or the file cannot be written.
    """
    found: list[Rounding] = []
    read = lru_cache(maxsize=1)(partial(_factors, whole, progress))
    tensors = dict(_tensors(whole, dtype, read, found))
    safetensors_file.write(out, tensors, _metadata(whole))
    return tuple(found)


def _part(lora: Lora, pair: Mended, alphas: Mapping[str, float]) -> Part:
    down, up = (shape(lora, piece) for piece in pair.pieces)
    beside = alphas.get(lora_keys.alpha_name(pair.names[0]))
    types = (lora.header.tensors[piece.old].dtype for piece in pair.pieces)
    return Part(
        module=pair.module,
        names=pair.names,
        rank=pair.rank,
        inputs=down[1:],
        outputs=up[0],
        dtype=max(types, key=lambda one: ITEM_BYTES[one]),
        load=partial(_load, lora, pair, 1.0 if beside is None else beside / pair.rank),
    )


def _load(lora: Lora, pair: Mended, scale: float) -> Delta:
    from kanjiprep.publishing.doctor.factors import Factors

    down, up = (numbers(lora, piece).astype("float64") for piece in pair.pieces)
    return Factors(down.reshape(len(down), -1), up.reshape(len(up), -1) * scale)


def _lycoris(path: Path, header: Header, found: Lycoris) -> Source:
    lycoris.refuse_others(path, header, found)
    parts = tuple(_lycoris_part(path, header, found, module) for module in sorted(found.modules))
    settings = lora_settings.read(header.metadata)
    return Source(path, "unknown", found.layout, parts, header.metadata, settings, is_plain=False)


def _lycoris_part(path: Path, header: Header, found: Lycoris, module: str) -> Part:
    tensors = found.modules[module]
    names = lora_keys.common_names(module, found.layout)
    if names is None:
        what = f"there is no name for {shown(module)} that diffusers and ComfyUI both read"
        raise TrainerError(what, str(path), "train with SimpleTuner's lora_type standard")
    inputs, outputs = lycoris.sides(header, tensors)
    types = (header.tensors[name].dtype for part, name in tensors.items() if part != "alpha")
    return Part(
        module=lora_keys.stem(names[0]).removeprefix("transformer."),
        names=names,
        rank=lycoris.rank(header, tensors),
        inputs=(inputs,),
        outputs=outputs,
        dtype=max(types, key=lambda one: ITEM_BYTES[one]),
        load=lycoris.loader(path, header, tensors),
    )


def _factors(whole: Source, progress: Progress, index: int) -> Factors:
    from kanjiprep.publishing.doctor import factors

    part = whole.parts[index]
    found = part.load()
    if not factors.is_finite(found):
        what = f"NaN or infinity in {shown(part.module)}"
        raise TrainerError(what, str(whole.path), "take another checkpoint")
    progress("modules", index + 1, len(whole.parts))
    return factors.exact(found, part.rank)


def _tensors(
    whole: Source, dtype: str | None, read: Callable[[int], Factors], found: list[Rounding]
) -> Iterator[tuple[str, Promised]]:
    for index, part in enumerate(whole.parts):
        kind = dtype or part.dtype
        points = (1,) * (len(part.inputs) - 1)
        down, up = (part.rank, *part.inputs), (part.outputs, part.rank, *points)
        yield part.names[0], (kind, down, partial(_made, whole, index, 0, kind, read, found))
        yield part.names[1], (kind, up, partial(_made, whole, index, 1, kind, read, found))


def _made(
    whole: Source, index: int, which: int, dtype: str, read: Callable[[int], Factors], found: list[Rounding]
) -> memoryview:
    factors = read(index)
    matrix: Wide = (factors.down, factors.up)[which]
    data, error = rounding.rounded(matrix, dtype, whole.path, shown(whole.parts[index].names[which]))
    found.append(error)
    return data


def _metadata(whole: Source) -> dict[str, str]:
    """Without hashes of what was, and with the ranks that are."""
    ranks = {part.module: part.rank for part in whole.parts}
    found = {name: word for name, word in whole.metadata.items() if not name.startswith(_STALE)}
    found |= {name: str(max(ranks.values())) for name in _NETWORK if name in found}
    found.pop(lora_settings.KEY, None)
    if whole.layout != "unet":
        found[lora_settings.KEY] = lora_settings.write(whole.settings, ranks)
    return found
