"""The workflow for a LoRA of Stable Diffusion 1.5."""

from __future__ import annotations

from kanjiprep.publishing.comfyui.graph import Link, Workflow
from kanjiprep.publishing.comfyui.written import pictures
from kanjiprep.publishing.comfyui.written.recipe import Recipe


def workflow(recipe: Recipe) -> Workflow:
    """The nodes for ``recipe``; the checkpoint holds its text encoder."""
    clip = Link(pictures.CHECKPOINT, pictures.CLIP_SLOT)
    return Workflow((*pictures.loaded(recipe), *pictures.painted(recipe, Link("2", 0), clip, "EmptyLatentImage")))
