"""Rules of what runs but makes bad pictures: settings that are rarely meant.

Source: Stability AI's reference for SD3.5 (steps, guidance, layers that are skipped for the medium model alone).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from kanjiprep.errors import shown
from kanjiprep.publishing.comfyui import tracing
from kanjiprep.publishing.comfyui.checks import model_names
from kanjiprep.publishing.comfyui.checks.check_models import loader_of, model_of
from kanjiprep.publishing.comfyui.checks.findings import Finding, Scene, called, number, text, warning
from kanjiprep.publishing.comfyui.graph import Node

_MOST_CFG: Final = 10
_FEWEST_STEPS, _MOST_STEPS = 10, 100
_FAST_CFG: Final = 2
_OWN_SHIFT: Final = 3.0
_PIXELS: Final = 1e6
_SMALLEST, _LARGEST, _LARGEST_MEDIUM = 0.5, 1.6, 2.2
_USUAL: Final = frozenset({"sd3", "sd1x", "sdxl"})
_ENCODE: Final = "CLIPTextEncode"
_EMPTY: Final = frozenset({"EmptySD3LatentImage", "EmptyLatentImage"})
_SKIPPERS: Final = frozenset({"SkipLayerGuidanceSD3", "SkipLayerGuidanceDiT"})
_LORAS: Final = frozenset({"LoraLoader", "LoraLoaderModelOnly"})
_FAULTS: Final = re.compile(
    r"\b(?:blurry|cropped|ugly|deformed|disfigured|watermark|jpeg artifacts|bad anatomy|lowres"
    r"|(?:low|worst|bad) quality)\b",
    re.IGNORECASE,
)
"""Words of which a negative prompt is made."""


def found(scene: Scene) -> Iterator[Finding]:
    """What is rarely meant."""
    for node in scene.workflow.nodes:
        if node.kind in _LORAS and number(node, "strength_model") == 0:
            what = f"applies the LoRA {shown(text(node, 'lora_name'))} with the strength 0, so that it has no effect"
            yield warning(node, "lora-zero", what, "set strength_model to 1")
        if "latent_image" in node.inputs:
            yield from _sampler(scene, node)
        if "positive" in node.inputs and "negative" in node.inputs:
            yield from _prompts(scene, node)


def _sampler(scene: Scene, node: Node) -> Iterator[Finding]:
    name = model_of(scene, node)
    patches = tuple(tracing.passed(scene.nodes, node, "model"))
    is_fast = model_names.is_fast(name) or any(model_names.is_fast(text(one, "lora_name")) for one in patches)
    if _is_usual(scene, node, name):
        yield from _guidance(node, is_fast=is_fast)
        yield from _steps(node, is_fast=is_fast)
    yield from _patches(patches, name)
    latent = tracing.source(scene.nodes, node, "latent_image")
    if latent and latent[0].kind in _EMPTY:
        yield from _empty(node, latent[0], name)


def _is_usual(scene: Scene, node: Node, name: str) -> bool:
    """Whether it is a Stable Diffusion model, which the usual numbers are for; checkpoints of any name are."""
    loader = loader_of(scene, node)
    family = model_names.family(name)
    return family in _USUAL or (not family and loader is not None and loader.kind == "CheckpointLoaderSimple")


def _guidance(node: Node, *, is_fast: bool) -> Iterator[Finding]:
    cfg = number(node, "cfg")
    if cfg is None:
        return
    if is_fast and cfg > _FAST_CFG:
        what = f"has the cfg {cfg:g}, and its model is made for 1"
        yield warning(node, "fast-cfg", what, "set cfg to 1")
    elif cfg > _MOST_CFG:
        what = f"has the cfg {cfg:g}, which burns colours and breaks shapes"
        yield warning(node, "high-cfg", what, "try 4.5 for SD3.5, 7.5 for SD 1.5")


def _steps(node: Node, *, is_fast: bool) -> Iterator[Finding]:
    steps = number(node, "steps")
    if steps is None:
        return
    if steps > _MOST_STEPS:
        yield warning(
            node, "many-steps", f"takes {steps:g} steps, which costs time and gains nothing", "try 28 to 40"
        )
    elif 1 <= steps < _FEWEST_STEPS and not is_fast:
        yield warning(node, "few-steps", f"takes {steps:g} steps, too few for a clean picture", "try 28 to 40")


def _patches(patches: Iterable[Node], name: str) -> Iterator[Finding]:
    """What is between the loader and the sampler."""
    loras: set[str] = set()
    for one in patches:
        if one.kind in _SKIPPERS and model_names.flavour(name) in ("large", "turbo"):
            what = f"skips layers of {shown(name)}, and the numbers of layers are those of the medium model"
            yield warning(one, "skip-layers", what, "take it away, or use it with SD3.5 Medium")
        if (
            one.kind == "ModelSamplingSD3"
            and number(one, "shift") == _OWN_SHIFT
            and model_names.family(name) == "sd3"
        ):
            yield warning(one, "shift-superfluous", "sets the shift 3, which the model has anyway", "take it away")
        if one.kind in _LORAS:
            lora = text(one, "lora_name")
            if lora in loras:
                what = f"applies the LoRA {shown(lora)} a second time"
                yield warning(one, "lora-twice", what, "take one of them away, or raise the strength")
            loras.add(lora)


def _empty(node: Node, latent: Node, name: str) -> Iterator[Finding]:
    denoise = number(node, "denoise")
    if denoise is not None and denoise < 1:
        what = f"removes only {denoise:g} of the noise, and {called(latent)} is empty, so that noise is left"
        yield warning(node, "denoise-empty", what, "set denoise to 1, or start from a picture with VAEEncode")
    width, height = number(latent, "width"), number(latent, "height")
    if width and height and model_names.family(name) == "sd3":
        share = width * height / _PIXELS
        most = _LARGEST_MEDIUM if model_names.flavour(name) == "medium" else _LARGEST
        if not _SMALLEST <= share <= most:
            what = f"has {width:g} x {height:g} px, {share:.2g} megapixels, and the model is made for about 1"
            yield warning(latent, "size", what, "take 1024 x 1024, or the size of the training")


def _prompts(scene: Scene, node: Node) -> Iterator[Finding]:
    if node.inputs["positive"] == node.inputs["negative"]:
        what = "has the same prompt as positive and as negative, so that the two cancel out"
        yield warning(node, "prompts-same", what, "connect a second CLIPTextEncode with negative")
        return
    good, bad = _writer(scene, node, "positive"), _writer(scene, node, "negative")
    if good and bad and good.id != bad.id and _unlike(good) > _unlike(bad) + 1:
        what = f"takes {called(good)} as positive, which reads like a negative prompt"
        yield warning(node, "prompts-swapped", what, f"exchange it with {called(bad)}")


def _writer(scene: Scene, node: Node, name: str) -> Node | None:
    """The node of a prompt, unless something between the two may have changed it."""
    first = next(tracing.passed(scene.nodes, node, name), None)
    return first if first and first.kind.startswith(_ENCODE) else None


def _unlike(node: Node) -> int:
    """How much a prompt is like a list of what to avoid."""
    words = " ".join(value for value in node.inputs.values() if isinstance(value, str))
    title = node.title.lower()
    return len(set(map(str.lower, _FAULTS.findall(words)))) + 2 * ("negative" in title) - 2 * ("positive" in title)
