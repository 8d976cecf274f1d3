"""diffusers' script train_text_to_image.py as it was on one day: where it is, what it needs, which options it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Kind = Literal["flag", "int", "float", "text", "texts"]

NAME: Final = "train_text_to_image.py"
VERSION: Final = "0.40.0"
"""Of diffusers. The script of a version asks for that version or a newer one."""
COMMIT: Final = "d035dcd7cc7c88e0a154609b62887d50bba9fdc2"
"""What the tag of that version stands for."""
COMMITTED: Final = "2026-08-20"
URL: Final = f"https://raw.githubusercontent.com/huggingface/diffusers/v{VERSION}/examples/text_to_image/{NAME}"
SHA256: Final = "d4430bca96ab52aaed12d99132a4410b2db4b1114ec4cf85fb24cc0889ed8408"

REQUIREMENTS: Final = (
    f"diffusers=={VERSION}",
    "accelerate==1.15.0",
    "datasets==5.2.0",
    "ftfy==6.3.1",
    "tensorboard==2.21.0",
    "torch==2.13.0",
    "torchvision==0.28.0",
    "transformers==5.24.0",
)
"""Versions with which the command line was tried: two steps on a CPU, from pictures to a pipeline that loads."""

_BY_KIND: Final[Mapping[Kind, str]] = {
    "flag": "allow_tf32 center_crop dream_training enable_xformers_memory_efficient_attention foreach_ema "
    "gradient_checkpointing offload_ema push_to_hub random_flip scale_lr use_8bit_adam use_ema",
    "int": "checkpointing_steps checkpoints_total_limit dataloader_num_workers gradient_accumulation_steps "
    "local_rank lr_warmup_steps max_train_samples max_train_steps num_train_epochs resolution seed train_batch_size "
    "validation_epochs",
    "float": "adam_beta1 adam_beta2 adam_epsilon adam_weight_decay dream_detail_preservation input_perturbation "
    "learning_rate max_grad_norm noise_offset snr_gamma",
    "text": "cache_dir caption_column dataset_config_name dataset_name hub_model_id hub_token image_column "
    "image_interpolation_mode logging_dir lr_scheduler mixed_precision non_ema_revision output_dir prediction_type "
    "pretrained_model_name_or_path report_to resume_from_checkpoint revision tracker_project_name train_data_dir "
    "variant",
    "texts": "validation_prompts",
}

OPTIONS: Final[Mapping[str, Kind]] = {name: kind for kind, names in _BY_KIND.items() for name in names.split()}
"""Every option of the script by name, with what it takes; a flag takes nothing.

Source: its argument parser at ``COMMIT``.
"""
