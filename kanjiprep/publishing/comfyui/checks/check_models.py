"""Rules of which model goes with which text encoders, VAE and latent: what fails only after minutes of loading.

Source: ComfyUI issue 5388; comfy/sd.py (which encoders a loader makes), comfy/sample.py (latents that are empty).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kanjiprep.errors import shown
from kanjiprep.publishing.comfyui import tracing
from kanjiprep.publishing.comfyui.checks import model_names
from kanjiprep.publishing.comfyui.checks.findings import Finding, Scene, called, error, listed, text, warning
from kanjiprep.publishing.comfyui.graph import Node

TRIPLE: Final = (
    "add a TripleCLIPLoader with clip_l.safetensors, clip_g.safetensors and t5xxl_fp16.safetensors, files of "
    "models/text_encoders, and take CLIP from it"
)
_EACH: Final = "choose clip_l, clip_g and t5xxl, each once"
_TWO: Final = 2
_CHECKPOINT: Final = "CheckpointLoaderSimple"
_CLIP_SLOT, _VAE_SLOT = 1, 2
_CLIP_LOADERS: Final[Mapping[str, int]] = {
    "CLIPLoader": 1, "DualCLIPLoader": 2, "TripleCLIPLoader": 3, "QuadrupleCLIPLoader": 4,
}  # fmt: skip
_FILES: Final[Mapping[str, str]] = {
    _CHECKPOINT: "ckpt_name", "UNETLoader": "unet_name", "VAELoader": "vae_name",
}  # fmt: skip
_CALLED: Final[Mapping[str, str]] = {
    "sd3": "Stable Diffusion 3", "sd1x": "Stable Diffusion 1.5", "sdxl": "SDXL", "flux": "Flux",
}  # fmt: skip
_TYPES: Final[Mapping[str, str]] = {"sd3": "sd3", "sdxl": "sdxl", "flux": "flux"}
_CHANNELS: Final[Mapping[str, tuple[str, str]]] = {
    "EmptyLatentImage": ("sd3", "4 channels, where Stable Diffusion 3 has 16"),
    "EmptySD3LatentImage": ("sd1x", "16 channels, where Stable Diffusion 1.5 has 4"),
}
_EMPTY: Final[Mapping[str, str]] = {"sd3": "EmptySD3LatentImage", "sd1x": "EmptyLatentImage"}


def found(scene: Scene) -> Iterator[Finding]:
    """What is wrong with what is loaded."""
    for node in scene.workflow.nodes:
        if node.kind == _CHECKPOINT:
            yield from _checkpoint(scene, node)
        elif node.kind in _CLIP_LOADERS:
            yield from _encoders(node)
        yield from _misplaced(node)
        if "samples" in node.inputs and "vae" in node.inputs:
            yield from _vae(scene, node)
        if "latent_image" in node.inputs:
            yield from _sampler(scene, node)


def loader_of(scene: Scene, sampler: Node) -> Node | None:
    """The node that loads the model of a sampler."""
    guider = tracing.source(scene.nodes, sampler, "guider")
    found = tracing.source(scene.nodes, guider[0] if guider else sampler, "model")
    return found[0] if found and found[0].kind in _FILES else None


def model_of(scene: Scene, sampler: Node) -> str:
    """The name of the file that a sampler's model is of; empty if it is not known."""
    loader = loader_of(scene, sampler)
    return text(loader, _FILES[loader.kind]) if loader else ""


def _checkpoint(scene: Scene, node: Node) -> Iterator[Finding]:
    name = text(node, _FILES[_CHECKPOINT])
    if not model_names.lacks_encoders(name):
        return
    readers = [one for one in scene.workflow.nodes if _ends_at(scene, one, "clip", (node.id, _CLIP_SLOT))]
    if readers:
        what = f"gives CLIP to {listed(map(called, readers))}, but its file {shown(name)} holds no text encoders "
        yield error(node, "no-text-encoders", f"{what}(ComfyUI issue 5388)", TRIPLE)
    painters = [one for one in scene.workflow.nodes if _ends_at(scene, one, "vae", (node.id, _VAE_SLOT))]
    if painters and model_names.is_bare(name):
        what = f"gives VAE to {listed(map(called, painters))}, but its file {shown(name)} is the bare model"
        yield error(node, "no-vae", what, "load that file with UNETLoader, and add a VAELoader")


def _ends_at(scene: Scene, node: Node, name: str, place: tuple[str, int]) -> bool:
    """Whether an input really comes from there; what only hands CLIP on does not read it."""
    if name not in node.inputs or node.kind in tracing.HANDED_ON:
        return False
    found = tracing.source(scene.nodes, node, name)
    return found is not None and (found[0].id, found[1]) == place


def _encoders(node: Node) -> Iterator[Finding]:
    count = _CLIP_LOADERS[node.kind]
    names = [text(node, f"clip_name{number}") for number in range(1, count + 1)]
    given = [name for name in names if not model_names.is_none(name)]
    twice = sorted({name for name in given if given.count(name) > 1})
    if twice:
        remedy = "choose two different files" if count == _TWO else _EACH
        yield error(node, "encoder-twice", f"loads {listed(map(shown, twice))} twice", remedy)
    elif node.kind == "TripleCLIPLoader" and len(given) == count:
        kinds = [model_names.encoder(name) for name in given]
        lacking = [one for one in ("clip_l", "clip_g", "t5xxl") if one not in kinds]
        if lacking and all(kinds):
            what = f"loads {listed(map(shown, given))}, so that {listed(lacking)} is missing"
            yield error(node, "encoder-missing", what, _EACH)


def _misplaced(node: Node) -> Iterator[Finding]:
    """A file that is of another sort than what the node loads."""
    name = text(node, _FILES.get(node.kind, ""))
    if not name or node.kind == "VAELoader":
        return
    sort = "a LoRA" if model_names.is_lora(name) else "a text encoder" if model_names.encoder(name) else ""
    if sort and not model_names.family(name):
        loader = "LoraLoaderModelOnly" if sort == "a LoRA" else "TripleCLIPLoader"
        what = f"loads {shown(name)} as a model, which looks like {sort}"
        yield warning(node, "wrong-file", what, f"load it with {loader}, and the base model here")


def _sampler(scene: Scene, node: Node) -> Iterator[Finding]:
    family = model_names.family(model_of(scene, node))
    if not family:
        return
    latent = tracing.source(scene.nodes, node, "latent_image")
    wrong, channels = _CHANNELS.get(latent[0].kind, ("", "")) if latent else ("", "")
    if latent and family == wrong:
        what = f"makes {channels}; a new ComfyUI mends an empty one, an old one fails"
        yield warning(latent[0], "latent-channels", what, f"use {_EMPTY[family]}")
    seen: set[str] = set()
    for prompt in _prompts(scene, node):
        loader = tracing.source(scene.nodes, prompt, "clip")
        if loader and loader[0].id not in seen:
            seen.add(loader[0].id)
            yield from _reader(loader[0], family)


def _prompts(scene: Scene, sampler: Node) -> Iterator[Node]:
    nodes = [sampler]
    guider = tracing.source(scene.nodes, sampler, "guider")
    nodes.extend([guider[0]] if guider else [])
    for node in nodes:
        for name in ("positive", "negative", "conditioning"):
            prompt = tracing.source(scene.nodes, node, name)
            if prompt is not None:
                yield prompt[0]


def _reader(loader: Node, family: str) -> Iterator[Finding]:
    """Whether the text encoders are those of the model."""
    model = _CALLED[family]
    if loader.kind in ("CLIPLoader", "DualCLIPLoader"):
        type_ = text(loader, "type")
        wanted = _TYPES.get(family, "stable_diffusion" if loader.kind == "CLIPLoader" else "")
        if type_ and type_ != wanted:
            what = f"has the type {shown(type_)}, and the model is {model}"
            yield error(loader, "encoder-type", what, f"set the type to {wanted}" if wanted else _own(family))
        return
    own = {"TripleCLIPLoader": "sd3"}.get(loader.kind) or model_names.family(
        text(loader, _FILES.get(loader.kind, ""))
    )
    if own and own != family:
        what = f"gives the text encoders of {_CALLED[own]}, and the model is {model}"
        yield error(loader, "other-encoders", what, TRIPLE if family == "sd3" else _own(family))


def _own(family: str) -> str:
    return f"take CLIP from the checkpoint of {_CALLED[family]}"


def _vae(scene: Scene, node: Node) -> Iterator[Finding]:
    sampler = tracing.source(scene.nodes, node, "samples")
    vae = tracing.source(scene.nodes, node, "vae")
    if not sampler or not vae:
        return
    family = model_names.family(model_of(scene, sampler[0]))
    own = model_names.family(text(vae[0], _FILES.get(vae[0].kind, "")))
    if family and own and own != family:
        what = f"decodes a picture of {_CALLED[family]} with the VAE of {_CALLED[own]} ({called(vae[0])})"
        yield error(node, "other-vae", what, f"take the VAE of {_CALLED[family]}")
