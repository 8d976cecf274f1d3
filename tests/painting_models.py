"""Pipelines of a few bytes in the layout of diffusers, and somebody who paints without any."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from kanjiprep.evaluation.weights import safetensors_file
from kanjiprep.publishing.painting.devices import Ways
from kanjiprep.publishing.painting.wish import Stepped, Unpainted, Wish
from kanjiprep.publishing.tuned import Tuned
from tests import lora_files

SD3: dict[str, Any] = {
    "_class_name": "StableDiffusion3Pipeline",
    "transformer": ["diffusers", "SD3Transformer2DModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "safety_checker": [None, None],
}
SD1X = {key: value for key, value in SD3.items() if key != "transformer"} | {
    "_class_name": "StableDiffusionPipeline",
    "unet": ["diffusers", "UNet2DConditionModel"],
}
TINY_SD3 = {"num_attention_heads": 4, "attention_head_dim": 16}
TINY_UNET = {"cross_attention_dim": 32}


def base(folder: Path, index: dict[str, Any] = SD3, seed: int = 0) -> Path:
    """A pipeline whose parts have 12 numbers each."""
    (folder / "scheduler").mkdir(parents=True)
    (folder / "scheduler" / "scheduler_config.json").write_text('{"_class_name": "FlowMatchEulerDiscreteScheduler"}')
    (folder / "model_index.json").write_text(json.dumps(index))
    for part in ("transformer", "vae") if "transformer" in index else ("unet", "vae"):
        write_part(folder / part, seed)
    return folder


def write_part(folder: Path, seed: int = 0) -> Path:
    folder.mkdir(parents=True)
    config = {"transformer": TINY_SD3, "unet": TINY_UNET}.get(folder.name, {})
    (folder / "config.json").write_text(json.dumps(config))
    tensors = {"weight": lora_files.tensor([[float(seed + number) for number in range(4)]] * 3)}
    safetensors_file.write(folder / "diffusion_pytorch_model.safetensors", tensors, {})
    return folder


def lora(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return lora_files.write(path, lora_files.named(lora_files.weights(seed=seed), "diffusers-peft"))


@dataclass(slots=True)
class Fake:
    """A painter of plain squares whose colour tells the checkpoint and the seed; it keeps what it was asked.

    Attributes:
        unpainted: Seeds whose pictures come out as no numbers.
        unfit: Steps that cannot be taken, with the error.
        raised: What is raised instead of a picture, by seed.
        black: Seeds whose pictures are black.
        asked: What was taken and painted.
    """

    unpainted: tuple[int, ...] = ()
    unfit: dict[int | None, Exception] = field(default_factory=dict)
    raised: dict[int, BaseException] = field(default_factory=dict)
    black: tuple[int, ...] = ()
    asked: list[object] = field(default_factory=list)
    step: int | None = None

    def paint(self, wish: Wish, stepped: Stepped) -> Image.Image:
        self.asked.append(wish.seed)
        if wish.seed in self.raised:
            raise self.raised[wish.seed]
        if wish.seed in self.unpainted:
            raise Unpainted(f"the picture with the seed {wish.seed} is not a number in its latent", "fake")
        stepped(1, 2)
        stepped(2, 2)
        picture = Image.new("RGB", (wish.size_px, wish.size_px), "black")
        if wish.seed not in self.black:
            picture.paste((255, wish.seed % 256, (self.step or 0) % 256), (0, 0, 8, 8))
        return picture

    def take(self, tuned: Tuned | None) -> None:
        self.step = None if tuned is None else tuned.step
        self.asked.append(f"take {'base' if tuned is None else tuned.step or tuned.name}")
        if self.step in self.unfit:
            raise self.unfit[self.step]

    @contextmanager
    def opened(self, tuned: Tuned | None, base: str, ways: Ways, say: Any) -> Iterator[Fake]:
        self.asked.append(("opened", None if tuned is None else tuned.name, Path(base).name, ways.family))
        say("device: none at all")
        yield self
