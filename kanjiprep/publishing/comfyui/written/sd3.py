"""The workflow for a LoRA of Stable Diffusion 3.5."""

from __future__ import annotations

from collections.abc import Iterator

from kanjiprep.publishing.comfyui.graph import Link, Node, Value, Workflow
from kanjiprep.publishing.comfyui.written import pictures
from kanjiprep.publishing.comfyui.written.recipe import Recipe
from kanjiprep.publishing.comfyui.written.sampling import SD3_SHIFT, Sampling


def workflow(recipe: Recipe) -> Workflow:
    """The nodes for ``recipe``; the text encoders are loaded by themselves, since the checkpoint has none.

    Source: ComfyUI comfy_extras/nodes_sd3.py, nodes_model_advanced.py; issue 5388 for the encoders.
    """
    sampled = tuple(_sampled(recipe.sampling))
    model = Link(sampled[-1].id if sampled else "2", 0)
    encoders = tuple(_encoders(recipe))
    clip = Link(encoders[0].id, 0) if encoders else Link(pictures.CHECKPOINT, pictures.CLIP_SLOT)
    painted = pictures.painted(recipe, model, clip, "EmptySD3LatentImage")
    return Workflow((*pictures.loaded(recipe), *sampled, *encoders, *painted))


def _sampled(sampling: Sampling) -> Iterator[Node]:
    """Skipping comes last, for it reads the shift of the model that it is given."""
    model = Link("2", 0)
    if sampling.shift is not None and sampling.shift != SD3_SHIFT:
        yield Node("3", "ModelSamplingSD3", {"model": model, "shift": sampling.shift}, "Shift")
        model = Link("3", 0)
    if sampling.skip is not None:
        skip = sampling.skip
        inputs: dict[str, Link | Value] = {
            "model": model,
            "layers": ", ".join(map(str, skip.layers)),
            "scale": skip.scale,
            "start_percent": skip.start,
            "end_percent": skip.end,
        }
        yield Node("4", "SkipLayerGuidanceSD3", inputs, "Skip layers")


def _encoders(recipe: Recipe) -> Iterator[Node]:
    if recipe.encoders:
        names = {f"clip_name{number}": file.name for number, file in enumerate(recipe.encoders, 1)}
        yield Node("5", "TripleCLIPLoader", names, "Text encoders")
