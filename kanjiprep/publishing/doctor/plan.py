"""What a LoRA file has to become, so that diffusers and ComfyUI apply it equally.

Source: What the two do was tried with diffusers 0.42.1 (PEFT 0.21.2) and ComfyUI 0.3.64:

- ComfyUI multiplies by alpha / rank where a number ``<module>.alpha`` is beside the matrices, else by 1. It does
  not read the metadata, which is where diffusers keeps alpha.
- diffusers refuses an sd3 file with such numbers, so there the factor has to go into one of the matrices.
- Of sd1x, ComfyUI reads the names of kohya only. diffusers reads them and their alphas, if all are equal: of several
  it takes one for most modules. It refuses alphas where PEFT's settings are in the metadata.
- PEFT cannot do without rank, alpha and target_modules where there are settings, and refuses those that it does not
  know: what 0.21.2 writes cannot be loaded with 0.18.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kanjiprep.errors import TrainerError, shown
from kanjiprep.evaluation.weights import lora_keys, lora_settings, safetensors_file
from kanjiprep.evaluation.weights.lora import Lora
from kanjiprep.evaluation.weights.lora_pairs import Pair
from kanjiprep.publishing.doctor import native

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

_READ_BY_BOTH: Final = (lora_keys.PEFT, lora_keys.OLD_DIFFUSERS)


@dataclass(frozen=True, slots=True)
class Piece:
    """A matrix of the mended file: an old one, or a part of it.

    Attributes:
        old: Its name in the file.
        rows: From and to; None for all.
        columns: The same.
        is_swapped: Whether the halves of the rows change places.
        by: What it is multiplied by.
    """

    old: str
    rows: tuple[int, int] | None = None
    columns: tuple[int, int] | None = None
    is_swapped: bool = False
    by: float = 1.0

    @property
    def is_whole(self) -> bool:
        """Whether the numbers are those of the file."""
        return self.rows is None and self.columns is None and not self.is_swapped and self.by == 1


@dataclass(frozen=True, slots=True)
class Mended:
    """A pair of the mended file.

    Attributes:
        module: What it adapts.
        names: Of its two matrices.
        pieces: What they are made of.
        rank: Of the pair.
    """

    module: str
    names: tuple[str, str]
    pieces: tuple[Piece, Piece]
    rank: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a mended file is to be.

    Attributes:
        pairs: In the order of the file's.
        alphas: The numbers beside the matrices, by name.
        metadata: Of the file.
    """

    pairs: tuple[Mended, ...]
    alphas: Mapping[str, float]
    metadata: Mapping[str, str]


def plan(lora: Lora, alpha: float | None = None) -> Plan:
    """What has to be done to a LoRA that is fit; nothing is written.

    Args:
        lora: Of which the numbers of fused modules are read.
        alpha: What it was trained with, for a file that does not say.

    Raises:
        TrainerError: If there are no names for its modules that both read, or a matrix cannot be read.
    """
    return _unet(lora, alpha) if lora.layout == "unet" else _transformer(lora, alpha)


def shape(lora: Lora, piece: Piece) -> tuple[int, ...]:
    """Of a piece."""
    whole = lora.header.tensors[piece.old].shape
    spans = (piece.rows, piece.columns)
    parts = (side if span is None else span[1] - span[0] for side, span in zip(whole[:2], spans, strict=True))
    return (*parts, *whole[2:])


def numbers(lora: Lora, piece: Piece) -> Matrix:
    """The numbers of a piece, in its shape.

    Raises:
        TrainerError: If they cannot be read.
    """
    import numpy as np

    found = safetensors_file.values(lora.path, lora.header, piece.old)
    if piece.rows is not None:
        found = found[slice(*piece.rows)]
    if piece.columns is not None:
        found = found[:, slice(*piece.columns)]
    if piece.is_swapped:
        found = np.roll(found, len(found) // 2, axis=0)
    with np.errstate(over="ignore", invalid="ignore"):  # told by whoever writes it
        return found if piece.by == 1 else found * np.float32(piece.by)


def scales(lora: Lora, alpha: float | None) -> dict[Pair, float]:
    """What each pair was trained to be multiplied by."""
    if all(pair.scale is None for pair in lora.pairs) and alpha is not None:
        return {pair: alpha / pair.rank for pair in lora.pairs}
    return {pair: 1.0 if pair.scale is None else pair.scale for pair in lora.pairs}


def _transformer(lora: Lora, alpha: float | None) -> Plan:
    by = scales(lora, alpha)
    has_prefix = lora.layout != "native" and lora.pairs[0].down.startswith("transformer.")
    is_named = has_prefix and lora.key_style in _READ_BY_BOTH
    kept = (_plain(pair, (pair.down, pair.up), by[pair]) for pair in lora.pairs)
    pairs = tuple(kept if is_named else _renamed(lora, by))
    metadata = dict(lora.header.metadata)
    settings = lora.settings
    is_whole = settings.component == "transformer" and not settings.lacking and not settings.superfluous
    is_said = is_whole or lora_settings.KEY not in metadata
    if not (is_named and is_said and set(by.values()) == {1.0}):
        metadata[lora_settings.KEY] = lora_settings.write(settings, {pair.module: pair.rank for pair in pairs})
    return Plan(pairs, {}, metadata)


def _unet(lora: Lora, alpha: float | None) -> Plan:
    by = scales(lora, alpha)
    metadata = {name: word for name, word in lora.header.metadata.items() if name != lora_settings.KEY}
    if len({(pair.rank, factor) for pair, factor in by.items()}) > 1:
        return Plan(tuple(_renamed(lora, by)), {}, metadata)
    pairs = tuple(_renamed(lora, dict.fromkeys(by, 1.0)))
    is_bare = not any(pair.alpha_tensor for pair in lora.pairs) and metadata == lora.header.metadata
    is_named = all(piece.old == name for pair in pairs for piece, name in zip(pair.pieces, pair.names, strict=True))
    if is_bare and set(by.values()) == {1.0} and is_named:
        return Plan(pairs, {}, metadata)
    alphas = {
        lora_keys.alpha_name(pair.names[0]): factor * pair.rank
        for pair, factor in zip(pairs, by.values(), strict=True)
    }
    return Plan(pairs, alphas, metadata)


def _plain(pair: Pair, names: tuple[str, str], by: float) -> Mended:
    module = lora_keys.stem(names[0]).removeprefix("transformer.")
    return Mended(module, names, (Piece(pair.down), Piece(pair.up, by=by)), pair.rank)


def _renamed(lora: Lora, by: Mapping[Pair, float]) -> Iterator[Mended]:
    """The pairs with names that both read, fused ones taken apart."""
    seen: set[str] = set()
    for pair in lora.pairs:
        mended = list(
            _taken_apart(lora, pair, by[pair]) if lora.layout == "native" else _common(lora, pair, by[pair])
        )
        if not mended:
            what = f"there is no name for {shown(pair.module)} that diffusers and ComfyUI both read"
            raise TrainerError(what, str(lora.path), "train with SimpleTuner's lora_type standard")
        names = [name for one in mended for name in one.names]
        if not seen.isdisjoint(names):
            what = "two of its modules have one name without prefix"
            raise TrainerError(what, str(lora.path), "take another checkpoint")
        seen.update(names)
        yield from mended


def _common(lora: Lora, pair: Pair, by: float) -> Iterator[Mended]:
    names = lora_keys.common_names(pair.module, lora.layout)
    if names is not None:
        yield _plain(pair, names, by)


def _taken_apart(lora: Lora, pair: Pair, by: float) -> Iterator[Mended]:
    down, up = (lora.header.tensors[name].shape for name in (pair.down, pair.up))
    is_stacked = native.is_fused(pair.module) and native.stacked(
        safetensors_file.values(lora.path, lora.header, pair.up)
    )
    for share in native.shares(pair.module, down, up, is_stacked):
        names = lora_keys.transformer_names(share.module)
        first = Piece(pair.down, rows=share.inner)
        second = Piece(pair.up, share.rows, share.inner, share.is_swapped, by)
        rank = pair.rank if share.inner is None else share.inner[1] - share.inner[0]
        yield Mended(share.module, names, (first, second), rank)
