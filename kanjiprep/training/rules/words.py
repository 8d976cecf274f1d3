"""The words of SimpleTuner's parser that rules compare with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from kanjiprep.training.rules.subject import as_number

ON_BY_DEFAULT: Final = frozenset(
    {
        "compress_disk_cache",
        "crepa_normalize_by_frames",
        "crepa_spatial_align",
        "dynamo_cache_export_after_first_step",
        "fsdp_limit_all_gathers",
        "fsdp_reshard_after_forward",
        "gradient_checkpointing",
        "ideogram_auto_json",
        "model_card_private",
        "ramtorch_disable_extensions",
        "same_network",
        "seed_for_each_device",
    }
)
"""Switches that are on where they are not written. Source: read from the live parser of 4.10.1."""

WHOLE: Final = frozenset(
    """
    aspect_bucket_rounding aspect_bucket_worker_count checkpoint_epoch_interval checkpoint_step_interval
    checkpointing_rolling_steps checkpoints_rolling_total_limit checkpoints_total_limit checkpointing_steps
    context_parallel_size dataloader_prefetch_qlen ema_update_interval eval_steps_interval eval_timesteps
    gradient_accumulation_steps gradient_checkpointing_interval image_processing_batch_size init_lora_step lora_rank
    lr_num_cycles lr_warmup_steps machine_rank main_process_port max_train_steps max_workers maximum_image_size
    metadata_update_interval minimum_image_size num_eval_images num_machines num_processes num_train_epochs
    num_validation_images prodigy_steps read_batch_size resolution save_total_limit seed target_downsample_size
    text_encoder_batch_size tokenizer_max_length torch_num_threads train_batch_size vae_batch_size
    validate_after_epoch validate_after_step validation_epoch_interval validation_image_quality
    validation_num_inference_steps validation_preview_steps validation_seed validation_step_interval validation_steps
    write_batch_size
    """.split()  # noqa: SIM905
)
"""Keys for whole numbers, of those that training on pictures uses. Source: the live parser of 4.10.1."""

REAL: Final = frozenset(
    """
    adam_beta1 adam_beta2 adam_epsilon adam_weight_decay caption_dropout_probability ema_decay eval_epoch_interval
    flow_schedule_shift flow_sigmoid_scale huber_c input_perturbation learning_rate lora_alpha lora_dropout lr_end
    lr_power max_grad_norm noise_offset noise_offset_probability optimizer_beta1 optimizer_beta2
    validation_adapter_strength validation_guidance validation_guidance_real validation_guidance_rescale
    validation_guidance_skip_layers_start validation_guidance_skip_layers_stop validation_guidance_skip_scale
    """.split()  # noqa: SIM905
)
"""Keys for any number, of those that training on pictures uses. Source: the live parser of 4.10.1."""

CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "base_model_default_dtype": ("bf16", "fp32"),
    "grad_clip_method": ("value", "norm"),
    "lora_format": ("diffusers", "comfyui"),
    "lora_type": ("standard", "lycoris"),
    "lr_scheduler": (
        "linear",
        "sine",
        "cosine",
        "cosine_with_restarts",
        "cosine_with_warmup",
        "polynomial",
        "constant",
        "constant_with_warmup",
    ),
    "mixed_precision": ("no", "fp16", "bf16", "fp8"),
    "model_type": ("full", "lora"),
    "quantize_via": ("cpu", "accelerator", "pipeline"),
    "resolution_type": ("pixel", "area", "pixel_area"),
}
"""Every word that a key takes. Source: the live parser of 4.10.1, and cosine_with_warmup from cli_utils.py."""

IGNORED: Final = frozenset({"__active_tab__", "__disabled_fields__", "ez_model_type"})
"""What the web interface leaves in a config, which the trainer knows to skip. Source: cli_utils.py."""

OF_DATASETS: Final = frozenset(
    {
        "aspect_ratio_bucket_max",
        "aspect_ratio_bucket_min",
        "aspect_ratio_bucketing",
        "disable_multiline_split",
        "repeats",
    }
)
"""Keys of datasets that the trainer skips in config.json. Source: cli_utils.py and the field registry, run."""

_DATASET: Final = "write it for the dataset, in multidatabackend.json"
REMOVED: Final[Mapping[str, str]] = {
    "allow_tf32": "TF32 is on unless disable_tf32 is true",
    "batch_size": "use train_batch_size",
    "center_crop": _DATASET,
    "checkpointing_epochs": "use checkpoint_epoch_interval",
    "crop": _DATASET,
    "disable_vae_cache": "use vae_cache_disable",
    "enable_xformers_memory_efficient_attention": "use attention_mechanism",
    "epochs": "use num_train_epochs",
    "flux_schedule_auto_shift": "use flow_schedule_auto_shift",
    "flux_schedule_shift": "use flow_schedule_shift",
    "freeze_encoder": "drop it",
    "instance_data_dir": _DATASET,
    "lora_initialisation_style": "use lora_init_type",
    "model_flavor": "use model_flavour",
    "network_dim": "use lora_rank",
    "non_ema_revision": "drop it",
    "random_flip": "drop it, and do not mirror characters",
    "rank": "use lora_rank",
    "sd3_t5_mask_behaviour": "drop it",
    "use_8bit_adam": "name the optimizer in optimizer",
    "use_prodigy_optimizer": "use optimizer prodigy",
    "validation_torch_compile": "drop it",
    "validation_torch_compile_mode": "drop it",
}
"""Names that the parser of 4.10.1 was seen to refuse, with what to do about each."""

TURNED: Final[Mapping[str, str]] = {
    "ignore_final_epochs": "strict_epoch_limit",
    "vae_cache_preprocess": "vae_cache_ondemand",
}
"""Names that are still taken and were replaced by their opposites. Source: cmd_args.py and cli_utils.py."""

ENVIRONMENT: Final = re.compile(r"\{env:[^{}]+\}")
"""What the trainer replaces by an environment variable. Source: template_vars.py."""


def is_whole(value: object) -> bool:
    """Whether Python's int, which the parser calls on the value's text, takes it."""
    if isinstance(value, bool):
        return False
    try:
        int(str(value))
    except ValueError:
        return False
    return True


def is_real(value: object) -> bool:
    """Whether Python's float, which the parser calls on the value's text, takes it."""
    return as_number(value) is not None
