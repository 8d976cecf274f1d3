"""What a run takes of a GPU's memory, part by part, before anything is rented.

Activations follow formulas in tokens, width and blocks. Their constants are fitted to a count of every tensor that is
alive in a training step of the real models (benchmarks/activations.py: diffusers 0.42.1, peft 0.21.2, torch 2.13.0,
meta device, flash attention): worst error of the fit 1.8 %, over 512 and 1024 px, batch 1 and 6, rank 16 and 768.
What comes on top was then measured on an H200 (benchmarks/gpu/step_table.py): PyTorch handed out 0.74 GiB more than
the count for Large and 0.95 for Medium whatever the setting, once it is seen that a LoRA's gradients come as the
activations go. The whole meets the 27 measured training steps within 3 % (benchmarks/gpu/fit_table.py).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, Literal

from kanjiprep.training import models
from kanjiprep.training.gpus import Gpu
from kanjiprep.training.models import Model, Workload
from kanjiprep.training.provenance import Figure, exact, scale, total, within
from kanjiprep.training.shapes import Layer

GIB: Final = 2**30

Sharding = Literal["none", "zero2", "full"]
Verdict = Literal["fits", "tight", "does not fit"]

_CONTEXT_GIB: Final = 0.75
"""Outside of PyTorch's allocator: CUDA's context and libraries, as an H200 with driver 580.159 showed it."""
_WORKSPACE_GIB: Final = 0.57
"""Beside all that was counted; and once more as much as the table of positions, for a reason that was not found."""
_OVERHEAD_BAND_GIB: Final = 0.4
_RESERVE: Final = {True: 0.105, False: 0.044}
"""Share of the activations, by checkpointing."""
_RESERVE_GIB: Final = 0.3
_RESERVE_OF_GRADIENTS: Final = 0.32
"""Fitted to what PyTorch reserved beyond what it handed out, worst error 0.63 GiB of 88."""
_COUNTED: Final = "formula fitted to a count of live tensors on the meta device, worst error 1.8 %"
_GUIDE: Final = "nothing of the training's memory reused, as two totals of Stability's guide suggest"

_IN_FP32: Final = "in fp32, to which accelerate's FSDP lifts what is trained"
"""Source: accelerate 1.15.0 utils/fsdp_utils.py, fsdp2_prepare_model under mixed precision."""

_WEIGHT_BYTES: Final = {"bf16": 2.0, "int8": 1.0, "nf4": 0.5 + 4 / 64}
"""Of one weight; nf4 adds a 4-byte scale for each 64."""

_STATE_BYTES: Final = {
    "adamw_bf16": 6.0,
    "optimi-stableadamw": 6.0,
    "optimi-adamw": 6.0,
    "optimi-adam": 6.0,
    "optimi-radam": 6.0,
    "optimi-ranger": 8.0,
    "optimi-adan": 10.0,
    "optimi-lion": 4.0,
    "optimi-sgd": 2.0,
    "adamw_schedulefree": 6.0,
    "torch-adam": 4.0,
    "torch-adamw": 4.0,
    "torch-adafactor": 0.02,
    "torch-sgd": 0.0,
    "prodigy": 2.4,
}
"""Optimizer bytes for each bf16 number, seen in SimpleTuner 4.10.1's own optimizer objects after two steps."""

_QUANTISED_STATE_BYTES: Final = {
    "bnb-adamw8bit": 2.0,
    "bnb-adamw8bit-paged": 2.0,
    "bnb-lion8bit": 1.0,
    "bnb-lion8bit-paged": 1.0,
    "ao-adamw8bit": 2.0,
    "ao-adamw4bit": 1.0,
}
"""Moments times bits, by the names: these do not run without a GPU."""

_VAE_GIB: Final = 83_819_683 * 2 / GIB
_DECODE_BYTES_PX: Final = 2560
_ENCODE_BYTES_PX: Final = 1800
"""Peaks of the VAE's work on one picture, counted as the activations are, at 512 and 1024 px alike."""
_ENCODED_AT_ONCE: Final = 4
"""SimpleTuner's default vae_batch_size."""


@dataclass(frozen=True, slots=True)
class _Fit:
    """Bytes a token and channel: of image tokens, of text tokens, and more for image tokens in dual blocks."""

    image: float
    text: float
    dual: float


_SD3_FITS: Final = {
    ("lora", True): _Fit(66.51, 23.88, 6.99),
    ("lora", False): _Fit(44.65, 36.79, 26.64),
    ("full", True): _Fit(84.88, 90.95, 10.13),
    ("full", False): _Fit(70.71, 70.56, 32.57),
}
"""With checkpointing: of the one block that is computed again. Without: of every block."""
_SD1X_FITS: Final = {("lora", True): 204.48, ("lora", False): 846.2, ("full", True): 214.44, ("full", False): 958.49}
"""Bytes a latent pixel and channel of the first level."""
_FIRST_LEVEL_BLOCKS: Final = 5
"""Attention blocks of the UNet's first level, the largest: two on the way down, three on the way up."""
_DROPOUT_BYTES: Final = {"sd3": 2.1, "sd1x": 2.6}
"""Of a number that goes into a LoRA with dropout: copy and mask, less what was kept anyway. Counted 2.0 to 2.7."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory on each GPU, in GiB.

    Attributes:
        base: Weights of the model.
        adapter: Weights of the LoRA.
        gradients: Of what is trained, beyond the activations that are gone by the time they come.
        optimizer: Its states.
        activations: Peak in a step, beside all of the above.
        overhead: CUDA's own, and workspaces.
        reserve: What PyTorch keeps because free pieces do not fit; given back when memory runs short.
        validation: What a validation picture takes on top.
        caching: What encoding captions and pictures takes before the model is loaded: the peak of a small run.
    """

    base: Figure
    adapter: Figure
    gradients: Figure
    optimizer: Figure
    activations: Figure
    overhead: Figure
    reserve: Figure
    validation: Figure
    caching: Figure

    @property
    def total(self) -> Figure:
        """Peak of a training step."""
        names = [field.name for field in fields(self) if field.name not in ("validation", "caching")]
        parts = [getattr(self, name) for name in names]
        return total(parts, "GiB", "sum of the parts of a training step")

    @property
    def peak(self) -> Figure:
        """Most that the run takes at any time."""
        later = total((self.total, self.validation), "GiB", "training step and validation")
        value, low, high = (max(getattr(later, end), getattr(self.caching, end)) for end in ("value", "low", "high"))
        source = later.source if later.value >= self.caching.value else self.caching.source
        return Figure(value, low, high, "GiB", "estimated", source)


def vram(workload: Workload, sharding: Sharding = "none") -> Memory:
    """What ``workload`` takes of each GPU.

    Args:
        workload: What is trained.
        sharding: ``none``: every GPU holds everything. ``zero2``: gradients and optimizer are split (DeepSpeed's
            ZeRO stage 2). ``full``: weights too (FSDP2, ZeRO stage 3).

    Raises:
        UsageError: If the model or a target module is unknown.
    """
    model = models.model_of(workload.family, workload.flavour)
    trained = models.trained_parameters(workload)
    parts = 1 if sharding == "none" else workload.gpus
    is_lora = workload.train == "lora"
    alive, overhead = activation_bytes(workload), _overhead(model)
    return Memory(
        base=_base(model, workload, sharding),
        adapter=_numbers(2 * trained * is_lora, "numbers x 2 bytes (bf16), as saved by SimpleTuner 4.10.1"),
        gradients=_gradients(workload, trained, parts, sharding),
        optimizer=_optimizer(workload.optimizer, trained, parts, sharding),
        activations=_with_band(alive, workload),
        overhead=overhead,
        reserve=_reserve(workload, alive, trained),
        validation=_validation(workload.validation_px),
        caching=_caching(model, workload.resolution_px, overhead),
    )


def counted_gib(workload: Workload) -> float:
    """What PyTorch hands out by counting alone: without workspaces, and without what it keeps in reserve."""
    need, model = vram(workload), models.model_of(workload.family, workload.flavour)
    parts = (need.base, need.adapter, need.gradients, need.optimizer, need.activations)
    return sum(part.value for part in parts) + 2 * model.buffer_values / GIB


def activation_bytes(workload: Workload) -> int:
    """Peak of all that is neither weight, gradient of a weight nor optimizer, in one step on one GPU, in bytes."""
    model = models.model_of(workload.family, workload.flavour)
    count = _sd3_bytes if workload.family == "sd3" else _sd1x_bytes
    adapters = _adapter_bytes(model, workload) if workload.train == "lora" else 0.0
    return round(workload.batch * (count(model, workload) + adapters))


def fits(memory: Memory, gpu: Gpu) -> Verdict:
    """Whether ``memory`` fits ``gpu``: surely, perhaps (within the band), or not even at the band's low end."""
    if memory.peak.high <= gpu.memory_gib:
        return "fits"
    return "tight" if memory.peak.low <= gpu.memory_gib else "does not fit"


def state_bytes(optimizer: str, sharding: Sharding = "none") -> Figure:
    """Bytes that ``optimizer`` keeps for each number that it moves, over all GPUs together."""
    if sharding == "zero2":
        return exact(
            12.0, "bytes", "published", "fp32 weights and two moments, split (ZeRO, arXiv 1910.02054, K = 12)"
        )
    if sharding == "full":
        return Figure(8.0, 4.0, 12.0, "bytes", "estimated", f"two moments {_IN_FP32}")
    if optimizer in _STATE_BYTES:
        seen = "the optimizer objects of SimpleTuner 4.10.1 on bf16"
        return exact(_STATE_BYTES[optimizer], "bytes", "measured", seen)
    if optimizer in _QUANTISED_STATE_BYTES:
        return within(_QUANTISED_STATE_BYTES[optimizer], 0.1, "bytes", "estimated", "moments times bits")
    return Figure(6.0, 0.0, 12.0, "bytes", "estimated", f"{optimizer} was not looked at; AdamW's range")


def _base(model: Model, workload: Workload, sharding: Sharding) -> Figure:
    held = (model.parameters * _WEIGHT_BYTES[workload.precision] + 2 * model.buffer_values) / GIB
    if workload.precision != "bf16":
        return within(held, 0.05, "GiB", "estimated", f"all weights in {workload.precision}")
    if sharding != "full" or workload.gpus == 1:
        return exact(held, "GiB", "computed", "parameters, and the table of positions, x 2 bytes")
    gathered = 2 * 2 * model.parameters / model.blocks / GIB
    share = 4 * model.parameters / workload.gpus / GIB
    return within(share + gathered, 0.1, "GiB", "estimated", f"a share {_IN_FP32}, and two blocks gathered in bf16")


def _gradients(workload: Workload, trained: int, parts: int, sharding: Sharding) -> Figure:
    if workload.gpus == 1:
        return _gradients_alone(workload, trained)
    if parts == 1:
        source = "numbers x 2 bytes (bf16), and DistributedDataParallel's buckets of the same size"
        return _numbers(4 * trained, source)
    bucket = min(2 * trained, 10**9)
    each, kind = (4, _IN_FP32) if sharding == "full" else (2, "in bf16")
    source = f"a share {kind}, and a bucket on its way"
    return within((each * trained / parts + bucket) / GIB, 0.1, "GiB", "estimated", source)


def _gradients_alone(workload: Workload, trained: int) -> Figure:
    """All of them; of a LoRA on SD3 what is more than the backward pass has freed when the last one comes."""
    if workload.train == "full" or workload.family != "sd3":
        return _numbers(2 * trained, "numbers x 2 bytes (bf16)")
    source = "numbers x 2 bytes (bf16), less the activations that are gone by then"
    return _numbers(max(0.0, 2 * trained - _freed_bytes(workload)), source)


def _freed_bytes(workload: Workload) -> float:
    """Activations at the peak that are gone when the backward pass ends: with checkpointing, the blocks' inputs."""
    if not workload.gradient_checkpointing:
        return activation_bytes(workload)
    model = models.model_of(workload.family, workload.flavour)
    return workload.batch * _input_bytes(model, workload.resolution_px)


def _optimizer(optimizer: str, trained: int, parts: int, sharding: Sharding) -> Figure:
    sharded = sharding if parts > 1 else "none"
    return scale(state_bytes(optimizer, sharded), trained / parts / GIB, "GiB")


def _numbers(count_bytes: float, source: str) -> Figure:
    return exact(count_bytes / GIB, "GiB", "computed", source)


def _with_band(count_bytes: int, workload: Workload) -> Figure:
    value = count_bytes / GIB
    if workload.family == "sd3" and workload.train == "lora" and workload.gpus == 1:
        source = f"{_COUNTED}; an H200 held as much, within 1 %"
        return Figure(value, 0.97 * value, 1.03 * value, "GiB", "estimated", source)
    return Figure(value, 0.9 * value, 1.25 * value, "GiB", "estimated", _COUNTED)


def _overhead(model: Model) -> Figure:
    value = _CONTEXT_GIB + _WORKSPACE_GIB + 2 * model.buffer_values / GIB
    low, high = value - _OVERHEAD_BAND_GIB, value + _OVERHEAD_BAND_GIB
    source = "CUDA and workspaces as an H200 showed them, docs/step-table.md"
    return Figure(value, low, high, "GiB", "estimated", source)


def _reserve(workload: Workload, alive_bytes: int, trained: int) -> Figure:
    share = _RESERVE[workload.gradient_checkpointing] * alive_bytes + _RESERVE_OF_GRADIENTS * 2 * trained
    value = _RESERVE_GIB + share / GIB
    source = "what PyTorch kept on an H200, docs/step-table.md; it gives it back when memory runs short"
    return Figure(value, 0.0, 1.5 * value, "GiB", "estimated", source)


def _validation(validation_px: int) -> Figure:
    if validation_px == 0:
        return exact(0.0, "GiB", "computed", "no validation")
    decode = _DECODE_BYTES_PX * validation_px**2 / GIB
    return Figure(_VAE_GIB + decode, 0.0, _VAE_GIB + 1.5 * decode, "GiB", "estimated", f"VAE and decoding; {_GUIDE}")


def _caching(model: Model, resolution_px: int, overhead: Figure) -> Figure:
    encoders = sum(2 * count for name, count, _ in model.files if name != "VAE") / GIB
    pictures = _VAE_GIB + _ENCODED_AT_ONCE * _ENCODE_BYTES_PX * resolution_px**2 / GIB
    held = exact(max(encoders, pictures), "GiB", "computed", "")
    return total((held, overhead), "GiB", "encoding captions (all text encoders in bf16), then pictures")


def _sd3_bytes(model: Model, workload: Workload) -> float:
    fit = _SD3_FITS[workload.train, workload.gradient_checkpointing]
    image = models.tokens(model, "image", 2, workload.resolution_px)
    dual = next(one.count for one in model.attentions if one.keys == "image")
    if workload.gradient_checkpointing:
        again = image * (fit.image + fit.dual * (dual > 0)) + model.text_tokens * fit.text
        return _input_bytes(model, workload.resolution_px) + model.width * again
    by_block = model.blocks * (image * fit.image + model.text_tokens * fit.text)
    return model.width * (by_block + dual * image * fit.dual)


def _input_bytes(model: Model, resolution_px: int) -> float:
    """Of what goes into every block, kept with checkpointing, of one sample."""
    image = models.tokens(model, "image", 2, resolution_px)
    return 2.0 * model.width * model.blocks * (image + model.text_tokens)


def _sd1x_bytes(model: Model, workload: Workload) -> float:
    bytes_each = _SD1X_FITS[workload.train, workload.gradient_checkpointing]
    return bytes_each * model.width * models.latent_px(workload.resolution_px) ** 2


def _adapter_bytes(model: Model, workload: Workload) -> float:
    """What a LoRA adds: its inner numbers in bf16, and with dropout its dropped inputs and their masks."""
    numbers, inputs = 0.0, 0.0
    for layer in models.lora_layers(model, workload.targets):
        share = _alive_share(model, layer, workload)
        seen = share * layer.count * models.tokens(model, layer.stream, layer.shrink, workload.resolution_px)
        numbers += seen * workload.rank
        inputs += seen * layer.inputs
    return 2 * numbers + _DROPOUT_BYTES[workload.family] * inputs * (workload.dropout > 0)


def _alive_share(model: Model, layer: Layer, workload: Workload) -> float:
    """The share of such layers whose inner numbers are alive at the peak: with checkpointing, one block's."""
    if not workload.gradient_checkpointing:
        return 1.0
    if workload.family == "sd1x":
        return (layer.shrink == 1 and layer.stream == "image") / _FIRST_LEVEL_BLOCKS
    is_doubled = layer.stream == "image" and layer.count > model.blocks
    return (2 if is_doubled else 1) / layer.count
