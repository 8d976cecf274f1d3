"""How long a run takes: what was measured where it was, a formula fitted to that elsewhere, with bands.

Steps of SD3 are those of :mod:`kanjiprep.training.step_table` on the very card and setting, else of
:mod:`kanjiprep.training.pace`. For SD 1.5, of which nothing was measured, operations at a share of a GPU's peak.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

from kanjiprep.errors import UsageError
from kanjiprep.training import flops, models, pace, step_table
from kanjiprep.training.gpus import Gpu
from kanjiprep.training.models import Workload
from kanjiprep.training.provenance import Figure, scale, total

_UTILISATION: Final = Figure(
    0.22,
    0.1,
    0.5,
    "of peak",
    "estimated",
    "a UNet's small levels leave a GPU idle: no published figure; SD3.5 Large reached 0.04 to 0.34 of an H200's peak",
)
"""Share of the dense bf16 peak that a model reaches of which no step was measured."""
_QUANTISED: Final = (1.0, 1.3, 1.67)
"""Factors on the time when weights are unpacked for every use: at best, likely, at worst; no published figure."""
_SCALING: Final = Figure(0.95, 0.85, 1.0, "of linear", "estimated", "one machine, gradients exchanged meanwhile")

_DOWNLOAD_BYTES_S: Final = Figure(2e8, 5e7, 1e9, "bytes/s", "estimated", "Hub to a data centre; not measured")
_WRITE_BYTES_S: Final = Figure(8e8, 2e8, 2e9, "bytes/s", "estimated", "one disk of a rented machine; not measured")
_START_S: Final = Figure(180.0, 60.0, 480.0, "s", "estimated", "importing, loading and moving weights; not measured")
_ENCODE_UTILISATION: Final = Figure(0.2, 0.08, 0.4, "of peak", "estimated", "convolutions and small batches; a guess")


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


def step_seconds(workload: Workload, gpu: Gpu) -> Figure:
    """What one optimizer step takes on ``gpu``, in seconds.

    Raises:
        UsageError: If the GPU has no bf16, or the model or a target module is unknown.
    """
    _peak(gpu)
    alone = replace(workload, gpus=1)
    seen = step_table.find(alone, gpu.name)
    seconds = seen.seconds if seen else _estimated(alone, gpu)
    return seconds if workload.gpus == 1 else _divided(seconds, _SCALING)


def _estimated(workload: Workload, gpu: Gpu) -> Figure:
    if workload.family != "sd3":
        return _seconds(flops.of_step(workload).total, gpu, _UTILISATION)
    return _unpacked(pace.estimate(pace.training(workload), gpu), workload)


def _unpacked(seconds: Figure, workload: Workload) -> Figure:
    if workload.precision == "bf16":
        return seconds
    best, likely, worst = _QUANTISED
    source = f"{seconds.source}; {best:g} to {worst:g} times as long for weights in {workload.precision}, a guess"
    return Figure(seconds.value * likely, seconds.low * best, seconds.high * worst, "s", "estimated", source)


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
        setup=_setup_hours(workload),
        caches=_cache_hours(workload, gpu, samples),
        training=scale(step_seconds(workload, gpu), steps / 3600, "h"),
        validation=validation_hours(workload, gpu, drawing),
        checkpoints=scale(_divided(written, _WRITE_BYTES_S), 1 / 3600, "h", f"all their bytes at {_WRITE_BYTES_S}"),
    )


def _setup_hours(workload: Workload) -> Figure:
    """Downloading the model and loading it, in hours."""
    model = models.model_of(workload.family, workload.flavour)
    fetched = _divided(models.download_bytes(model), _DOWNLOAD_BYTES_S)
    return scale(total((fetched, _START_S), "s", "download and start; not measured"), 1 / 3600, "h")


def _cache_hours(workload: Workload, gpu: Gpu, samples: int) -> Figure:
    """Encoding every picture and caption once, in hours.

    Raises:
        UsageError: If the GPU has no bf16.
    """
    model = models.model_of(workload.family, workload.flavour)
    encoders = sum(count for name, count, _ in model.files if name != "VAE")
    each = flops.vae_flops("encode", workload.resolution_px) + 2 * encoders * model.text_tokens
    return scale(_seconds(each * samples / workload.gpus, gpu, _ENCODE_UTILISATION), 1 / 3600, "h")


def validation_hours(workload: Workload, gpu: Gpu, drawing: Drawing) -> Figure:
    """Drawing validation pictures, in hours; several GPUs share them.

    Source: SimpleTuner 4.10.1, validation_multigpu is batch-parallel by default.

    Raises:
        UsageError: If the GPU has no bf16.
    """
    decoded = _seconds(flops.vae_flops("decode", workload.validation_px), gpu, _ENCODE_UTILISATION)
    steps = scale(_picture_step(workload, gpu, is_guided=drawing.is_guided), drawing.steps, "s")
    each = total((steps, decoded), "s", f"{steps.source}; and the VAE")
    return scale(each, drawing.pictures / workload.gpus / 3600, "h")


def _picture_step(workload: Workload, gpu: Gpu, *, is_guided: bool) -> Figure:
    """One step of inference for one picture; without guidance half of the card's part, and no less of the rest."""
    once = 1.0 if is_guided else 0.5
    if workload.family == "sd3":
        work = pace.drawing(workload, workload.validation_px)
        return _unpacked(pace.estimate(pace.shrunk(work, once), gpu), workload)
    return _seconds(once * flops.of_picture_step(workload, workload.validation_px).total, gpu, _UTILISATION)


def _peak(gpu: Gpu) -> float:
    if gpu.bf16_tflops is None:
        raise UsageError(f"{gpu.title} has no bf16, in which the trainer computes", gpu.name, "choose a newer GPU")
    return gpu.bf16_tflops * 1e12


def _seconds(count: float, gpu: Gpu, share: Figure) -> Figure:
    peak = _peak(gpu)
    source = f"operations at {share.low:g} to {share.high:g} of {gpu.bf16_tflops:g} TFLOP/s ({gpu.tflops_source})"
    source = f"{source}; {share.source}"
    value, low, high = (count / peak / used for used in (share.value, share.high, share.low))
    return Figure(value, low, high, "s", "estimated", source)


def _divided(figure: Figure, by: Figure) -> Figure:
    source = f"{figure.source}; at {by}"
    value, low, high = figure.value / by.value, figure.low / by.high, figure.high / by.low
    return Figure(value, low, high, "s", "estimated", source)
