"""Runs under the trainer's Python: makes LoRA files as SimpleTuner does, and applies mended ones with diffusers.

A JSON line in, a JSON line out: first the folder to make files in, then the path of each file to apply, by name.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler, StableDiffusion3Pipeline, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.training_utils import _collate_lora_metadata
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict

SAFETENSORS = importlib.import_module("safetensors.torch")
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # libraries print to stdout
RANK = 4
TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]
NAME = "pytorch_lora_weights.safetensors"
Say = Callable[[Any], torch.Tensor]


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def unet_pipeline() -> Any:
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(16, 32), layers_per_block=1, cross_attention_dim=32, norm_num_groups=8,
        attention_head_dim=2, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    parts = dict.fromkeys(("vae", "text_encoder", "tokenizer", "safety_checker", "feature_extractor"))
    schedule = DDIMScheduler(clip_sample=False, steps_offset=1)
    return StableDiffusionPipeline(unet=unet, scheduler=schedule, requires_safety_checker=False, **parts)


def apply_sd3(model: Any) -> torch.Tensor:
    time = torch.tensor([500.0])
    return model(random(1, 16, 8, 8), random(1, 5, 64), random(1, 64), time, return_dict=False)[0]


def apply_unet(model: Any) -> torch.Tensor:
    return model(random(1, 4, 8, 8), 500, random(1, 5, 32), return_dict=False)[0]


def make(pipe: Any, part: str, say: Say, alpha: float, folder: Path) -> torch.Tensor:
    """Save an adapter as SimpleTuner does, and give what the model says with its product added to the weights."""
    model = getattr(pipe, part)
    model.add_adapter(LoraConfig(r=RANK, lora_alpha=alpha, target_modules=TARGETS))
    generator = torch.Generator().manual_seed(int(alpha))
    layers = get_peft_model_state_dict(model)
    layers = {name: (torch.randn(w.shape, generator=generator) * 0.2).bfloat16() for name, w in layers.items()}
    settings = _collate_lora_metadata({part: model})
    pipe.save_lora_weights(folder, **{f"{part}_lora_layers": layers}, **settings)
    pipe.unload_lora_weights()
    modules = {name.removesuffix(".lora_A.weight") for name in layers if name.endswith(".lora_A.weight")}
    kept = {name: model.get_submodule(name).weight.clone() for name in modules}
    for name in modules:
        down, up = (layers[f"{name}.lora_{one}.weight"].float() for one in "AB")
        model.get_submodule(name).weight.add_(alpha / RANK * up @ down)
    wanted = say(model)
    for name in modules:
        model.get_submodule(name).weight.copy_(kept[name])
    return wanted


def spoil(file: Path, out: Path, prefix: str, alpha: float | None = None) -> None:
    tensors = {prefix + name.partition(".")[2]: tensor for name, tensor in SAFETENSORS.load_file(file).items()}
    if alpha is not None:
        beside = {f"{name.rpartition('.lora_')[0]}.alpha" for name in tensors}
        tensors |= {name: torch.tensor(alpha) for name in beside}
    SAFETENSORS.save_file(tensors, out, {"format": "pt"})


def cases(pipes: dict[str, Any], folder: Path) -> dict[str, tuple[str, torch.Tensor]]:
    """The kind of model and what it should say, by the name of each file that is made."""
    wanted = {}
    for name, alpha in (("equal", 4.0), ("half", 2.0), ("third", 1.5)):
        wanted[name] = "transformer", make(pipes["transformer"], "transformer", apply_sd3, alpha, folder / name)
    wanted["unet"] = "unet", make(pipes["unet"], "unet", apply_unet, 2.0, folder / "unet")
    for name, of, prefix, beside in (
        ("bad prefix", "equal", "diffusion_model.", None),
        ("no prefix", "half", "", None),
        ("alphas", "half", "transformer.", 2.0),
    ):
        (folder / name).mkdir()
        spoil(folder / of / NAME, folder / name / NAME, prefix, beside)
        wanted[name] = wanted[of]
    return wanted


def distances(pipe: Any, path: str, say: Say, model: Any, wanted: torch.Tensor) -> Any:
    """How far the model with the file loaded is from what is wanted, and from the model without it."""
    before = say(model)
    try:
        pipe.load_lora_weights(path)
    except ValueError as error:
        return str(error)
    found = say(model)
    pipe.unload_lora_weights()
    return [float((found - one).abs().max()) for one in (wanted, before)]


def main() -> None:
    logging.disable(logging.CRITICAL)
    torch.set_grad_enabled(False)
    pipes = {"transformer": StableDiffusion3Pipeline.from_pretrained(sys.argv[1]), "unet": unet_pipeline()}
    says = {"transformer": apply_sd3, "unet": apply_unet}
    wanted = cases(pipes, Path(json.loads(sys.stdin.readline())))
    print(json.dumps(sorted(wanted)), file=ANSWERS, flush=True)
    for line in sys.stdin:
        name, path = json.loads(line)
        kind, output = wanted[name]
        answer = distances(pipes[kind], path, says[kind], getattr(pipes[kind], kind), output)
        print(json.dumps(answer), file=ANSWERS, flush=True)


if __name__ == "__main__":
    main()
