"""How tensors of a LoRA are named: every style that is met, and the two that diffusers and ComfyUI both read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Final, Literal

from kanjiprep.training import models
from kanjiprep.training.shapes import IMAGE_ATTENTION, JOINT_ATTENTION

Part = Literal["down", "up", "alpha"]
Layout = Literal["transformer", "unet", "native", "unknown"]

PEFT: Final = "diffusers-peft"
OLD_DIFFUSERS: Final = "diffusers-down-up"
KOHYA: Final = "kohya"
NO_PREFIX: Final = "no prefix"

_DOTTED: Final = ("transformer.", "unet.", "base_model.model.", "diffusion_model.")
_FLAT: Final = {"lora_unet_": KOHYA, "lora_transformer_": "lora_transformer", "lycoris_": "lycoris"}
_TEXT_ENCODERS: Final = ("text_encoder", "lora_te")
_SUFFIXES: Final = (
    (".lora_A.weight", ".lora_B.weight"),
    (".lora.down.weight", ".lora.up.weight"),
    (".lora_down.weight", ".lora_up.weight"),
)
_PARTS: Final[dict[str, Part]] = {
    ".alpha": "alpha",
    **{down: "down" for down, _ in _SUFFIXES},
    **{up: "up" for _, up in _SUFFIXES},
}

_LAYOUTS: Final[dict[Layout, tuple[str, ...]]] = {
    "transformer": ("transformer_blocks_", "context_embedder", "pos_embed_", "time_text_", "norm_out_", "proj_out"),
    "unet": ("down_blocks_", "mid_block_", "up_blocks_", "conv_in", "conv_out", "time_embedding_"),
    "native": (
        *("joint_blocks_", "x_embedder_", "t_embedder_", "y_embedder_", "final_layer_"),
        *("input_blocks_", "middle_block_", "output_blocks_"),
    ),
}
_IN_BOTH: Final = "context_embedder"
"""A module of sd3 that has this name in diffusers and in ComfyUI."""
_SD3_LEAVES: Final = (
    *(f"attn.{name}" for name in JOINT_ATTENTION),
    *(f"attn2.{name}" for name in IMAGE_ATTENTION),
    *(f"{stream}.net.{name}" for stream in ("ff", "ff_context") for name in ("0.proj", "2")),
    *("norm1.linear", "norm1_context.linear"),
)
_SD3_BLOCK: Final = re.compile(r"transformer_blocks_(\d{1,3})_(\w+)")
_NUMBERED: Final = re.compile(r"joint_blocks[._]\d+[._]")
_BLOCK: Final = re.compile(r"(?:(?:transformer|joint|down|up)_blocks|mid_block)(?:_(?:\d+|attentions|resnets))+")


@dataclass(frozen=True, slots=True)
class Key:
    """A tensor's name, taken apart.

    Attributes:
        style: Which program writes such names.
        prefix: The part of the name that says so.
        module: What is adapted, with dots, or with underlines where the style has them.
        part: Which of its tensors.
        suffix: The part of the name that says so.
    """

    style: str
    prefix: str
    module: str
    part: Part
    suffix: str


def parse(name: str) -> Key | None:
    """The parts of a name, or None if it is of no LoRA of a picture model."""
    suffix = next((end for end in _PARTS if name.endswith(end)), None)
    if suffix is None or name.startswith(_TEXT_ENCODERS):
        return None
    module = name.removesuffix(suffix)
    prefix, bare = parted(module)
    return Key(_style(prefix, suffix), prefix, bare, _PARTS[suffix], suffix)


def parted(name: str) -> tuple[str, str]:
    """A name's prefix that says which program writes it, empty if it has none that is known, and the rest."""
    prefix = next((start for start in chain(_DOTTED, _FLAT) if name.startswith(start)), "")
    return prefix, name.removeprefix(prefix)


def _style(prefix: str, suffix: str) -> str:
    if prefix in _FLAT:
        return _FLAT[prefix]
    if prefix in ("transformer.", "unet."):
        return OLD_DIFFUSERS if suffix.startswith(".lora.") else PEFT
    return prefix.removesuffix(".") or NO_PREFIX


def pair_names(key: Key) -> tuple[str, str]:
    """The names of the two matrices of a pair, from the key of one of them."""
    down, up = next(pair for pair in _SUFFIXES if key.suffix in pair)
    return f"{key.prefix}{key.module}{down}", f"{key.prefix}{key.module}{up}"


def stem(name: str) -> str:
    """The name of a matrix without the part that says which it is."""
    return next(name.removesuffix(end) for end in _PARTS if name.endswith(end))


def alpha_name(name: str) -> str:
    """The name of the alpha that would be beside a matrix."""
    return f"{stem(name)}.alpha"


def flat(module: str) -> str:
    """A module's name with underlines for dots."""
    return module.replace(".", "_")


def layout(modules: Iterable[str]) -> Layout:
    """Which kind of model has modules of such names; ``native`` are names of ComfyUI's own models.

    Names of one kind only are of that kind.
    """
    names = set(map(flat, modules))
    found = {_layout(name) for name in names - {_IN_BOTH}} or {_layout(name) for name in names}
    return found.pop() if len(found) == 1 else "unknown"


def _layout(module: str) -> Layout:
    kinds = (kind for kind, starts in _LAYOUTS.items() if module.startswith(starts))
    return next(kinds, "unknown")


def blocks(modules: Iterable[str]) -> frozenset[str]:
    """The blocks that modules are in: transformer blocks of sd3, attentions of sd1x."""
    found = (_BLOCK.match(flat(module)) for module in modules)
    return frozenset(match.group() for match in found if match)


def target(module: str) -> str:
    """The name that PEFT, and ``lora.targets``, have for modules like this one: the end of its name."""
    known = (name for name in _target_names() if f"_{flat(module)}".endswith(f"_{flat(name)}"))
    return max(known, key=len, default=_end(module))


def _end(module: str) -> str:
    return _NUMBERED.sub("", module) if _NUMBERED.match(module) else module.rpartition(".")[2]


def is_attention(module: str) -> bool:
    """Whether a module of sd3 has as many channels in as a token, being of an attention."""
    return target(module) in JOINT_ATTENTION or flat(module).endswith("_attn_qkv")


def reads_text(module: str) -> bool:
    """Whether a module of a UNet has as many channels in as a token of the text."""
    return flat(module).endswith(("_attn2_to_k", "_attn2_to_v"))


@cache
def _target_names() -> frozenset[str]:
    shapes = (models.model_of("sd3", "medium"), models.model_of("sd1x", "1.5"))
    return frozenset(layer.name for model in shapes for layer in model.layers)


def _dotted(module: str) -> str | None:
    """The name with dots of a module of sd3; None if underlines hide which it is."""
    if "." in module or module in ("context_embedder", "proj_out"):
        return module
    match = _SD3_BLOCK.fullmatch(module)
    leaf = next((leaf for leaf in _SD3_LEAVES if match and flat(leaf) == match.group(2)), None)
    return f"transformer_blocks.{match.group(1)}.{leaf}" if match and leaf else None


def common_names(module: str, kind: Layout) -> tuple[str, str] | None:
    """The names of a pair that diffusers and ComfyUI both read; None if there are none that are known.

    Source: Tried with diffusers 0.42.1 and ComfyUI 0.3.64. Of ``unet.`` names ComfyUI reads none, of
    ``lora_unet_`` names of sd3 neither reads any.
    """
    if kind == "unet" and ".processor." not in module:
        return f"lora_unet_{flat(module)}.lora_down.weight", f"lora_unet_{flat(module)}.lora_up.weight"
    name = _dotted(module) if kind == "transformer" else None
    return None if name is None else transformer_names(name)


def transformer_names(module: str) -> tuple[str, str]:
    """The names of a pair of a transformer, of which the module is named with dots, that both read."""
    return f"transformer.{module}.lora_A.weight", f"transformer.{module}.lora_B.weight"
