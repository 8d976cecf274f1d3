"""A LoRA file examined: what it is, what reads it, what is wrong with it and what to do about that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from kanjiprep.errors import shown
from kanjiprep.evaluation.weights import lora as loras
from kanjiprep.evaluation.weights import lora_settings
from kanjiprep.evaluation.weights.lora import Lora
from kanjiprep.progress import Progress, silent
from kanjiprep.publishing.doctor import lycoris, numbers, readers
from kanjiprep.publishing.doctor.numbers import Numbers
from kanjiprep.publishing.doctor.readers import Reading
from kanjiprep.training import models

Verdict = Literal["sound", "to be mended", "unfit"]

_WIDE_TYPES: Final = frozenset(("F32", "F64"))
_TYPES: Final = _WIDE_TYPES | {"F16", "BF16"}
_LONGEST: Final = 120
_MEND: Final = "mend a copy with --fix"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a user should know.

    Attributes:
        what: It is.
        remedy: What to do about it; empty if nothing has to be done.
    """

    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Examined:
    """What is known of a file.

    Attributes:
        path: The file.
        verdict: ``sound``: diffusers and ComfyUI apply it as trained; ``to be mended``: a copy can; or ``unfit``.
        kind: ``LoRA``, what LyCORIS calls it, or empty.
        family: As ``Lora.family`` has it.
        rank: Of all modules; None if they differ.
        ranks: From the smallest to the largest.
        alpha: Of all modules; None if they differ, or nobody says.
        alpha_from: Where alpha is said: ``beside the matrices``, ``metadata``, ``run`` or ``nowhere``.
        scale: What the products are multiplied by; None if it is not known.
        targets: The ends of the modules' names.
        modules: How many are adapted.
        blocks: How many blocks are.
        of_blocks: How many the model has; None if it is not known.
        dtypes: Of the numbers.
        bytes: Of the file.
        parameters: Numbers in all pairs.
        key_style: How tensors are named.
        base_model: What the metadata says of the model below.
        metadata: What else it says, shortened.
        comfyui: What ComfyUI makes of the file.
        diffusers: What diffusers makes of it.
        problems: What makes it unfit.
        warnings: What else a user should know.
        numbers: What they say; None if they were not read.
    """

    path: Path
    verdict: Verdict
    kind: str
    family: str
    rank: int | None
    ranks: tuple[int, int] | None
    alpha: float | None
    alpha_from: str
    scale: float | None
    targets: tuple[str, ...]
    modules: int
    blocks: int
    of_blocks: int | None
    dtypes: tuple[str, ...]
    bytes: int
    parameters: int
    key_style: str
    base_model: Mapping[str, str]
    metadata: Mapping[str, str]
    comfyui: Reading
    diffusers: Reading
    problems: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    numbers: Numbers | None


def examine(path: Path, is_deep: bool = False, progress: Progress = silent, alpha: float | None = None) -> Examined:
    """What a file is.

    Args:
        path: The file.
        is_deep: Whether every number is read too, which takes as long as reading the file and a little more.
        progress: Hears how many modules were read.
        alpha: What its run was told, for a file that does not say.

    Raises:
        TrainerError: If it is no .safetensors file, or cannot be read.
    """
    lora, read, is_of_run = _looked_at(path, is_deep, alpha)
    other = lycoris.parse(lora.header)
    said = numbers.read(lora, progress) if is_deep else None
    problems = tuple(_problems(lora, other, said))
    warnings = () if problems else tuple(_warnings(lora, *read))
    return Examined(
        path=path,
        verdict="unfit" if problems else _verdict(*read),
        kind=" and ".join(other.kinds) if other else "LoRA" if lora.pairs else "",
        family=lora.family,
        rank=lora.rank,
        ranks=_ranks(lora),
        alpha=lora.alpha,
        alpha_from="run" if is_of_run else _alpha_from(lora),
        scale=_scale(lora),
        targets=lora.targets,
        modules=lora.modules,
        blocks=lora.blocks,
        of_blocks=_of_blocks(lora),
        dtypes=lora.dtypes,
        bytes=lora.bytes,
        parameters=lora.parameters,
        key_style=lora.key_style,
        base_model={name: _short(word) for name, word in lora.base_model.items()},
        metadata=_metadata(lora),
        comfyui=read[0],
        diffusers=read[1],
        problems=problems,
        warnings=warnings,
        numbers=said,
    )


def _looked_at(path: Path, is_deep: bool, alpha: float | None) -> tuple[Lora, tuple[Reading, Reading], bool]:
    """The file, who reads it and how, and whether its alpha is that of its run."""
    lora = loras.inspect(path) if is_deep else loras.outline(path)
    of_run = None if lora.alpha_by_module or not lora.pairs else alpha
    return _trained_with(lora, of_run), _readings(lora, of_run), of_run is not None


def _readings(lora: Lora, alpha: float | None) -> tuple[Reading, Reading]:
    """ComfyUI's and diffusers'."""
    if why := loras.misfit(lora):
        return readers.nothing(lora, why), readers.nothing(lora, why)
    own = (readers.comfyui(lora), readers.diffusers(lora))
    return readers.with_alpha(own[0], lora, alpha), readers.with_alpha(own[1], lora, alpha)


def _trained_with(lora: Lora, alpha: float | None) -> Lora:
    if alpha is None:
        return lora
    pairs = (replace(pair, alpha=alpha, scale=alpha / pair.rank if pair.rank else None) for pair in lora.pairs)
    return replace(lora, pairs=tuple(pairs))


def _verdict(*readings: Reading) -> Verdict:
    return "sound" if all(one.is_right for one in readings) else "to be mended"


def _ranks(lora: Lora) -> tuple[int, int] | None:
    ranks = lora.rank_by_module.values()
    return (min(ranks), max(ranks)) if ranks else None


def _scale(lora: Lora) -> float | None:
    scales = {pair.scale for pair in lora.pairs}
    return scales.pop() if len(scales) == 1 else None


def _alpha_from(lora: Lora) -> str:
    if any(pair.alpha_tensor for pair in lora.pairs):
        return "beside the matrices"
    return "metadata" if lora.alpha_by_module else "nowhere"


def _of_blocks(lora: Lora) -> int | None:
    family, _, flavour = lora.family.partition(" ")
    return models.model_of(family, flavour).blocks if family == "sd3" else None


def _short(word: str) -> str:
    flat = " ".join(word.split())
    return "".join(letter for letter in flat[:_LONGEST] if letter.isprintable()) + ("..." if flat[_LONGEST:] else "")


def _metadata(lora: Lora) -> dict[str, str]:
    told = {*lora.base_model, lora_settings.KEY, "format"}
    return {_short(name): _short(word) for name, word in sorted(lora.header.metadata.items()) if name not in told}


def _problems(lora: Lora, other: lycoris.Lycoris | None, said: Numbers | None) -> Iterator[Finding]:
    found = loras.problems(lora)
    if other is not None and set(other.kinds) <= {"LoKr", "LoHa"} and not lora.pairs:
        count = f"{len(other.modules)} module{'' if len(other.modules) == 1 else 's'}"
        what = f"it is {' and '.join(other.kinds)} of LyCORIS, {count}, which diffusers does not read"
        yield Finding(what, "make a LoRA of it with --resize R")
        return
    remedy = "give one for SD3 or SD1.5" if loras.misfit(lora) else "take another checkpoint"
    for what in found:
        yield Finding(what, remedy)
    if said is not None and said.too_large:
        what = f"what it adds to {shown(said.too_large[0])} is larger than float16 has numbers for"
        more = len(said.too_large) - 1
        yield Finding(what + (f", and to {more:,} more modules" if more else ""), "take an earlier checkpoint")
    strange = sorted(set(lora.dtypes) - _TYPES)
    if strange:
        yield Finding(f"its numbers are of type {' and '.join(strange)}", "take one in F32, F16 or BF16")


def _warnings(lora: Lora, comfyui: Reading, diffusers: Reading) -> Iterator[Finding]:
    for name, reading in (("ComfyUI", comfyui), ("diffusers", diffusers)):
        if reading.modules < reading.of:
            yield Finding(f"{name} patches {reading.modules} of {reading.of} modules: {reading.why}", _MEND)
        elif reading.why:
            yield Finding(f"{name}: {reading.why}", _MEND)
    if lora.settings.superfluous:
        count = len(lora.settings.superfluous)
        what = f"older versions of PEFT refuse {count} of the settings in {lora_settings.KEY}, which say nothing"
        yield Finding(what, _MEND)
    if lora.alpha is None and not lora.alpha_by_module:
        yield Finding(
            "it does not say alpha, so alpha = rank is assumed", "give --alpha if it was trained with another"
        )
    if lora.family == "unknown":
        width = f", since its attention has {lora.widths[0]:,} channels" if lora.widths else ""
        yield Finding(f"it fits no model that is known here{width}", "")
    if _WIDE_TYPES & set(lora.dtypes):
        yield Finding("its numbers take 32 bits or more", "halve the file with --fix --dtype bf16")
