"""Modules of SD3 as ComfyUI and kohya's scripts name them, and which of diffusers' modules each of them is.

Source: ComfyUI 0.3.64 patches a tiny SD3 equally by both kinds of names, once they are put together like this.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kanjiprep.evaluation.weights.lora_keys import flat

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FUSED: Final = {
    "x_block.attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "context_block.attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "x_block.attn2.qkv": ("attn2.to_q", "attn2.to_k", "attn2.to_v"),
}
_SAME: Final = {
    "x_block.attn.proj": "attn.to_out.0",
    "context_block.attn.proj": "attn.to_add_out",
    "x_block.attn2.proj": "attn2.to_out.0",
    "x_block.mlp.fc1": "ff.net.0.proj",
    "x_block.mlp.fc2": "ff.net.2",
    "context_block.mlp.fc1": "ff_context.net.0.proj",
    "context_block.mlp.fc2": "ff_context.net.2",
    "x_block.adaLN_modulation.1": "norm1.linear",
    "context_block.adaLN_modulation.1": "norm1_context.linear",
}
_OUTSIDE: Final = {
    "context_embedder": "context_embedder",
    "x_embedder.proj": "pos_embed.proj",
    "t_embedder.mlp.0": "time_text_embed.timestep_embedder.linear_1",
    "t_embedder.mlp.2": "time_text_embed.timestep_embedder.linear_2",
    "y_embedder.mlp.0": "time_text_embed.text_embedder.linear_1",
    "y_embedder.mlp.2": "time_text_embed.text_embedder.linear_2",
    "final_layer.linear": "proj_out",
    "final_layer.adaLN_modulation.1": "norm_out.linear",
}
_IN_BLOCKS: Final = {
    flat(name): (leaves if isinstance(leaves, tuple) else (leaves,)) for name, leaves in {**_FUSED, **_SAME}.items()
}
_ELSEWHERE: Final = {flat(name): module for name, module in _OUTSIDE.items()}
_BLOCK: Final = re.compile(r"joint_blocks_(\d{1,3})_(\w+)")
_THEIR_BLOCK: Final = re.compile(r"transformer_blocks_\d{1,3}_(\w+)")
_THEIR_LEAVES: Final = frozenset(flat(leaf) for leaves in _IN_BLOCKS.values() for leaf in leaves)
_THEIRS: Final = frozenset(map(flat, _OUTSIDE.values()))
_FUSES: Final = 3
_SHIFT_AND_SCALE: Final = 2


@dataclass(frozen=True, slots=True)
class Share:
    """What one of diffusers' modules gets of a native pair.

    Attributes:
        module: Its name, with dots.
        rows: Which rows of the second matrix, from and to; None for all.
        inner: Which part of the rank, from and to; None for all of it.
        is_swapped: Whether the halves of the second matrix change places: ComfyUI has the shift before the scale.
    """

    module: str
    rows: tuple[int, int] | None = None
    inner: tuple[int, int] | None = None
    is_swapped: bool = False


def is_known(module: str) -> bool:
    """Whether a module, named with dots or underlines, is one of SD3 as ComfyUI names them."""
    return bool(_modules(module))


def is_of_diffusers(module: str) -> bool:
    """Whether a module, named with dots or underlines, is one of SD3 as diffusers names them."""
    match = _THEIR_BLOCK.fullmatch(flat(module))
    return flat(module) in _THEIRS or (match is not None and match.group(1) in _THEIR_LEAVES)


def shares(module: str, down: tuple[int, ...], up: tuple[int, ...], is_stacked: bool) -> tuple[Share, ...]:
    """How a native pair is given to diffusers' modules; empty if its name or its shapes are not known.

    Args:
        module: Named with dots or underlines.
        down: Shape of the first matrix.
        up: Shape of the second.
        is_stacked: Whether three smaller pairs lie side by side in it, as ``stacked`` finds.
    """
    modules = _modules(module)
    if len(modules) == 1:
        return (Share(modules[0], is_swapped=_swaps(modules[0], down, up)),)
    if not modules or up[0] != _FUSES * down[1]:
        return ()
    side, third = down[1], down[0] // _FUSES
    inner = [(index * third, (index + 1) * third) if is_stacked else None for index in range(_FUSES)]
    rows = [(index * side, (index + 1) * side) for index in range(_FUSES)]
    return tuple(map(Share, modules, rows, inner))


def is_fused(module: str) -> bool:
    """Whether it is three of diffusers' modules."""
    return len(_modules(module)) == _FUSES


def stacked(up: NDArray[np.float32]) -> bool:
    """Whether the second matrix of a fused pair is three blocks on its diagonal, exactly, and nothing beside them."""
    rows, rank = up.shape
    if rank % _FUSES or rows % _FUSES:
        return False
    side, third = rows // _FUSES, rank // _FUSES
    blocks = up.reshape(_FUSES, side, _FUSES, third)
    return not any(blocks[row, :, column].any() for row in range(_FUSES) for column in range(_FUSES) if row != column)


def _modules(module: str) -> Sequence[str]:
    name = flat(module)
    if name in _ELSEWHERE:
        return (_ELSEWHERE[name],)
    match = _BLOCK.fullmatch(name)
    leaves = _IN_BLOCKS.get(match.group(2), ()) if match else ()
    return tuple(f"transformer_blocks.{match.group(1)}.{leaf}" for leaf in leaves) if match else ()


def _swaps(module: str, down: tuple[int, ...], up: tuple[int, ...]) -> bool:
    """Only the last block's text stream, and the very end, have a shift and a scale and nothing else."""
    is_last = module.endswith("norm1_context.linear") and up[0] == _SHIFT_AND_SCALE * down[1]
    return is_last or module == "norm_out.linear"
