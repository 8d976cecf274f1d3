"""One adapter of a tiny SD3 in every style that programs write, and how far diffusers is from the training side.

The training side is PEFT's own: the same random matrices put into the model by ``add_adapter``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanjiprep.evaluation.weights import safetensors_file
from kanjiprep.evaluation.weights.safetensors_file import Raw
from kanjiprep.publishing.doctor import fixed

Array = NDArray[np.float32]
Weights = Mapping[str, tuple[Array, Array]]
Tensors = dict[str, Raw]

RANK = 4
JOINT = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
MORE = ("net.0.proj", "net.2", "norm1.linear", "norm1_context.linear")
NATIVE = {
    "attn.to_out.0": "x_block.attn.proj",
    "attn.to_add_out": "context_block.attn.proj",
    "attn2.to_out.0": "x_block.attn2.proj",
    "ff.net.0.proj": "x_block.mlp.fc1",
    "ff.net.2": "x_block.mlp.fc2",
    "ff_context.net.0.proj": "context_block.mlp.fc1",
    "ff_context.net.2": "context_block.mlp.fc2",
    "norm1.linear": "x_block.adaLN_modulation.1",
    "norm1_context.linear": "context_block.adaLN_modulation.1",
}
FUSED = {
    "x_block.attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "context_block.attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "x_block.attn2.qkv": ("attn2.to_q", "attn2.to_k", "attn2.to_v"),
}


@dataclass(frozen=True)
class Case:
    """One style.

    Attributes:
        name: In the table.
        alpha: That the adapter is trained with.
        tensors: Of the file.
        metadata: Of the file.
        is_shared: Whether query, key and value share their first matrix, as kohya's fused modules do.
    """

    name: str
    alpha: float
    tensors: Callable[[Weights, str, float], Tensors]
    metadata: Callable[[float], dict[str, str]]
    is_shared: bool = False


def _flat(module: str) -> str:
    return module.replace(".", "_")


def _tensor(array: Any, dtype: str) -> Raw:
    array = np.asarray(array, np.float32)
    return dtype, array.shape, safetensors_file.encode(array, dtype)


def _said(alpha: float) -> dict[str, str]:
    words = {"r": RANK, "lora_alpha": alpha, "target_modules": [*JOINT, *MORE], "lora_dropout": 0.0, "bias": "none"}
    return {"lora_adapter_metadata": json.dumps({f"transformer.{name}": word for name, word in words.items()})}


def _half_said(name: str) -> Callable[[float], dict[str, str]]:
    def said(alpha: float) -> dict[str, str]:
        words = json.loads(_said(alpha)["lora_adapter_metadata"])
        return {
            "lora_adapter_metadata": json.dumps({key: words[key] for key in words if key != f"transformer.{name}"})
        }

    return said


def _silent(alpha: float) -> dict[str, str]:
    return {"format": "pt"}


def _style(name: Callable[[str], str], down: str, up: str, beside: bool = False) -> Any:
    def tensors(pairs: Weights, dtype: str, alpha: float) -> Tensors:
        found: Tensors = {}
        for module, (first, second) in pairs.items():
            found[f"{name(module)}.{down}"] = _tensor(first, dtype)
            found[f"{name(module)}.{up}"] = _tensor(second, dtype)
            if beside:
                found[f"{name(module)}.alpha"] = _tensor(alpha, "F32")
        return found

    return tensors


def _native(is_shared: bool) -> Any:
    """Fused modules: of one first matrix and three second ones above each other, or of three pairs side by side."""

    def tensors(pairs: Weights, dtype: str, alpha: float) -> Tensors:
        found: Tensors = {}
        blocks = sorted({module.split(".")[1] for module in pairs})
        for block in blocks:
            for leaf, native in NATIVE.items():
                _add(found, block, native, pairs.get(f"transformer_blocks.{block}.{leaf}"), dtype, alpha)
            for native, leaves in FUSED.items():
                three = [pairs.get(f"transformer_blocks.{block}.{leaf}") for leaf in leaves]
                if three[0] is not None:
                    whole = _together([one for one in three if one is not None], is_shared)
                    _add(found, block, native, whole, dtype, alpha * (1 if is_shared else len(three)))
        return found

    return tensors


def _add(found: Tensors, block: str, native: str, pair: Any, dtype: str, alpha: float) -> None:
    if pair is None:
        return
    first, second = pair
    if native == "context_block.adaLN_modulation.1" and len(second) == 2 * first.shape[1]:
        second = np.roll(second, len(second) // 2, axis=0)
    stem = f"lora_unet_joint_blocks_{block}_{_flat(native)}"
    found[f"{stem}.lora_down.weight"] = _tensor(first, dtype)
    found[f"{stem}.lora_up.weight"] = _tensor(second, dtype)
    found[f"{stem}.alpha"] = _tensor(alpha, "F32")


def _together(three: list[tuple[Array, Array]], is_shared: bool) -> tuple[Array, Array]:
    if is_shared:
        return three[0][0], np.concatenate([second for _, second in three])
    side = len(three[0][1])
    whole = np.zeros((side * len(three), RANK * len(three)), np.float32)
    for index, (_, second) in enumerate(three):
        whole[index * side : (index + 1) * side, index * RANK : (index + 1) * RANK] = second
    return np.concatenate([first for first, _ in three]), whole


_PEFT = ("lora_A.weight", "lora_B.weight")
_DOTS = ("lora.down.weight", "lora.up.weight")
_KOHYA = ("lora_down.weight", "lora_up.weight")

CASES = (
    Case("PEFT", 4, _style("transformer.{}".format, *_PEFT), _said),
    Case("PEFT, alpha 2 in the metadata", 2, _style("transformer.{}".format, *_PEFT), _said),
    Case("PEFT without target_modules", 4, _style("transformer.{}".format, *_PEFT), _half_said("target_modules")),
    Case("PEFT without lora_alpha", 4, _style("transformer.{}".format, *_PEFT), _half_said("lora_alpha")),
    Case("PEFT without r", 4, _style("transformer.{}".format, *_PEFT), _half_said("r")),
    Case("PEFT, alpha 2 beside", 2, _style("transformer.{}".format, *_PEFT, True), _silent),
    Case("down and up", 4, _style("transformer.{}".format, *_DOTS), _silent),
    Case("down and up, alpha 2 in the metadata", 2, _style("transformer.{}".format, *_DOTS), _said),
    Case("base_model.model", 4, _style("base_model.model.{}".format, *_PEFT), _silent),
    Case("OneTrainer, alpha 2", 2, _style(lambda name: f"lora_transformer_{_flat(name)}", *_KOHYA, True), _silent),
    Case("LyCORIS, alpha 2", 2, _style(lambda name: f"lycoris_{_flat(name)}", *_KOHYA, True), _silent),
    Case("kohya, fused with one A", 4, _native(True), _silent, True),
    Case("kohya, fused with one A, alpha 2", 2, _native(True), _silent, True),
    Case("kohya, fused from three, alpha 2", 2, _native(False), _silent),
    Case("diffusion_model, alpha 2", 2, _style("diffusion_model.{}".format, *_PEFT), _said),
    Case("no prefix", 4, _style("{}".format, *_PEFT), _silent),
    Case(
        "lora_unet_transformer_blocks, alpha 2", 2, _style(lambda n: f"lora_unet_{_flat(n)}", *_KOHYA, True), _silent
    ),
)


class Bench:
    """The tiny pipeline, which takes one adapter after the other."""

    def __init__(self) -> None:
        import torch
        from diffusers import StableDiffusion3Pipeline

        from kanjiprep.training.inside import tiny_model

        torch.manual_seed(0)
        parts: dict[str, Any] = dict.fromkeys(
            ("text_encoder", "text_encoder_2", "text_encoder_3", "tokenizer", "tokenizer_2", "tokenizer_3")
        )
        made = {name: part for name, part in tiny_model.sd3_parts().items() if not name.startswith("text")}
        self.pipe = StableDiffusion3Pipeline(**parts, **made)
        self.model = self.pipe.transformer.eval()
        ends = (*(f"attn.{leaf}" for leaf in JOINT), *(f"attn2.{leaf}" for leaf in JOINT), *MORE)
        self.modules = tuple(name for name, _ in self.model.named_modules() if name.endswith(ends))

    def weights(self, is_shared: bool, seed: int = 1) -> dict[str, tuple[Array, Array]]:
        """Random matrices."""
        random = np.random.default_rng(seed)
        shared: dict[tuple[str, ...], Array] = {}
        found = {}
        for module in self.modules:
            layer = self.model.get_submodule(module)
            fused = (module.rsplit(".", 1)[0], "add" if ".add_" in module else "to")
            first = random.normal(0, 0.15, (RANK, layer.in_features)).astype(np.float32)
            if is_shared and module.endswith(("to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj")):
                first = shared.setdefault(fused, first)
            found[module] = (first, random.normal(0, 0.15, (layer.out_features, RANK)).astype(np.float32))
        return found

    def says(self) -> Array:
        """The model's answer to some latent."""
        import torch

        def random(*shape: int) -> Any:
            return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))

        with torch.no_grad():
            said = self.model(
                random(1, 16, 8, 8), random(1, 5, 64), random(1, 64), torch.tensor([500.0]), return_dict=False
            )
        answer: Array = said[0].numpy()
        return answer

    def trained(self, pairs: Weights, alpha: float) -> Array:
        """What the training side says: PEFT's layers with these matrices."""
        import torch
        from peft import LoraConfig
        from peft.utils import set_peft_model_state_dict

        self.model.add_adapter(LoraConfig(r=RANK, lora_alpha=alpha, target_modules=list(pairs)))
        state = {}
        for module, (first, second) in pairs.items():
            state[f"{module}.lora_A.weight"] = torch.from_numpy(first.astype(np.float32))
            state[f"{module}.lora_B.weight"] = torch.from_numpy(second.astype(np.float32))
        set_peft_model_state_dict(self.model, state)
        said = self.says()
        self.model.unload_lora()
        return said

    def loaded(self, path: Path) -> Array | str:
        """What diffusers says with the file, or why it does not take it."""
        try:
            self.pipe.load_lora_weights(str(path.parent), weight_name=path.name, prefix="transformer")
        except (ValueError, KeyError, RuntimeError, TypeError) as error:
            self.pipe.unload_lora_weights()  # what it began
            return f"{type(error).__name__}: {error}"
        said = self.says()
        self.pipe.unload_lora_weights()
        return said


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        name: The style.
        before: The largest difference to the training side as the file is, or why diffusers does not take it.
        after: The same once it is mended.
        effect: The largest difference between the training side and the model without adapter.
        changes: What was mended.
    """

    name: str
    before: float | str
    after: float
    effect: float
    changes: tuple[str, ...]


def line(bench: Bench, case: Case, dtype: str, folder: Path, out_dtype: str | None = None) -> Line:
    """A file made in a style, loaded, mended and loaded again."""
    pairs = bench.weights(case.is_shared)
    path, out = folder / "before.safetensors", folder / "after.safetensors"
    safetensors_file.write(path, case.tensors(pairs, dtype, case.alpha), case.metadata(case.alpha))
    plain, wanted = bench.says(), bench.trained(pairs, case.alpha)
    before = bench.loaded(path)
    changes = fixed.fix(path, out, None, out_dtype)
    after = bench.loaded(out)
    if isinstance(after, str):
        raise TypeError(after)
    was = before if isinstance(before, str) else float(np.abs(before - wanted).max())
    return Line(case.name, was, float(np.abs(after - wanted).max()), float(np.abs(plain - wanted).max()), changes)
