"""A LoRA file mended: names, strength, settings and type of numbers."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path

from kanjiprep.errors import shown
from kanjiprep.evaluation.weights import lora as loras
from kanjiprep.evaluation.weights import lora_keys, lora_settings, safetensors_file
from kanjiprep.evaluation.weights.lora import Lora
from kanjiprep.evaluation.weights.safetensors_file import Promised
from kanjiprep.progress import Progress, silent
from kanjiprep.publishing.doctor import rounding
from kanjiprep.publishing.doctor.plan import Mended, Piece, Plan, numbers, plan, shape
from kanjiprep.publishing.doctor.rounding import Rounding

_Roundings = dict[str, list[Rounding]]
"""By what was done: ``strength`` or ``type``."""


def fix(
    path: Path, out: Path, alpha: float | None = None, dtype: str | None = None, progress: Progress = silent
) -> tuple[str, ...]:
    """Write a copy that diffusers and ComfyUI both load and apply equally, and say what was changed.

    Args:
        path: The LoRA.
        out: The copy; byte for byte if there is nothing to mend.
        alpha: What it was trained with, for a file that does not say.
        dtype: The format's name of the type that its numbers get; None for the one that they have.
        progress: Hears how many matrices are written.

    Returns:
        One line a change; none if there was nothing to mend.

    Raises:
        TrainerError: If the file is unfit, there are no names for its modules that both read, its
            numbers do not fit into the type, or the copy cannot be written.
    """
    lora = loras.inspect(path)
    loras.refuse_unfit(lora)
    todo = plan(lora, alpha)
    found: _Roundings = defaultdict(list)
    if not changes(lora, todo, dtype, found):
        safetensors_file.copy(path, out)
        return ()
    safetensors_file.write(out, dict(_tensors(lora, todo, dtype, found, _counted(todo, progress))), todo.metadata)
    return changes(lora, todo, dtype, found)


def changes(
    lora: Lora, todo: Plan, dtype: str | None = None, found: Mapping[str, Collection[Rounding]] | None = None
) -> tuple[str, ...]:
    """What is to be changed, or was, one line each.

    Args:
        lora: The file.
        todo: What becomes of it.
        dtype: The type that its numbers get.
        found: How its numbers were rounded, if it was written.
    """
    told = found or {}
    return (
        *_naming(todo),
        *_strength(lora, todo, told.get("strength", ())),
        *_settings(lora, todo),
        *_type(lora, dtype, told.get("type", ())),
    )


def _counted(todo: Plan, progress: Progress) -> Callable[[], None]:
    total, done = 2 * len(todo.pairs), 0

    def count() -> None:
        nonlocal done
        done += 1
        progress("matrices", done, total)

    return count


def _tensors(
    lora: Lora, todo: Plan, dtype: str | None, found: _Roundings, count: Callable[[], None]
) -> Iterator[tuple[str, Promised]]:
    for pair in todo.pairs:
        for piece, name in zip(pair.pieces, pair.names, strict=True):
            kind = dtype or lora.header.tensors[piece.old].dtype
            yield name, (kind, shape(lora, piece), partial(_made, lora, piece, kind, found, count))
    for name, alpha in todo.alphas.items():
        yield name, ("F32", (), partial(struct.pack, "<f", alpha))


def _made(lora: Lora, piece: Piece, dtype: str, found: _Roundings, count: Callable[[], None]) -> bytes | memoryview:
    count()
    has_type = dtype == lora.header.tensors[piece.old].dtype
    if piece.is_whole and has_type:
        return safetensors_file.raw(lora.path, lora.header, piece.old)
    times = "" if piece.by == 1 else f" times {piece.by:g}"
    data, error = rounding.rounded(numbers(lora, piece), dtype, lora.path, f"{shown(piece.old)}{times}")
    found["strength" if has_type and piece.by != 1 else "type"].append(error)
    return data


def _naming(todo: Plan) -> Iterator[str]:
    named = [(piece, name) for pair in todo.pairs for piece, name in zip(pair.pieces, pair.names, strict=True)]
    plain = [(piece.old, name) for piece, name in named if piece.old != name and piece.rows is None]
    fused = [pair for pair in todo.pairs if pair.pieces[1].rows is not None]
    renamed = [(old, name) for old, name in plain if old not in {pair.pieces[0].old for pair in fused}]
    if renamed:
        old, new = renamed[0]
        yield f"renamed {len(renamed)} tensors, such as {shown(old)} to {shown(new)}, for diffusers and ComfyUI"
    yield from _splitting(fused)
    if any(pair.pieces[1].is_swapped for pair in todo.pairs):
        yield "swapped shift and scale where diffusers has the scale first"


def _splitting(fused: Collection[Mended]) -> Iterator[str]:
    if not fused:
        return
    wholes = sorted({pair.pieces[1].old for pair in fused})
    stacked = {pair.pieces[1].old for pair in fused if pair.pieces[0].rows is not None}
    how = f", {len(stacked)} of them at a third of the rank, since they were three in one" if stacked else ""
    such = shown(lora_keys.stem(wholes[0]))
    yield f"split {len(wholes)} fused modules, such as {such}, into query, key and value{how}, which loses nothing"


def _strength(lora: Lora, todo: Plan, found: Collection[Rounding]) -> Iterator[str]:
    factors = [pair.pieces[1].by for pair in todo.pairs if pair.pieces[1].by != 1]
    if factors:
        some = sorted({f"{by:g}" for by in factors})[:3]
        what = f"multiplied {len(factors)} of {len(todo.pairs)} second matrices by {' or '.join(some)}"
        yield f"{what}, alpha / rank, and set alpha to the rank; {rounding.told(found)}"
    has_alphas = any(pair.alpha_tensor for pair in lora.pairs)
    if has_alphas and not todo.alphas:
        yield "left out the alphas beside the matrices, which diffusers does not read as ComfyUI does"
    if todo.alphas and not has_alphas:
        yield f"put alpha {min(todo.alphas.values()):g} beside each pair of matrices, where both read it"


def _settings(lora: Lora, todo: Plan) -> Iterator[str]:
    before, after = lora.header.metadata.get(lora_settings.KEY), todo.metadata.get(lora_settings.KEY)
    is_told = any(pair.pieces[1].by != 1 for pair in todo.pairs)
    if before is not None and after is None:
        yield f"left {lora_settings.KEY} out of the metadata, which diffusers refuses beside alphas"
        return
    if lora.settings.superfluous:
        count = len(lora.settings.superfluous)
        yield f"left {count} settings that say nothing out of {lora_settings.KEY}; older versions of PEFT refuse them"
    if before not in (None, after) and lora.settings.lacking:
        yield f"wrote rank, alpha and target_modules into {lora_settings.KEY} of the metadata, which diffusers needs"
    elif before != after and not is_told and not lora.settings.superfluous:
        yield f"wrote rank and alpha into {lora_settings.KEY} of the metadata"


def _type(lora: Lora, dtype: str | None, found: Collection[Rounding]) -> Iterator[str]:
    others = [one for one in lora.dtypes if one != dtype]
    if dtype is not None and others:
        yield f"wrote its numbers as {dtype}, not {' and '.join(others)}; {rounding.told(found)}"
