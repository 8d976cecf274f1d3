"""How long a run takes, from counted operations and a band of how much of a GPU's peak such work reaches.

Forward operations agree with torch's FlopCounterMode on the real models to the last one; those of a training step
within 1 % for SD3 and 13 % for SD 1.5. What is estimated is the utilisation.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final, Literal

from kanjiprep.errors import UsageError
from kanjiprep.training import models
from kanjiprep.training.gpus import Gpu
from kanjiprep.training.models import Model, Workload
from kanjiprep.training.provenance import Figure, exact, scale, total
from kanjiprep.training.shapes import Attention, Layer

UTILISATION: Final = Figure(
    0.35,
    0.25,
    0.5,
    "of peak",
    "estimated",
    "SD3.5 Large drew 50 steps at 1024 px on an H100 in 11.6 s (eager) and 7.5 s (compiled), onnxruntime PR 22986: "
    "0.26 and 0.41 of peak if guided, as by default; large transformers train at 0.44 to 0.57 on A100s, Megatron-LM",
)
"""Share of the dense bf16 peak that a GPU with enough to do reaches."""
_IDLE_LOW: Final = 0.1
"""Low end where a GPU has too little to do (one picture of 512 px, a UNet's small levels); no published figure."""
_ENOUGH_TOKENS: Final = 4096
_QUANTISED_SHARE: Final = 0.6
"""Low end of what remains when weights are unpacked for every use; no published figure."""
_SCALING: Final = Figure(0.95, 0.85, 1.0, "of linear", "estimated", "one machine, gradients exchanged meanwhile")
_BACKWARD_ATTENTION: Final = 2.5
"""Flash attention's backward pass is five products to the forward pass's two (arXiv 2205.14135)."""

_DOWNLOAD_BYTES_S: Final = Figure(2e8, 5e7, 1e9, "bytes/s", "estimated", "Hub to a data centre; not measured")
_WRITE_BYTES_S: Final = Figure(8e8, 2e8, 2e9, "bytes/s", "estimated", "one disk of a rented machine; not measured")
_START_S: Final = Figure(180.0, 60.0, 480.0, "s", "estimated", "importing, loading and moving weights; not measured")
_ENCODE_UTILISATION: Final = Figure(0.2, 0.08, 0.4, "of peak", "estimated", "convolutions and small batches; a guess")

_VAE_FLOPS_PX: Final = {"encode": 4_132_096, "decode": 9_462_784}
_VAE_ATTENTION: Final = 0.5
"""Operations of the VAE: a x px^2, and 0.5 x px^4 of its one attention; counted at 512 and 1024 px."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """Validation pictures of a whole run.

    Attributes:
        pictures: How many in all.
        steps: Of inference for each.
        is_guided: Whether every step computes the model twice.
    """

    pictures: int
    steps: int
    is_guided: bool = True


@dataclass(frozen=True, slots=True)
class Duration:
    """A run, in hours.

    Attributes:
        setup: Downloading and loading, once.
        caches: Encoding pictures and captions, once.
        training: All steps.
        validation: Pictures between.
        checkpoints: Writing them, while training waits.
    """

    setup: Figure
    caches: Figure
    training: Figure
    validation: Figure
    checkpoints: Figure

    @property
    def total(self) -> Figure:
        """Hours that are paid for."""
        return total((getattr(self, one.name) for one in fields(self)), "h", "the sum of the parts of the run")


def forward_flops(model: Model, resolution_px: int) -> int:
    """Operations of one forward pass of one sample; a multiplication and an addition count two."""
    linear = sum(_linear_flops(model, layer, resolution_px) for layer in model.layers)
    return linear + sum(_attention_flops(model, one, resolution_px) for one in model.attentions)


def step_flops(workload: Workload) -> Figure:
    """Operations of one optimizer step on one GPU: every batch of it, recomputation included.

    A frozen layer needs no gradient of its weights, so its backward pass costs one forward pass instead of two.
    """
    model = models.model_of(workload.family, workload.flavour)
    px, again = workload.resolution_px, int(workload.gradient_checkpointing)
    linear = sum(_linear_flops(model, layer, px) for layer in model.layers)
    attention = sum(_attention_flops(model, one, px) for one in model.attentions)
    backward = 1 if workload.train == "lora" else 2
    sample = linear * (1 + again + backward) + attention * (1 + again + _BACKWARD_ATTENTION)
    if workload.train == "lora":
        sample += _lora_flops(model, workload) * (1 + again + 2)
    count = sample * workload.batch * workload.accumulation
    return exact(count, "FLOP", "computed", "products of matrices in the model's shape")


def utilisation(workload: Workload) -> Figure:
    """The share of peak that ``workload`` reaches: a band that widens where less is known."""
    model = models.model_of(workload.family, workload.flavour)
    image = models.tokens(model, "image", 2, workload.resolution_px) * workload.batch
    low = UTILISATION.low
    if image < _ENOUGH_TOKENS or workload.family != "sd3":
        low = _IDLE_LOW
    value = (low * UTILISATION.high) ** 0.5
    if workload.precision != "bf16":
        low, value = low * _QUANTISED_SHARE, value * _QUANTISED_SHARE**0.5
    return replace(UTILISATION, value=value, low=low)


def step_seconds(workload: Workload, gpu: Gpu) -> Figure:
    """What one optimizer step takes on ``gpu``, in seconds.

    Raises:
        UsageError: If the GPU has no bf16, or the model or a target module is unknown.
    """
    seconds = _seconds(step_flops(workload).value, gpu, utilisation(workload))
    return seconds if workload.gpus == 1 else _divided(seconds, _SCALING)


def duration(workload: Workload, gpu: Gpu, steps: int, samples: int, drawing: Drawing, written: Figure) -> Duration:
    """What a whole run takes.

    Args:
        workload: What is trained.
        gpu: On what.
        steps: Optimizer steps.
        samples: Pictures with captions, each encoded once before training.
        drawing: All validation pictures.
        written: Bytes of all checkpoints.

    Raises:
        UsageError: As :func:`step_seconds`.
    """
    return Duration(
        setup=setup_hours(workload),
        caches=cache_hours(workload, gpu, samples),
        training=scale(step_seconds(workload, gpu), steps / 3600, "h"),
        validation=validation_hours(workload, gpu, drawing),
        checkpoints=scale(_divided(written, _WRITE_BYTES_S), 1 / 3600, "h", f"all their bytes at {_WRITE_BYTES_S}"),
    )


def setup_hours(workload: Workload) -> Figure:
    """Downloading the model and loading it, in hours."""
    model = models.model_of(workload.family, workload.flavour)
    fetched = _divided(models.download_bytes(model), _DOWNLOAD_BYTES_S)
    return scale(total((fetched, _START_S), "s", "download and start; not measured"), 1 / 3600, "h")


def cache_hours(workload: Workload, gpu: Gpu, samples: int) -> Figure:
    """Encoding every picture and caption once, in hours.

    Raises:
        UsageError: If the GPU has no bf16.
    """
    model = models.model_of(workload.family, workload.flavour)
    encoders = sum(count for name, count, _ in model.files if name != "VAE")
    each = vae_flops("encode", workload.resolution_px) + 2 * encoders * model.text_tokens
    return scale(_seconds(each * samples / workload.gpus, gpu, _ENCODE_UTILISATION), 1 / 3600, "h")


def validation_hours(workload: Workload, gpu: Gpu, drawing: Drawing) -> Figure:
    """Drawing validation pictures, in hours; several GPUs share them.

    Source: SimpleTuner 4.10.1, validation_multigpu is batch-parallel by default.

    Raises:
        UsageError: If the GPU has no bf16.
    """
    model = models.model_of(workload.family, workload.flavour)
    passes = drawing.steps * (2 if drawing.is_guided else 1)
    each = passes * forward_flops(model, workload.validation_px) + vae_flops("decode", workload.validation_px)
    share = utilisation(replace(workload, batch=1, resolution_px=workload.validation_px))
    return scale(_seconds(each * drawing.pictures / workload.gpus, gpu, share), 1 / 3600, "h")


def vae_flops(way: Literal["encode", "decode"], resolution_px: int) -> float:
    """Operations of the VAE on one picture, ``encode`` or ``decode``; the VAEs of SD3 and SD 1.5 differ by 0.1 %."""
    return _VAE_FLOPS_PX[way] * resolution_px**2 + _VAE_ATTENTION * resolution_px**4


def _linear_flops(model: Model, layer: Layer, resolution_px: int) -> int:
    seen = models.tokens(model, layer.stream, layer.shrink, resolution_px)
    return 2 * layer.inputs * layer.outputs * layer.kernel * layer.count * seen


def _attention_flops(model: Model, attention: Attention, resolution_px: int) -> int:
    image = models.tokens(model, "image", attention.shrink, resolution_px)
    both = image + model.text_tokens
    asked, answering = {"image": (image, image), "text": (image, model.text_tokens), "both": (both, both)}[
        attention.keys
    ]
    return 4 * asked * answering * attention.width * attention.count


def _lora_flops(model: Model, workload: Workload) -> int:
    return sum(
        2
        * workload.rank
        * (layer.inputs + layer.outputs)
        * layer.count
        * models.tokens(model, layer.stream, layer.shrink, workload.resolution_px)
        for layer in models.lora_layers(model, workload.targets)
    )


def _seconds(flops: float, gpu: Gpu, share: Figure) -> Figure:
    if gpu.bf16_tflops is None:
        raise UsageError(f"{gpu.title} has no bf16, in which the trainer computes", gpu.name, "choose a newer GPU")
    peak = gpu.bf16_tflops * 1e12
    source = f"operations at {share.low:g} to {share.high:g} of {gpu.bf16_tflops:g} TFLOP/s ({gpu.tflops_source})"
    value, low, high = (flops / peak / used for used in (share.value, share.high, share.low))
    return Figure(value, low, high, "s", "estimated", source)


def _divided(figure: Figure, by: Figure) -> Figure:
    source = f"{figure.source}; at {by}"
    value, low, high = figure.value / by.value, figure.low / by.high, figure.high / by.low
    return Figure(value, low, high, "s", "estimated", source)
