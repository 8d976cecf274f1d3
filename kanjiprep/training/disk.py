"""How much disk a run takes: caches, checkpoints, the model, and the result.

File sizes are formulas checked against files that SimpleTuner 4.10.1 wrote in two steps with the tiny SD3, rank 64.
It saves adapters in bf16 whatever the optimizer (seen with adamw_bf16, optimi-stableadamw and torch-adamw).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from kanjiprep.training import memory, models
from kanjiprep.training.memory import Sharding
from kanjiprep.training.models import Model, Workload
from kanjiprep.training.provenance import Figure, exact, scale, total

_HEADER_BYTES: Final = (2_000, 150)
"""Of a safetensors file: the metadata, and each tensor's name, shape and place. Seen: 5,016 bytes for 24 tensors."""
_STATE_BYTES: Final = 900
"""Of optimizer.bin for each tensor, beside the numbers. Seen: 844 to 1,123."""
_REST_BYTES: Final = (18_000, 110)
"""The other files of a checkpoint: random states and schedules, and each picture in the list of those seen."""
_TEXT_SHARE: Final = (0.8, 0.5, 1.0)
"""What gzip leaves of a text embedding. Seen: 0.58 with the tiny model, whose padding packs well; noise would not."""
_LATENT_SHARE: Final = (0.94, 0.85, 1.0)
"""What gzip leaves of a latent. Seen: 0.94, random VAE."""
_PICTURE_BYTES_PX: Final = (0.7, 0.05, 3.0)
"""A PNG's bytes a pixel: black strokes on white to noise; a guess between known ends."""
_SEEN: Final = "sizes that SimpleTuner 4.10.1 wrote with the tiny SD3"


@dataclass(frozen=True, slots=True)
class Pictures:
    """Checkpoints and validation pictures of the run.

    Attributes:
        checkpoint_every_steps: From one checkpoint to the next.
        checkpoints: Written in all.
        kept: At once, at most.
        validation_every_steps: From one validation to the next.
        rounds: Validations in all.
        prompts: Pictures a round.
    """

    checkpoint_every_steps: int
    checkpoints: int
    kept: int
    validation_every_steps: int
    rounds: int
    prompts: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The files of one checkpoint, in bytes."""

    weights: Figure
    optimizer: Figure
    rest: Figure

    @property
    def total(self) -> Figure:
        """The folder."""
        return total((getattr(self, one.name) for one in fields(self)), "bytes", "files of one checkpoint")


@dataclass(frozen=True, slots=True)
class Disk:
    """What a run leaves on the disk, in bytes.

    Attributes:
        checkpoint: One of them.
        checkpoints: As many as are kept at once, and the one being written.
        result: The final adapter, or for full fine-tuning the whole pipeline.
        text_cache: Encoded captions.
        latent_cache: Encoded pictures.
        pictures: Validation pictures, each once.
        download: The model.
    """

    checkpoint: Checkpoint
    checkpoints: Figure
    result: Figure
    text_cache: Figure
    latent_cache: Figure
    pictures: Figure
    download: Figure

    @property
    def total(self) -> Figure:
        """All of it at the end."""
        parts = [getattr(self, one.name) for one in fields(self) if one.name != "checkpoint"]
        return total(parts, "bytes", "checkpoints, result, caches, pictures and model")


def disk(workload: Workload, samples: int, made: Pictures, sharding: Sharding = "none") -> Disk:
    """What a run takes of the disk.

    Args:
        workload: What is trained.
        samples: Pictures with a caption each.
        made: Checkpoints and validation pictures.
        sharding: As ``memory.vram`` takes it.

    Raises:
        UsageError: If the model or a target module is unknown.
    """
    model = models.model_of(workload.family, workload.flavour)
    one = checkpoint(workload, samples, made.prompts, sharding)
    at_once = min(made.checkpoints, made.kept + 1)
    return Disk(
        checkpoint=one,
        checkpoints=scale(one.total, at_once, "bytes", "as many as are kept, and one being written"),
        result=_result(model, workload, one.weights),
        text_cache=text_cache_bytes(model, samples),
        latent_cache=latent_cache_bytes(model, workload.resolution_px, samples),
        pictures=_pictures(workload.validation_px, made.rounds * made.prompts),
        download=models.download_bytes(model),
    )


def checkpoint(workload: Workload, samples: int, pictures: int, sharding: Sharding = "none") -> Checkpoint:
    """The files of one checkpoint.

    Raises:
        UsageError: If the model or a target module is unknown.
    """
    model = models.model_of(workload.family, workload.flavour)
    trained = models.trained_parameters(workload)
    tensors = _tensors(model, workload)
    buffers = model.buffer_values if workload.train == "full" else 0
    weights = 2 * (trained + buffers) + _HEADER_BYTES[0] + _HEADER_BYTES[1] * tensors
    states = scale(memory.state_bytes(workload.optimizer, sharding), trained, "bytes")
    own = exact(_STATE_BYTES * tensors, "bytes", "measured", _SEEN)
    few = _REST_BYTES[0] * workload.gpus + _REST_BYTES[1] * samples
    rest = (exact(few, "bytes", "measured", _SEEN), _pictures(workload.validation_px, pictures))
    return Checkpoint(
        weights=exact(weights, "bytes", "computed", "numbers x 2 bytes (bf16) and a header"),
        optimizer=total((states, own), "bytes", "numbers x the optimizer's bytes"),
        rest=total(rest, "bytes", "random states, the list of pictures seen, validation pictures"),
    )


def text_cache_bytes(model: Model, captions: int) -> Figure:
    """Encoded captions: every token in bf16, packed by gzip."""
    each = 2 * (model.text_tokens * model.text_width + _POOLED * (model.prediction == "flow"))
    return _shares(each * captions, _TEXT_SHARE, "tokens x width x 2 bytes, gzip")


def latent_cache_bytes(model: Model, resolution_px: int, samples: int) -> Figure:
    """Encoded pictures: latents in bf16, as a GPU's VAE gives them (on a CPU they are fp32), packed by gzip."""
    each = 2 * model.latent_channels * models.latent_px(resolution_px) ** 2
    return _shares(each * samples, _LATENT_SHARE, "latent numbers x 2 bytes, gzip")


_POOLED: Final = 2048


def _tensors(model: Model, workload: Workload) -> int:
    if workload.train == "lora":
        return 2 * models.lora_modules(model, workload.targets)
    return sum(layer.count * (1 + layer.has_bias) for layer in model.layers)


def _result(model: Model, workload: Workload, weights: Figure) -> Figure:
    if workload.train == "lora":
        return weights
    return total((weights, models.download_bytes(model)), "bytes", "the whole pipeline, text encoders at most")


def _pictures(px: int, pictures: int) -> Figure:
    return _shares(px**2 * pictures, _PICTURE_BYTES_PX, "pixels x bytes of a PNG")


def _shares(raw: float, shares: tuple[float, float, float], source: str) -> Figure:
    value, low, high = (raw * share for share in shares)
    return Figure(value, low, high, "bytes", "estimated", source)
