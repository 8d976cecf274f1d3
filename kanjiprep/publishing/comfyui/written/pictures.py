"""The part of a workflow that all models share: from a prompt to a picture on disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kanjiprep.publishing.comfyui.graph import Link, Node, Value
from kanjiprep.publishing.comfyui.written.recipe import Recipe
from kanjiprep.publishing.comfyui.written.wording import Asked

CHECKPOINT: Final = "1"
"""Id of the node that loads the base model."""
VAE_SLOT: Final = 2
CLIP_SLOT: Final = 1
_NEGATIVE: Final = "6"
_LATENT: Final = "7"
_FIRST: Final = 10
"""Ids of a prompt's four nodes are 10 to 13, of the next one's 20 to 23, and so on."""


def loaded(recipe: Recipe) -> Iterator[Node]:
    """The base model, and the LoRA on it as node 2."""
    yield Node(CHECKPOINT, "CheckpointLoaderSimple", {"ckpt_name": recipe.checkpoint.name}, "Base model")
    lora: dict[str, Link | Value] = {
        "model": Link(CHECKPOINT, 0),
        "lora_name": recipe.lora,
        "strength_model": recipe.strength,
    }
    yield Node("2", "LoraLoaderModelOnly", lora, "LoRA")


def painted(recipe: Recipe, model: Link, clip: Link, latent: str) -> Iterator[Node]:
    """Everything from the loaded model on: negative prompt, empty picture, and four nodes a prompt.

    Args:
        recipe: What is asked for.
        model: With the LoRA and all that changes its sampling.
        clip: The text encoders.
        latent: Kind of the node that makes the empty picture.
    """
    yield Node(_NEGATIVE, "CLIPTextEncode", {"text": recipe.negative, "clip": clip}, "Negative prompt")
    empty = {"width": recipe.size_px, "height": recipe.size_px, "batch_size": 1}
    yield Node(_LATENT, latent, empty, "Size")
    for number, asked in enumerate(recipe.prompts, 1):
        yield from _painted(recipe, asked, model, clip, number * _FIRST)


def _painted(recipe: Recipe, asked: Asked, model: Link, clip: Link, first: int) -> Iterator[Node]:
    encode, sample, decode, save = map(str, range(first, first + 4))
    yield Node(encode, "CLIPTextEncode", {"text": asked.text, "clip": clip}, f"Prompt: {asked.name}")
    sampler: dict[str, Link | Value] = {
        "model": model,
        "positive": Link(encode, 0),
        "negative": Link(_NEGATIVE, 0),
        "latent_image": Link(_LATENT, 0),
        "seed": recipe.seed,
        "steps": recipe.sampling.steps,
        "cfg": recipe.sampling.guidance,
        "sampler_name": recipe.sampling.sampler,
        "scheduler": recipe.sampling.scheduler,
        "denoise": 1.0,
    }
    yield Node(sample, "KSampler", sampler, f"Sampler: {asked.name}")
    yield Node(decode, "VAEDecode", {"samples": Link(sample, 0), "vae": Link(CHECKPOINT, VAE_SLOT)}, "Decode")
    image: dict[str, Link | Value] = {
        "images": Link(decode, 0),
        "filename_prefix": f"{recipe.name}_{asked.name}",
    }
    yield Node(save, "SaveImage", image, f"Save: {asked.name}")
