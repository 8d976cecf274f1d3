"""What rules judge: SimpleTuner's own files, read as SimpleTuner reads them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

Table = Mapping[str, object]

DEFAULTS: Final[Table] = {
    "caption_strategy": "filename",
    "checkpoint_step_interval": 500,
    "checkpoints_total_limit": 5,
    "flow_schedule_shift": 3.0,
    "grad_clip_method": "value",
    "gradient_accumulation_steps": 1,
    "gradient_checkpointing": True,
    "learning_rate": 4e-7,
    "lora_format": "diffusers",
    "lora_rank": 16,
    "lora_type": "standard",
    "lr_end": 4e-7,
    "lr_power": 0.8,
    "lr_scheduler": "constant_with_warmup",
    "lr_warmup_steps": 0,
    "max_grad_norm": 2.0,
    "model_card_private": True,
    "num_train_epochs": 1,
    "report_to": "none",
    "resolution": 1024,
    "resolution_type": "pixel_area",
    "resume_from_checkpoint": "latest",
    "tracker_project_name": "simpletuner",
    "train_batch_size": 4,
    "validation_guidance": 7.5,
    "validation_resolution": "256",
    "validation_step_interval": 100,
}
"""What SimpleTuner takes for keys that are not there. Source: read from the live parser of 4.10.1."""

OLD_NAMES: Final[Mapping[str, str]] = {
    "checkpointing_steps": "checkpoint_step_interval",
    "save_total_limit": "checkpoints_total_limit",
    "validation_steps": "validation_step_interval",
}
"""Names that SimpleTuner still takes for newer ones with the same meaning. Source: cli_utils.py."""

KEPT_WHOLE: Final = frozenset(
    {
        "deepspeed_config",
        "diffusion_blocks_config",
        "distillation_config",
        "flow_cubic_schedule_weights",
        "ltx2_intrinsic_conditioning",
        "modelspec_comment",
        "moss_image_uncond_skip_layers",
        "peft_lora_target_modules",
        "publishing_config",
        "tread_config",
        "validation_input",
        "validation_ltx2_video_conditioning",
        "webhook_config",
    }
)
"""Keys whose lists and tables reach the trainer whole; report_to takes a list as well. Source: cli_utils.py."""

TRAINED: Final = frozenset({"image", "video", "audio"})
"""Kinds of datasets that a run learns from."""

_TRUE: Final = frozenset({"1", "true", "t", "yes", "y", "on"})


@dataclass(frozen=True, slots=True)
class Context:
    """What is known beside the files; everything may be unknown.

    Attributes:
        samples: Pictures in the dataset.
        bucket_sizes: Pictures by bucket (width / height, as a number in text) of the whole dataset.
        captions_over_clip: Captions longer than CLIP's 77 tokens.
        captions_over_t5: Captions longer than the 154 tokens that the trainer gives T5.
        gpus: That share the work.
        total_steps: Optimizer steps of the whole run.
        checkpoint_bytes: Size of one checkpoint.
        other_bytes: All else that the run writes: model, caches, pictures, result.
        free_disk_bytes: Free where the checkpoints go.
        training_s: Estimate for all training steps.
        validation_s: Estimate for all validation pictures.
        output_checkpoints: Steps of the checkpoints that are already in output_dir.
        previous: config.json of the run that made them.
    """

    samples: int | None = None
    bucket_sizes: Mapping[str, int] | None = None
    captions_over_clip: int | None = None
    captions_over_t5: int | None = None
    gpus: int = 1
    total_steps: int | None = None
    checkpoint_bytes: int | None = None
    other_bytes: int = 0
    free_disk_bytes: int | None = None
    training_s: float | None = None
    validation_s: float | None = None
    output_checkpoints: tuple[int, ...] = ()
    previous: Table | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """A config to judge; leading dashes of its keys are taken off.

    Attributes:
        config: config.json, flat.
        backends: multidatabackend.json; empty means unknown.
        context: What is known beside them.
    """

    config: Table
    backends: tuple[Table, ...] = ()
    context: Context = field(default_factory=Context)

    def __post_init__(self) -> None:
        plain = {key.strip().lstrip("-"): value for key, value in self.config.items()}
        object.__setattr__(self, "config", plain)

    def given(self, key: str) -> object:
        """What reaches the trainer for ``key``, or None if it is absent or dropped on the way."""
        names = {key, *(old for old, new in OLD_NAMES.items() if new == key)}
        values = [as_read(key, value) for name, value in self.config.items() if name in names]
        return next((value for value in reversed(values) if value is not None), None)

    def value(self, key: str) -> object:
        """What is given for ``key``, else the trainer's default, else None."""
        given = self.given(key)
        return DEFAULTS.get(key) if given is None else given

    def number(self, key: str) -> float | None:
        """``value`` as a number, or None if it is none."""
        return as_number(self.value(key))

    def whole(self, key: str) -> int:
        """``value`` as a whole number, 0 if it is none."""
        number = self.number(key)
        return 0 if number is None else int(number)

    def text(self, key: str) -> str:
        """``value`` as a text, empty if there is none."""
        value = self.value(key)
        return "" if value is None else str(value)

    def flag(self, key: str) -> bool:
        """``value`` as the trainer's parser understands a switch."""
        return self.text(key).strip().lower() in _TRUE

    @property
    def family(self) -> str:
        """The model family in lower case, as the trainer compares it."""
        return self.text("model_family").strip().lower()

    @property
    def is_lora(self) -> bool:
        """Whether a LoRA of the standard kind is trained: the one that lora_rank and lora_alpha shape."""
        return self.text("model_type") == "lora" and self.text("lora_type").lower() == "standard"

    @property
    def total_steps(self) -> int | None:
        """Optimizer steps of the run, if anybody knows them."""
        return self.context.total_steps or self.whole("max_train_steps") or None

    @property
    def datasets(self) -> tuple[Table, ...]:
        """The datasets that are not disabled."""
        return tuple(one for one in self.backends if not (one.get("disabled") or one.get("disable")))

    @property
    def trained(self) -> tuple[Table, ...]:
        """The datasets that the run learns from."""
        return tuple(one for one in self.datasets if kind(one) in TRAINED)

    @property
    def trackers(self) -> tuple[str, ...]:
        """What report_to names, in lower case."""
        raw = self.value("report_to")
        parts = raw if isinstance(raw, list | tuple) else [raw]
        names = (name.strip().lower() for part in parts for name in str(part).split(","))
        return tuple(dict.fromkeys(filter(None, names)))


def as_read(key: str, value: object) -> object:
    """What is left of a JSON value when it reaches the trainer's parser; None for nothing.

    Source: SimpleTuner 4.10.1 helpers/configuration/cli_utils.py mapping_to_cli_args.
    """
    if key in KEPT_WHOLE:
        return value
    if isinstance(value, Mapping):
        return None
    if isinstance(value, list | tuple) and key != "report_to":
        items = [item for item in value if str(item).strip()]
        return items[-1] if items else None
    if isinstance(value, str):
        return _as_read_text(key, value.strip())
    return value


def _as_read_text(key: str, text: str) -> object:
    if not text:
        return "" if key == "resume_from_checkpoint" else None
    return {"false": None, "true": True}.get(text.lower(), text)


def as_number(value: object) -> float | None:
    """A finite number, or a text that holds one, as a float; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def kind(dataset: Table) -> str:
    """The dataset_type, which is image unless said otherwise."""
    if dataset.get("conditioning_type") is not None:
        return "conditioning"
    return str(dataset.get("dataset_type") or "image").strip().lower()


def name_of(dataset: Table) -> str:
    """How to speak of a dataset: by its id, if it has one."""
    return str(dataset.get("id") or "a dataset without id")


def key_of(dataset: Table, key: str) -> str:
    """Where ``key`` of ``dataset`` is, for a finding."""
    return f"{name_of(dataset)}.{key}"


def steps_in_words(steps: Iterable[int], limit: int = 4) -> str:
    """``4,800, 9,600 and so on`` for the first ``limit`` of some steps."""
    listed = list(steps)
    words = ", ".join(f"{step:,}" for step in listed[:limit])
    return f"{words} and so on" if len(listed) > limit else words
