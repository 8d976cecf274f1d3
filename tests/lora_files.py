"""LoRA files written by hand in every style, and what diffusers and ComfyUI make of a file, re-stated.

Source of the rules: diffusers 0.42.1 and ComfyUI 0.3.64 were asked with files like these; test_lora.py in
tests/trainer asks diffusers again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanjiprep.evaluation.weights import safetensors_file
from kanjiprep.evaluation.weights.safetensors_file import Raw

Array = NDArray[np.float32]
Weights = Mapping[str, tuple[Array, Array]]

SD3 = tuple(f"transformer_blocks.{block}.attn.{name}" for block in (0, 1) for name in ("to_q", "to_k", "to_out.0"))
UNET = tuple(
    f"down_blocks.{block}.attentions.0.transformer_blocks.0.{name}"
    for block in (0, 1)
    for name in ("attn1.to_q", "attn2.to_k", "attn1.to_out.0")
)
PEFT = ("lora_A.weight", "lora_B.weight")
DOTS = ("lora.down.weight", "lora.up.weight")
KOHYA = ("lora_down.weight", "lora_up.weight")


def flat(module: str) -> str:
    return module.replace(".", "_")


STYLES: Mapping[str, tuple[Callable[[str], str], tuple[str, str]]] = {
    "diffusers-peft": (lambda module: f"transformer.{module}", PEFT),
    "diffusers-down-up": (lambda module: f"transformer.{module}", DOTS),
    "base_model.model": (lambda module: f"base_model.model.{module}", PEFT),
    "kohya": (lambda module: f"lora_unet_{flat(module)}", KOHYA),
    "lora_transformer": (lambda module: f"lora_transformer_{flat(module)}", KOHYA),
    "lycoris": (lambda module: f"lycoris_{flat(module)}", KOHYA),
    "diffusion_model": (lambda module: f"diffusion_model.{module}", PEFT),
    "no prefix": (lambda module: module, PEFT),
}


def weights(modules: Iterable[str] = SD3, rank: int = 4, width: int = 64, seed: int = 0) -> dict[str, Any]:
    """Random matrices whose numbers bf16 has exactly."""
    random = np.random.default_rng(seed)

    def matrix(*shape: int) -> Array:
        return (random.integers(-128, 128, shape) / np.float32(64)).astype(np.float32)

    return {module: (matrix(rank, width), matrix(width, rank)) for module in modules}


def tensor(array: Any, dtype: str = "BF16") -> Raw:
    array = np.asarray(array, np.float32)
    return dtype, array.shape, safetensors_file.encode(array, dtype)


def named(pairs: Weights, style: str, alpha: float | None = None, dtype: str = "BF16") -> dict[str, Raw]:
    """The tensors of a file; ``alpha`` is put beside every pair."""
    name, (down, up) = STYLES[style]
    found: dict[str, Raw] = {}
    for module, (first, second) in pairs.items():
        found |= {f"{name(module)}.{down}": tensor(first, dtype), f"{name(module)}.{up}": tensor(second, dtype)}
        found |= {f"{name(module)}.alpha": tensor(alpha, "F32")} if alpha is not None else {}
    return found


def said(component: str = "transformer", **words: object) -> dict[str, str]:
    """Metadata with settings of PEFT, which name the modules unless ``target_modules`` is said to be None."""
    words = {"target_modules": ["to_q", "to_k", "to_out.0"]} | words
    words = {key: word for key, word in words.items() if key != "target_modules" or word is not None}
    return {"format": "pt", "lora_adapter_metadata": json.dumps({f"{component}.{key}": words[key] for key in words})}


def write(path: Path, tensors: Mapping[str, Raw], metadata: Mapping[str, str] | None = None) -> Path:
    safetensors_file.write(path, tensors, {"format": "pt"} if metadata is None else metadata)
    return path


def everything(path: Path) -> tuple[dict[str, Array], Mapping[str, str]]:
    header = safetensors_file.read(path)
    return {name: safetensors_file.values(path, header, name) for name in header.tensors}, header.metadata


def comfyui(path: Path, modules: Iterable[str]) -> dict[str, Array]:
    """What ComfyUI adds to the weights of each module: alpha / rank if an alpha is beside the pair, else once."""
    tensors, _ = everything(path)
    found = {}
    for module in modules:
        is_unet = module.startswith("down_blocks")
        stems = [f"lycoris_{flat(module)}", f"lora_unet_{flat(module)}" if is_unet else f"transformer.{module}"]
        stems += [] if is_unet else [f"base_model.model.{module}", f"lora_transformer_{flat(module)}"]
        for stem in stems:
            for down, up in (PEFT, DOTS, KOHYA):
                if f"{stem}.{up}" in tensors:
                    first, second = tensors[f"{stem}.{down}"], tensors[f"{stem}.{up}"]
                    rank = first.shape[0]
                    found[module] = second @ first * (tensors.get(f"{stem}.alpha", np.float32(rank)) / rank)
    return found


def diffusers(path: Path, modules: Iterable[str]) -> dict[str, Array] | str:
    """What diffusers adds to the weights of each module, or what it says if it refuses the file."""
    tensors, metadata = everything(path)
    is_kohya = all(name.startswith("lora_unet_") for name in tensors)
    alphas = {name.removesuffix(".alpha"): value for name, value in tensors.items() if name.endswith(".alpha")}
    if not is_kohya and not all("lora" in name for name in tensors):
        return "Invalid LoRA checkpoint"
    if is_kohya and alphas and "lora_adapter_metadata" in metadata:
        return "both network_alphas and metadata"
    if len(set(map(float, alphas.values()))) > 1:
        return "one alpha of several"
    words = json.loads(metadata.get("lora_adapter_metadata", "{}"))
    if "lora_adapter_metadata" in metadata and not any(name.endswith(".target_modules") for name in words):
        return "KeyError: 'model_type'"
    found = {}
    for module in modules:
        is_unet = module.startswith("down_blocks")
        stem = (
            f"lora_unet_{flat(module)}"
            if is_kohya and is_unet
            else f"{'unet' if is_unet else 'transformer'}.{module}"
        )
        for down, up in (PEFT, DOTS, KOHYA):
            if f"{stem}.{up}" in tensors:
                first, second = tensors[f"{stem}.{down}"], tensors[f"{stem}.{up}"]
                found[module] = second @ first * _peft_scale(module, first.shape[0], words, alphas.get(stem))
    return found


def _peft_scale(module: str, rank: int, words: Mapping[str, Any], beside: Array | None) -> float:
    if not words:
        return 1.0 if beside is None else float(beside) / rank
    words = {name.removeprefix("transformer.").removeprefix("unet."): value for name, value in words.items()}
    patterns = {**words.get("alpha_pattern", {})}
    alpha = next((patterns[name] for name in patterns if module.endswith(name)), words["lora_alpha"])
    return float(alpha / (rank**0.5 if words.get("use_rslora") else rank))
