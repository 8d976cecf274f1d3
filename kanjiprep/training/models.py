"""The models that can be trained, and what follows from their shapes by counting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

from kanjiprep import tokens as text_windows
from kanjiprep.errors import UsageError
from kanjiprep.spec import did_you_mean
from kanjiprep.training import shapes
from kanjiprep.training.provenance import Figure, exact, total
from kanjiprep.training.shapes import IMAGE_ATTENTION, UNET_LEVELS, Attention, Layer, Levels, Stream

Precision = Literal["bf16", "int8", "nf4"]

_VAE_SHRINK = 8


@dataclass(frozen=True, slots=True)
class Workload:
    """What is to be trained, as far as it costs memory and time.

    Attributes:
        family: ``sd3`` or ``sd1x``.
        flavour: ``large``, ``medium`` or ``tiny`` of sd3; ``1.5`` or ``tiny`` of sd1x.
        train: A LoRA beside the frozen model, or the model itself.
        rank: Of the LoRA, 1 or more.
        targets: PEFT's names of the modules that the LoRA adapts.
        optimizer: SimpleTuner's name for it.
        precision: Of the model's weights: bf16 (its ``no_change``), int8 (``int8-quanto``), nf4 (``nf4-bnb``).
        batch: Samples a step on each GPU.
        accumulation: Batches a step.
        gpus: How many, each with the whole batch.
        resolution_px: Side of a picture, a multiple of 64.
        gradient_checkpointing: Whether blocks are computed again in the backward pass instead of kept.
        validation_px: Side of a validation picture; 0 for no validation.
        dropout: Of the LoRA; SimpleTuner's own default is 0.1.
    """

    family: str = "sd3"
    flavour: str = "large"
    train: Literal["lora", "full"] = "lora"
    rank: int = 64
    targets: tuple[str, ...] = IMAGE_ATTENTION
    optimizer: str = "adamw_bf16"
    precision: Precision = "bf16"
    batch: int = 1
    accumulation: int = 1
    gpus: int = 1
    resolution_px: int = 1024
    gradient_checkpointing: bool = True
    validation_px: int = 0
    dropout: float = 0.0


@dataclass(frozen=True, slots=True)
class Model:
    """The shape of a model.

    Attributes:
        name: As users say it.
        repo: Where it is on the Hub; empty if nowhere.
        prediction: What it is trained to predict.
        latent_channels: Of the VAE.
        text_tokens: Length of the text that the model sees.
        text_width: Channels of a text token.
        layers: Everything that multiplies.
        attentions: Every attention.
        norm_parameters: Scales and shifts of norms.
        buffer_values: Numbers that are saved with the weights without being trained (SD3's position table).
        width: Channels of a token, or of the first level.
        blocks: Transformer blocks, or levels of the UNet.
        files: (part, parameters, bytes each) of what a trainer downloads besides the model itself.
        file_bytes_each: Bytes of one weight in the file on the Hub.
    """

    name: str
    repo: str
    prediction: Literal["flow", "epsilon"]
    latent_channels: int
    text_tokens: int
    text_width: int
    layers: tuple[Layer, ...]
    attentions: tuple[Attention, ...]
    norm_parameters: int
    buffer_values: int
    width: int
    blocks: int
    files: tuple[tuple[str, int, int], ...]
    file_bytes_each: int

    @property
    def parameters(self) -> int:
        """Everything that full fine-tuning trains."""
        return sum(layer.parameters for layer in self.layers) + self.norm_parameters


def model_of(family: str, flavour: str) -> Model:
    """The model that ``family`` and ``flavour`` name.

    Raises:
        UsageError: If there is no such family or flavour.
    """
    flavours = {known_flavour for known_family, known_flavour in _MODELS if known_family == family}
    if not flavours:
        families = sorted({known for known, _ in _MODELS})
        raise UsageError(f"no model family {family!r}{did_you_mean(family, families)}", "", f"use {_or(families)}")
    if flavour not in flavours:
        guess = did_you_mean(flavour, flavours)
        raise UsageError(f"no flavour {flavour!r} of {family}{guess}", "", f"use {_or(sorted(flavours))}")
    return _MODELS[family, flavour]()


def flavour_of(family: str, config: Mapping[str, Any]) -> str:
    """The flavour of the main part that a config.json of diffusers describes; empty for a shape that is not known."""
    flavours = [flavour for known, flavour in _MODELS if known == family]
    if family == "sd1x":
        found = config.get("cross_attention_dim")
        return next((one for one in flavours if model_of(family, one).text_width == found), "")
    heads, head = config.get("num_attention_heads"), config.get("attention_head_dim")
    width = heads * head if isinstance(heads, int) and isinstance(head, int) else None
    return next((one for one in flavours if model_of(family, one).width == width), "")


def latent_px(resolution_px: int) -> int:
    """Side of the latent of a picture."""
    return resolution_px // _VAE_SHRINK


def tokens(model: Model, stream: Stream, shrink: int, resolution_px: int) -> int:
    """How many tokens of a sample a layer on ``stream`` sees at a resolution."""
    return {"image": (latent_px(resolution_px) // shrink) ** 2, "text": model.text_tokens, "sample": 1}[stream]


def lora_layers(model: Model, targets: tuple[str, ...]) -> tuple[Layer, ...]:
    """The layers that a LoRA with ``targets`` adapts, found as PEFT finds them: by the end of their names.

    Raises:
        UsageError: If a target is no layer of the model, or there is none.
    """
    known = {layer.name for layer in model.layers if layer.kernel == 1 and layer.stream != "sample"}
    for target in targets:
        if target not in known:
            guess = did_you_mean(target, known)
            remedy = f"it has {', '.join(sorted(known))}"
            raise UsageError(f"{model.name} has no module {target!r}{guess}", "", remedy)
    if not targets:
        raise UsageError("a LoRA needs at least one target module", "", f"name some of {', '.join(sorted(known))}")
    return tuple(layer for layer in model.layers if layer.name in targets)


def lora_modules(model: Model, targets: tuple[str, ...]) -> int:
    """How many modules a LoRA with ``targets`` adapts."""
    return sum(layer.count for layer in lora_layers(model, targets))


def lora_parameters(model: Model, targets: tuple[str, ...], rank: int) -> int:
    """How many numbers such a LoRA of ``rank`` has: two matrices a module."""
    return rank * sum(layer.count * (layer.inputs + layer.outputs) for layer in lora_layers(model, targets))


def trained_parameters(workload: Workload) -> int:
    """How many numbers the optimizer moves."""
    model = model_of(workload.family, workload.flavour)
    if workload.train == "full":
        return model.parameters
    return lora_parameters(model, workload.targets, workload.rank)


def weight_bytes(model: Model) -> int:
    """Size of the model's own weight files on the Hub, without their headers (0.13 MB for sd3)."""
    return (model.parameters + model.buffer_values) * model.file_bytes_each


def download_bytes(model: Model) -> Figure:
    """What a trainer downloads before the first step.

    Source: Sizes that the Hub shows agree to its three digits: transformer of 3.5 Large 9.99 + 6.31 GB, of Medium
    4.94 GB, T5 4.99 + 4.53 GB, CLIP-L 246 MB, CLIP-G 1.39 GB.
    """
    source = f"parameters times bytes of the files of {model.repo or model.name}"
    parts = [exact(count * each, "bytes", "computed", name) for name, count, each in model.files]
    return total([exact(weight_bytes(model), "bytes", "computed", "weights"), *parts], "bytes", source)


def _sd3(
    name: str, repo: str, heads: int, head: int, blocks: int, dual: int, text: int, pooled: int, grid: int
) -> Model:
    width = heads * head
    files = () if not repo else (_CLIP_L, _CLIP_G, _T5, ("VAE", 83_819_683, 2))
    return Model(
        name=name,
        repo=repo,
        prediction="flow",
        latent_channels=16,
        text_tokens=text_windows.T5_CUT + text_windows.CLIP_LIMIT,
        text_width=text,
        layers=tuple(shapes.sd3_layers(width, blocks, dual, text, pooled)),
        attentions=(Attention(width, 2, "both", blocks), Attention(width, 2, "image", dual)),
        norm_parameters=head * (4 * blocks + 2 * dual),
        buffer_values=grid * grid * width,
        width=width,
        blocks=blocks,
        files=files,
        file_bytes_each=2,
    )


_CLIP_L: Final = ("CLIP-L", 123_650_304, 2)
_CLIP_G: Final = ("CLIP-G", 694_659_840, 2)
_T5: Final = ("T5-XXL encoder", 4_762_310_656, 2)
"""Counted on the meta device with transformers 5.20.1."""


def _sd1x(name: str, repo: str, levels: Levels, text: int) -> Model:
    blocks = tuple(shapes.unet_blocks(levels))
    attending = [block for block in blocks if block.has_attention]
    norms = sum(2 * one.inputs + 2 * one.outputs + one.has_attention * 8 * one.outputs for one in blocks)
    return Model(
        name=name,
        repo=repo,
        prediction="epsilon",
        latent_channels=4,
        text_tokens=77,
        text_width=text,
        layers=tuple(shapes.unet_layers(blocks, levels, text)),
        attentions=(
            *(Attention(block.outputs, block.shrink, "image") for block in attending),
            *(Attention(block.outputs, block.shrink, "text") for block in attending),
        ),
        norm_parameters=2 * levels[0] + norms,
        buffer_values=0,
        width=levels[0],
        blocks=len(levels),
        files=(("CLIP-L", 123_060_480, 4), ("VAE", 83_653_863, 4)) if repo else (),
        file_bytes_each=4,
    )


@cache
def _large() -> Model:
    repo = "stabilityai/stable-diffusion-3.5-large"
    return _sd3("Stable Diffusion 3.5 Large", repo, 38, 64, 38, 0, 4096, 2048, 192)


@cache
def _medium() -> Model:
    repo = "stabilityai/stable-diffusion-3.5-medium"
    return _sd3("Stable Diffusion 3.5 Medium", repo, 24, 64, 24, 13, 4096, 2048, 384)


@cache
def _tiny() -> Model:
    return _sd3("the tiny SD3", "", 4, 16, 2, 1, 64, 64, 96)


@cache
def _first() -> Model:
    return _sd1x("Stable Diffusion 1.5", "stable-diffusion-v1-5/stable-diffusion-v1-5", UNET_LEVELS, 768)


@cache
def _tiny_first() -> Model:
    return _sd1x("the tiny SD 1.5", "", (16, 16, 32, 32), 32)


_MODELS: Final[dict[tuple[str, str], Callable[[], Model]]] = {
    ("sd3", "large"): _large,
    ("sd3", "medium"): _medium,
    ("sd3", "tiny"): _tiny,
    ("sd1x", "1.5"): _first,
    ("sd1x", "tiny"): _tiny_first,
}


def _or(words: list[str]) -> str:
    return " or ".join(words)
