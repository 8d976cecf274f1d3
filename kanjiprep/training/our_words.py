"""SimpleTuner's keys in the words of run.toml, so that a finding can be acted on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from kanjiprep.training.rules import Finding

KEYS: Final[Mapping[str, str]] = {
    "base_model_precision": "model.precision",
    "caption_dropout_probability": "training.caption_dropout",
    "checkpoint_step_interval": "checkpoints.every_steps or every_epochs",
    "checkpoints_total_limit": "checkpoints.keep",
    "flow_schedule_shift": "training.flow_shift",
    "grad_clip_method": "optimizer.clip",
    "gradient_accumulation_steps": "training.accumulation",
    "gradient_checkpointing": "training.gradient_checkpointing",
    "learning_rate": "optimizer.learning_rate",
    "lora_alpha": "lora.alpha",
    "lora_dropout": "lora.dropout",
    "lora_rank": "lora.rank",
    "lr_end": "schedule.end_learning_rate",
    "lr_power": "schedule.power",
    "lr_scheduler": "schedule.shape",
    "lr_warmup_steps": "schedule.shape with warmup_steps or half_period_steps",
    "max_grad_norm": "optimizer.clip_at",
    "max_train_steps": "training.steps or epochs",
    "model_family": "model.family",
    "model_flavour": "model.flavour",
    "model_type": "model.train",
    "optimizer": "optimizer.name",
    "peft_lora_target_modules": "lora.targets",
    "pretrained_model_name_or_path": "model.path",
    "repeats": "training.repeats",
    "report_to": "tracker.service",
    "resolution": "training.resolution_px",
    "seed": "training.seed",
    "train_batch_size": "training.batch",
    "validation_guidance": "validation.guidance",
    "validation_guidance_skip_layers": "validation.skip_layers",
    "validation_negative_prompt": "validation.style",
    "validation_num_inference_steps": "validation.inference_steps",
    "validation_resolution": "validation.size_px",
    "validation_seed": "validation.seed",
    "validation_step_interval": "validation.every_steps",
}
"""The key or keys of run.toml from which each is rendered."""

_WORD: Final = re.compile(r"[a-z]+(?:_[a-z]+)*")


def named_in(finding: Finding) -> tuple[str, ...]:
    """The keys of run.toml that ``finding`` is about: its own, and those that its remedy names."""
    own = finding.key.rpartition(".")[2]
    words = [own, *_WORD.findall(finding.fix)]
    return tuple(dict.fromkeys(KEYS[word] for word in words if word in KEYS))
