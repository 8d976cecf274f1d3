"""A LoRA file mended, so that diffusers and ComfyUI apply it equally.

Source: What the two do was tried with diffusers 0.42.1 (PEFT 0.21.2) and ComfyUI 0.3.64:

- ComfyUI multiplies by alpha / rank where a number ``<module>.alpha`` is beside the matrices, else by 1. It does
  not read the metadata, which is where diffusers keeps alpha.
- diffusers refuses an sd3 file with such numbers, so there the factor has to go into one of the matrices.
- Of sd1x, ComfyUI reads the names of kohya only. diffusers reads them and their alphas, if all are equal: of several
  it takes one for most modules. It refuses alphas where PEFT's settings are in the metadata.
- PEFT refuses settings that it does not know: what 0.21.2 writes cannot be loaded with 0.18.1.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Final

from kanjiprep.errors import TrainerError
from kanjiprep.evaluation.weights import lora as loras
from kanjiprep.evaluation.weights import lora_keys, lora_settings, safetensors_file
from kanjiprep.evaluation.weights.lora import Lora, Pair
from kanjiprep.evaluation.weights.safetensors_file import Raw, shown

_READ_BY_BOTH: Final = (lora_keys.PEFT, lora_keys.OLD_DIFFUSERS)
_NEEDED: Final = frozenset(("r", "lora_alpha"))


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a mended file is to be.

    Attributes:
        names: The new name of every matrix, by the old one.
        factors: What the second matrix of a pair is multiplied by, by its old name.
        alphas: The numbers beside the matrices, by name.
        metadata: Of the file.
    """

    names: Mapping[str, str]
    factors: Mapping[str, float]
    alphas: Mapping[str, float]
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Multiplied:
    """A matrix times a number, rounded; the squares are of what rounding changed, and of all numbers, in sum."""

    data: memoryview
    error_squared: float
    squared: float


def repair(path: Path, out: Path, alpha: float | None = None) -> tuple[str, ...]:
    """Write a copy that diffusers and ComfyUI both load and apply equally, and say what was changed.

    Args:
        path: The LoRA.
        out: The copy; byte for byte if there is nothing to mend.
        alpha: What it was trained with, for a file that does not say.

    Returns:
        One line a change; none if there was nothing to mend.

    Raises:
        TrainerError: If the file is unfit to be published, there are no names for its modules that both read, or
            the copy cannot be written.
    """
    lora = loras.inspect(path)
    loras.refuse_unfit(lora)
    plan = _unet_plan(lora, alpha) if lora.layout == "unet" else _transformer_plan(lora, alpha)
    folded = {name: _multiplied(lora, name, by) for name, by in plan.factors.items() if by != 1}
    changes = (*_naming(plan), *_strength(lora, plan, folded), *_settings(lora, plan, folded))
    if changes:
        safetensors_file.write(out, dict(_tensors(lora, plan, folded)), plan.metadata)
    else:
        safetensors_file.copy(path, out)
    return changes


def _scales(lora: Lora, alpha: float | None) -> dict[Pair, float]:
    """What each pair was trained to be multiplied by."""
    if all(pair.scale is None for pair in lora.pairs) and alpha is not None:
        return {pair: alpha / pair.rank for pair in lora.pairs}
    return {pair: 1.0 if pair.scale is None else pair.scale for pair in lora.pairs}


def _transformer_plan(lora: Lora, alpha: float | None) -> _Plan:
    scales = _scales(lora, alpha)
    has_prefix = lora.layout != "native" and lora.pairs[0].down.startswith("transformer.")
    is_named = has_prefix and lora.key_style in _READ_BY_BOTH
    names = {name: name for pair in lora.pairs for name in (pair.down, pair.up)} if is_named else _new_names(lora)
    metadata = dict(lora.header.metadata)
    settings = lora.settings
    is_whole = settings.component == "transformer" and settings.words.keys() >= _NEEDED and not settings.superfluous
    is_said = is_whole or lora_settings.KEY not in metadata
    if not (is_named and is_said and set(scales.values()) == {1.0}):
        modules = {lora_keys.stem(names[pair.down]).removeprefix("transformer."): pair.rank for pair in lora.pairs}
        metadata[lora_settings.KEY] = lora_settings.write(settings, modules)
    return _Plan(names, {pair.up: by for pair, by in scales.items()}, {}, metadata)


def _unet_plan(lora: Lora, alpha: float | None) -> _Plan:
    scales = _scales(lora, alpha)
    names = _new_names(lora)
    metadata = {name: word for name, word in lora.header.metadata.items() if name != lora_settings.KEY}
    if len({(pair.rank, by) for pair, by in scales.items()}) > 1:
        return _Plan(names, {pair.up: by for pair, by in scales.items()}, {}, metadata)
    is_bare = not any(pair.alpha_tensor for pair in lora.pairs) and metadata == lora.header.metadata
    if is_bare and set(scales.values()) == {1.0} and all(old == new for old, new in names.items()):
        return _Plan(names, {}, {}, metadata)
    alphas = {lora_keys.alpha_name(names[pair.down]): by * pair.rank for pair, by in scales.items()}
    return _Plan(names, {}, alphas, metadata)


def _new_names(lora: Lora) -> dict[str, str]:
    names: dict[str, str] = {}
    for pair in lora.pairs:
        new = lora_keys.common_names(pair.module, lora.layout)
        if new is None:
            what = f"there is no name for {shown(pair.module)} that diffusers and ComfyUI both read"
            raise TrainerError(what, str(lora.path), "train with SimpleTuner's lora_type standard")
        names |= zip((pair.down, pair.up), new, strict=True)
    if len(set(names.values())) < len(names):
        raise TrainerError(
            "two of its modules have one name without prefix", str(lora.path), "take another checkpoint"
        )
    return names


def _multiplied(lora: Lora, name: str, by: float) -> _Multiplied:
    import numpy as np

    dtype = lora.header.tensors[name].dtype
    with np.errstate(over="ignore", invalid="ignore"):  # told below
        wanted = safetensors_file.values(lora.path, lora.header, name).reshape(-1) * np.float32(by)
        data = safetensors_file.encode(wanted, dtype)
        error = safetensors_file.decode(data, dtype).astype(np.float64) - wanted
    if not np.isfinite(error).all():
        what = f"{shown(name)} times {by:g} does not fit into {dtype}"
        raise TrainerError(what, str(lora.path), "train with alpha = rank")
    return _Multiplied(data, float((error**2).sum()), float((wanted.astype(np.float64) ** 2).sum()))


def _tensors(lora: Lora, plan: _Plan, folded: Mapping[str, _Multiplied]) -> Iterator[tuple[str, Raw]]:
    for old, new in plan.names.items():
        tensor = lora.header.tensors[old]
        whole = folded[old].data if old in folded else safetensors_file.raw(lora.path, lora.header, old)
        yield new, (tensor.dtype, tensor.shape, whole)
    for name, alpha in plan.alphas.items():
        yield name, ("F32", (), struct.pack("<f", alpha))


def _naming(plan: _Plan) -> Iterator[str]:
    changed = [(old, new) for old, new in plan.names.items() if old != new]
    if changed:
        old, new = changed[0]
        yield f"renamed {len(changed)} tensors, such as {shown(old)} to {shown(new)}, for diffusers and ComfyUI"


def _strength(lora: Lora, plan: _Plan, folded: Mapping[str, _Multiplied]) -> Iterator[str]:
    if folded:
        factors = sorted({f"{by:g}" for by in plan.factors.values() if by != 1})
        what = f"multiplied {len(folded)} of {len(lora.pairs)} second matrices by {' or '.join(factors[:3])}"
        yield f"{what}, alpha / rank, and set alpha to the rank; {_rounding(folded.values())}"
    has_alphas = any(pair.alpha_tensor for pair in lora.pairs)
    if has_alphas and not plan.alphas:
        yield "left out the alphas beside the matrices, which diffusers does not read as ComfyUI does"
    if plan.alphas and not has_alphas:
        yield f"put alpha {min(plan.alphas.values()):g} beside each pair of matrices, where both read it"


def _rounding(folded: Collection[_Multiplied]) -> str:
    error = sum(one.error_squared for one in folded)
    squared = sum(one.squared for one in folded)
    return f"rounding changes them by {sqrt(error / squared):.2%}" if error else "this is exact"


def _settings(lora: Lora, plan: _Plan, folded: Mapping[str, _Multiplied]) -> Iterator[str]:
    before, after = lora.header.metadata.get(lora_settings.KEY), plan.metadata.get(lora_settings.KEY)
    if before is not None and after is None:
        yield f"left {lora_settings.KEY} out of the metadata, which diffusers refuses beside alphas"
    elif lora.settings.superfluous:
        count = len(lora.settings.superfluous)
        yield f"left {count} settings that say nothing out of {lora_settings.KEY}; older versions of PEFT refuse them"
    elif before != after and not folded:
        yield f"wrote rank and alpha into {lora_settings.KEY} of the metadata"
