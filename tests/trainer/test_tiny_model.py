"""The tiny model, read by the trainer's own libraries."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.errors import TrainerError
from kanjiprep.training import models, tiny_model
from kanjiprep.training import trainer as trainers
from kanjiprep.training.trainer import Trainer

pytestmark = pytest.mark.trainer

DRAW = """
import json, sys, torch
from diffusers import StableDiffusion3Pipeline
pipeline = StableDiffusion3Pipeline.from_pretrained(sys.argv[1])
text = "Image of 亜."
tokens = {name: getattr(pipeline, name)(text)["input_ids"] for name in ("tokenizer", "tokenizer_2", "tokenizer_3")}
back = {name: getattr(pipeline, name).decode(ids, skip_special_tokens=True) for name, ids in tokens.items()}
picture = pipeline(text, num_inference_steps=1, height=256, width=256).images[0]
print(json.dumps({"tokens": tokens, "back": back, "size": picture.size}))
"""
DRAW_FIRST = """
import json, sys, torch
from diffusers import StableDiffusionPipeline
pipeline = StableDiffusionPipeline.from_pretrained(sys.argv[1])
text = "Image of 亜."
back = pipeline.tokenizer.decode(pipeline.tokenizer(text)["input_ids"], skip_special_tokens=True)
picture = pipeline(text, num_inference_steps=2, height=256, width=256).images[0]
unet = pipeline.unet
told = {"back": back, "size": picture.size, "parameters": sum(one.numel() for one in unet.parameters())}
told |= {"predicts": pipeline.scheduler.config.prediction_type, "channels": unet.config.in_channels}
print(json.dumps(told))
"""
MENDED = """
import inspect, sys
from simpletuner.helpers.models.sd1x import pipeline
made = pipeline.StableDiffusionPipeline
print(made(vae=None, text_encoder=None, tokenizer=None, unet=None, scheduler=None, image_processor=1).safety_checker)
print("safety_checker" in inspect.signature(made.__init__).parameters)
"""
PIN = "import torch; print(torch.zeros(2).pin_memory().tolist(), torch.cuda.is_available())"


def run(trainer: Trainer, *arguments: str, **variables: str) -> Any:
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", **variables}
    return trainers.run([str(trainer.python), *arguments], environ, 600)


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_diffusers_draws_with_it_and_its_clip_tokenizers_read_kanji(trainer: Trainer, tiny_sd3: Path) -> None:
    told = json.loads(run(trainer, "-c", DRAW, str(tiny_sd3)).splitlines()[-1])
    assert told["size"] == [256, 256]
    assert "亜" in told["back"]["tokenizer"]
    assert "亜" in told["back"]["tokenizer_2"]
    assert told["tokens"]["tokenizer"] != told["tokens"]["tokenizer_3"]


def test_diffusers_draws_with_the_tiny_sd1x_and_it_is_as_large_as_was_computed(
    trainer: Trainer, tmp_path: Path
) -> None:
    folder = tiny_model.make(trainer, tmp_path / "sd1x", "sd1x")
    told = json.loads(run(trainer, "-c", DRAW_FIRST, str(folder)).splitlines()[-1])
    model = models.model_of("sd1x", "tiny")
    assert told == {
        "back": told["back"],
        "size": [256, 256],
        "parameters": model.parameters,
        "predicts": model.prediction,
        "channels": model.latent_channels,
    }
    assert "亜" in told["back"]
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 8_000_000


def test_the_shim_mends_the_pipeline_of_sd1x_which_cannot_be_made_without_it(
    trainer: Trainer, tmp_path: Path
) -> None:
    ours = trainers.environment(tmp_path, os.environ, on_gpu=True)
    assert trainers.run([str(trainer.python), "-c", MENDED], ours, 600).split()[-2:] == ["None", "True"]
    with pytest.raises(TrainerError, match=r"unexpected keyword argument 'image_processor'|missing 2 required"):
        trainers.run([str(trainer.python), "-c", MENDED], {**ours, "PYTHONPATH": ""}, 600)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    trainer: Trainer, tiny_sd3: Path, tmp_path: Path
) -> None:
    first = digests(tiny_sd3)
    assert digests(tiny_model.make(trainer, tmp_path / "same")) == first
    other = digests(tiny_model.make(trainer, tmp_path / "other", seed=1))
    assert {name for name in first if first[name] != other[name]} == {
        name for name in first if name.endswith(".safetensors")
    }
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["other", "same"]


def test_it_is_tiny(tiny_sd3: Path) -> None:
    assert sum(path.stat().st_size for path in tiny_sd3.rglob("*") if path.is_file()) < 8_000_000


def test_the_shim_lets_a_batch_be_pinned_where_there_is_no_gpu(trainer: Trainer, tmp_path: Path) -> None:
    plain = trainers.environment(tmp_path, os.environ, on_gpu=True) | {"CUDA_VISIBLE_DEVICES": ""}
    shimmed = trainers.environment(tmp_path, os.environ, on_gpu=False) | {"CUDA_VISIBLE_DEVICES": ""}
    assert trainers.run([str(trainer.python), "-c", PIN], shimmed, 600).strip() == "[0.0, 0.0] False"
    with pytest.raises(TrainerError, match="RuntimeError"):
        trainers.run([str(trainer.python), "-c", PIN], plain, 600)
