"""A good config, and for each rule one change that makes it bad."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from kanjiprep.training.rules import Context, Subject

CONFIG: Final[Mapping[str, object]] = {
    "model_family": "sd3",
    "model_flavour": "large",
    "model_type": "lora",
    "lora_type": "standard",
    "lora_rank": 64,
    "lora_alpha": 64,
    "lora_dropout": 0.1,
    "optimizer": "adamw_bf16",
    "learning_rate": 0.0001,
    "lr_scheduler": "polynomial",
    "lr_warmup_steps": 3207,
    "lr_end": 1e-06,
    "max_grad_norm": 0.1,
    "grad_clip_method": "norm",
    "train_batch_size": 6,
    "gradient_accumulation_steps": 1,
    "num_train_epochs": 0,
    "max_train_steps": 32070,
    "mixed_precision": "bf16",
    "base_model_precision": "no_change",
    "gradient_checkpointing": True,
    "resolution": 1024,
    "resolution_type": "pixel_area",
    "aspect_bucket_rounding": 2,
    "caption_dropout_probability": 0.1,
    "flow_schedule_shift": 1.0,
    "vae_batch_size": 4,
    "seed": 42,
    "data_backend_config": "/run/config/multidatabackend.json",
    "output_dir": "/run/output",
    "resume_from_checkpoint": "latest",
    "checkpoint_step_interval": 1069,
    "checkpoints_total_limit": 30,
    "validation_prompt": "mountains",
    "validation_negative_prompt": "blurry, cropped, ugly",
    "validation_step_interval": 1069,
    "validation_resolution": "1024x1024",
    "validation_guidance": 4.5,
    "validation_seed": 42,
    "validation_disable_unconditional": True,
    "disable_benchmark": True,
    "report_to": "simpletuner",
    "push_to_hub": False,
    "push_checkpoints_to_hub": False,
    "hub_model_id": "me/kanji",
    "webhook_config": [{"webhook_type": "raw", "callback_url": "http://127.0.0.1:8765/events"}],
}

PICTURES: Final[Mapping[str, object]] = {
    "id": "kanji-1024",
    "type": "local",
    "dataset_type": "image",
    "instance_data_dir": "/run/pictures",
    "caption_strategy": "parquet",
    "metadata_backend": "parquet",
    "parquet": {"path": "/run/config/captions.jsonl", "identifier_includes_extension": True},
    "resolution": 1024,
    "resolution_type": "pixel_area",
    "minimum_image_size": 0,
    "crop": False,
    "repeats": 0,
    "cache_dir_vae": "/run/cache/vae",
}
TEXTS: Final[Mapping[str, object]] = {
    "id": "text-embeds",
    "type": "local",
    "dataset_type": "text_embeds",
    "default": True,
    "cache_dir": "/run/cache/text",
}
CONTEXT: Final = Context(
    samples=6413,
    bucket_sizes={"1.0": 6413},
    captions_over_clip=0,
    captions_over_t5=0,
    total_steps=32070,
    checkpoint_bytes=10**9,
    free_disk_bytes=10**12,
    training_s=36000.0,
    validation_s=3600.0,
)
GOOD: Final = Subject(CONFIG, (PICTURES, TEXTS), CONTEXT)


def but(*without: str, **changes: object) -> Subject:
    """The good config without some keys and with others changed."""
    kept = {key: value for key, value in CONFIG.items() if key not in without}
    return replace(GOOD, config={**kept, **changes})


def data(*without: str, **changes: object) -> Subject:
    """The good config with its dataset changed."""
    kept = {key: value for key, value in PICTURES.items() if key not in without}
    return replace(GOOD, backends=({**kept, **changes}, TEXTS))


def known(subject: Subject = GOOD, **changes: Any) -> Subject:
    """A config with something else known beside it."""
    return replace(subject, context=replace(subject.context, **changes))


def sd15(**changes: object) -> Subject:
    """The good config for Stable Diffusion 1.5."""
    return but(model_family="sd1x", model_flavour="1.5", **changes)


def summed_up(
    pictures: int = 2136, accumulation: int = 2, *, total_steps: int, interval: int, **more: Any
) -> Subject:
    """The good config with batches added up, on so many pictures, for so long, painted that often."""
    portions = {"gradient_accumulation_steps": accumulation, "max_train_steps": total_steps}
    subject = but(**portions, validation_step_interval=interval, checkpoint_step_interval=interval, **more)
    return known(subject, samples=pictures, bucket_sizes={"1.0": pictures}, total_steps=total_steps)


class Case(NamedTuple):
    """One rule: where it fires, on what, and where it is silent."""

    bad: Subject
    key: str
    says: str
    good: Subject = GOOD


OLD_RUN: Final[Mapping[str, object]] = {**CONFIG, "learning_rate": 0.00105}
RAW: Final[Mapping[str, object]] = {"webhook_type": "raw"}

CASES: Final[Mapping[str, Case]] = {
    "wrapped-config": Case(Subject({"_metadata": {}, "config": dict(CONFIG)}), "config", "inside of another table"),
    "missing-key": Case(but("optimizer", output_dir=""), "optimizer", "optimizer is missing"),
    "removed-key": Case(but(allow_tf32=True), "allow_tf32", "disable_tf32"),
    "comment-key": Case(but(_comment="x"), "_comment", "unrecognized arguments", but(__active_tab__="x")),
    "ignored-key": Case(but(repeats=10), "repeats", "repeats 10 has no effect"),
    "text-for-false": Case(
        but(gradient_checkpointing="False"), "gradient_checkpointing", "stays on", but(push_to_hub="false")
    ),
    "list-collapses": Case(
        but(validation_guidance_skip_layers=[7, 8, 9]),
        "validation_guidance_skip_layers",
        "only 9",
        but(validation_guidance_skip_layers="[7, 8, 9]", peft_lora_target_modules=["to_k", "to_q"]),
    ),
    "table-dropped": Case(
        but(user_prompt_library={"a": "b"}), "user_prompt_library", "1 keys", but(publishing_config={"a": "b"})
    ),
    "not-a-number": Case(but(lora_rank=768.0), "lora_rank", "768.0", but(lora_rank="64", learning_rate="1e-4")),
    "unknown-choice": Case(but(lr_scheduler="Polynomial"), "lr_scheduler", "'Polynomial'"),
    "old-name": Case(but("validation_step_interval", validation_steps=1069), "validation_steps", "_step_interval"),
    "environment-in-text": Case(
        but(validation_prompt="by {env:USER}"), "validation_prompt", "{env:USER}", but(output_dir="{env:HOME}/output")
    ),
    "relative-path": Case(but(output_dir="output"), "output_dir", "output"),
    "steps-and-epochs": Case(but(num_train_epochs=3), "max_train_steps", "32,070 and num_train_epochs 3"),
    "steps-without-epochs": Case(but("num_train_epochs"), "num_train_epochs", "default of 1"),
    "no-length": Case(
        but(max_train_steps=0), "num_train_epochs", "Neither", but(max_train_steps=0, num_train_epochs=3)
    ),
    "one-epoch-by-default": Case(but("num_train_epochs", "max_train_steps"), "num_train_epochs", "once"),
    "no-learning-rate": Case(but("learning_rate", "lr_end", lr_end=1e-8), "learning_rate", "4e-7"),
    "cosine-returns": Case(
        known(but(lr_scheduler="cosine", lr_warmup_steps=2400), total_steps=24000),
        "lr_warmup_steps",
        "down at 1e-06 at step 2,400 and back at 0.0001 5 times in 24,000 steps: "
        "at step 4,800, 9,600, 14,400, 19,200 and so on",
        but(lr_scheduler="cosine", lr_warmup_steps=32070),
    ),
    "cosine-hardly-falls": Case(
        but(lr_scheduler="cosine", lr_warmup_steps=400000),
        "lr_warmup_steps",
        "of 0.0001",
        but(lr_scheduler="cosine", lr_warmup_steps=32070),
    ),
    "cosine-with-warmup-has-none": Case(but(lr_scheduler="cosine_with_warmup"), "lr_scheduler", "full 0.0001"),
    "sine-never-rests": Case(
        but(lr_scheduler="sine", lr_warmup_steps=10000),
        "lr_scheduler",
        "period of 20,000 steps, at its peak at step 5,000, 25,000.",
    ),
    "schedule-needs-warmup": Case(
        but(lr_scheduler="sine", lr_warmup_steps=0),
        "lr_warmup_steps",
        "sine with lr_warmup_steps 0",
        but(lr_scheduler="sine", lr_warmup_steps=10),
    ),
    "restarts-are-constant": Case(but(lr_scheduler="cosine_with_restarts"), "lr_scheduler", "stays at 0.0001"),
    "end-not-below-start": Case(but(lr_end=0.0001), "lr_end", "0.0001 is not below"),
    "swing-upside-down": Case(
        but(lr_scheduler="cosine", lr_end=0.001), "lr_end", "above", but(lr_scheduler="constant", lr_end=0.001)
    ),
    "linear-ignores-end": Case(
        but(lr_scheduler="linear"), "lr_end", "not at 1e-06", but("lr_end", lr_scheduler="linear")
    ),
    "warmup-outlasts-run": Case(but(lr_warmup_steps=64140), "lr_warmup_steps", "gets to 5e-05"),
    "schedule-unused": Case(but(optimizer="adamw_schedulefree"), "lr_scheduler", "polynomial has no effect"),
    "clipping-by-value": Case(
        but("grad_clip_method", "max_grad_norm"), "grad_clip_method", "cut at 2", but(optimizer="optimi-stableadamw")
    ),
    "clipping-above-guide": Case(but(max_grad_norm=1.0), "max_grad_norm", "1", but(model_flavour="medium")),
    "no-clipping": Case(but(max_grad_norm=0), "max_grad_norm", "0"),
    "rate-above-documented": Case(
        but(learning_rate=0.00105), "learning_rate", "1.05 times", but(optimizer="prodigy", learning_rate=1.0)
    ),
    "full-rate-above-documented": Case(
        but(model_type="full", learning_rate=1e-5),
        "learning_rate",
        "10 times",
        but(model_type="full", learning_rate=1e-6),
    ),
    "rate-above-stable": Case(but(learning_rate=0.00095), "learning_rate", "9.5 times", but(learning_rate=0.00105)),
    "flow-shift-by-default": Case(but("flow_schedule_shift"), "flow_schedule_shift", "shift of 3"),
    "seed-not-fixed": Case(but(seed=0), "seed", "time of day"),
    "family-by-default": Case(
        but("model_flavour"),
        "model_flavour",
        "stabilityai/stable-diffusion-3.5-medium",
        but("model_flavour", pretrained_model_name_or_path="/models/sd35-large"),
    ),
    "unknown-flavour": Case(but(model_flavour="huge"), "model_flavour", "none of large, medium"),
    "flavour-overruled": Case(
        but(pretrained_model_name_or_path="/models/x"),
        "model_flavour",
        "/models/x",
        but(pretrained_model_name_or_path="stabilityai/stable-diffusion-3.5-large"),
    ),
    "rank-very-large": Case(
        but(lora_rank=768, lora_alpha=768), "lora_rank", "3 times", but(lora_rank=256, lora_alpha=256)
    ),
    "alpha-unlike-rank": Case(but(lora_alpha=32), "lora_alpha", "2 times as strongly", but("lora_alpha")),
    "lora-dropout-by-default": Case(
        but("lora_dropout"), "lora_dropout", "tenth", but("lora_dropout", lora_type="lycoris")
    ),
    "lora-for-comfyui": Case(but(lora_format="comfyui"), "lora_format", "ComfyUI's names"),
    "precision-refused": Case(but(base_model_precision="fp8-quanto"), "base_model_precision", "fp8-quanto"),
    "optimizer-gone": Case(but(optimizer="adamw8bit"), "optimizer", "optimi-adamw"),
    "one-beta": Case(
        but(optimizer_beta1=0.9), "optimizer_beta2", "missing", but(optimizer_beta1=0.9, optimizer_beta2=0.99)
    ),
    "no-gradient-checkpointing": Case(
        but(gradient_checkpointing=False),
        "gradient_checkpointing",
        "train_batch_size 6",
        but(gradient_checkpointing=False, model_flavour="medium"),
    ),
    "tokens-capped": Case(
        but(tokenizer_max_length=256),
        "tokenizer_max_length",
        "256 becomes 154",
        but(tokenizer_max_length=256, i_know_what_i_am_doing=True),
    ),
    "nothing-to-train-on": Case(data(disabled=True), "data_backend_config", "2 datasets", Subject(CONFIG)),
    "dataset-id": Case(
        replace(GOOD, backends=(PICTURES, PICTURES, TEXTS)), "kanji-1024.id", "2 datasets have the id"
    ),
    "dataset-type": Case(data(type="folder"), "kanji-1024.type", "'folder'"),
    "dataset-key-gone": Case(data(disable_vae_cache=True), "kanji-1024.disable_vae_cache", "disable_vae_cache"),
    "two-default-text-caches": Case(
        replace(GOOD, backends=(PICTURES, TEXTS, {**TEXTS, "id": "more"})), "more.default", "text-embeds and more"
    ),
    "no-picture-folder": Case(data(instance_data_dir=" "), "kanji-1024.instance_data_dir", "names no folder"),
    "no-hub-dataset": Case(
        data("caption_strategy", "metadata_backend", type="huggingface"),
        "kanji-1024.dataset_name",
        "names no repository",
        data("caption_strategy", "metadata_backend", type="huggingface", huggingface={"dataset_name": "me/kanji"}),
    ),
    "shared-cache": Case(data(cache_dir_vae="/run/cache/text"), "kanji-1024.cache_dir_vae", "already"),
    "output-among-pictures": Case(
        but(output_dir="/run/pictures/output"),
        "output_dir",
        "inside of /run/pictures",
        but(output_dir="/run/pictures2"),
    ),
    "deletes-pictures": Case(but(delete_unwanted_images=True), "delete_unwanted_images", "is on"),
    "unknown-caption-strategy": Case(data(caption_strategy="metadata"), "kanji-1024.caption_strategy", "'metadata'"),
    "captions-from-file-names": Case(
        data("caption_strategy"),
        "kanji-1024.caption_strategy",
        "says nothing",
        replace(data("caption_strategy", "metadata_backend"), config={**CONFIG, "caption_strategy": "textfile"}),
    ),
    "captions-do-not-fit": Case(
        data(metadata_backend="discovery"),
        "kanji-1024.caption_strategy",
        "parquet and metadata_backend discovery",
        data("metadata_backend", caption_strategy="textfile"),
    ),
    "no-caption-table": Case(data("parquet"), "kanji-1024.parquet", "names no table"),
    "names-read-as-numbers": Case(
        data(parquet={"path": "/captions.jsonl"}),
        "kanji-1024.parquet",
        "without extension",
        data(parquet={"path": "/c.parquet"}),
    ),
    "no-instance-prompt": Case(
        data(caption_strategy="instanceprompt"),
        "kanji-1024.instance_prompt",
        "no instance_prompt",
        data(caption_strategy="instanceprompt", instance_prompt="a kanji"),
    ),
    "caption-dropout-by-default": Case(but("caption_dropout_probability"), "caption_dropout_probability", "tenth"),
    "captions-over-clip": Case(known(sd15(), captions_over_clip=12), "tokenizer_max_length", "12 captions", sd15()),
    "captions-half-read": Case(known(captions_over_clip=12), "tokenizer_max_length", "12 captions"),
    "captions-over-t5": Case(known(captions_over_t5=1200), "tokenizer_max_length", "1,200 captions"),
    "repeats-are-extra": Case(data(repeats=1), "kanji-1024.repeats", "12,826 instead of 6,413", data(repeats=9)),
    "repeats-negative": Case(data(repeats=-1), "kanji-1024.repeats", "-1"),
    "bucket-too-small": Case(
        known(bucket_sizes={"1.0": 6400, "0.75": 13}, gpus=4),
        "kanji-1024.train_batch_size",
        "Bucket 0.75 has 13 samples, one step needs 24",
        known(bucket_sizes={"1.0": 6400, "0.75": 13}, gpus=2),
    ),
    "bucket-dropped": Case(
        known(data(minimum_image_size=512), bucket_sizes={"1.0": 6410, "0.75": 3}),
        "kanji-1024.train_batch_size",
        "Bucket 0.75 has 3 samples, a batch needs 6",
        known(data(minimum_image_size=0), bucket_sizes={"1.0": 6410, "0.75": 3}),
    ),
    "crop-choice": Case(data(crop=True, crop_style="middle"), "kanji-1024.crop_style", "'middle'", data(crop=True)),
    "crop-cuts": Case(
        known(data(crop=True), bucket_sizes={"1.0": 6000, "0.75": 413}),
        "kanji-1024.crop",
        "413 of 6,413",
        data(crop=True),
    ),
    "unknown-unit": Case(data(resolution_type="px"), "kanji-1024.resolution_type", "'px'"),
    "edge-not-whole": Case(data(resolution=1.0), "kanji-1024.resolution", "1.0", data(resolution="1024")),
    "resolution-unit": Case(
        data(resolution_type="area"),
        "kanji-1024.resolution",
        "1024 megapixels",
        data(resolution_type="area", resolution=1),
    ),
    "minimum-size-unit": Case(
        replace(data("minimum_image_size"), config={**CONFIG, "minimum_image_size": 512}),
        "kanji-1024.minimum_image_size",
        "512 megapixels",
        data(minimum_image_size=512),
    ),
    "maximum-without-target": Case(
        data(maximum_image_size=2048),
        "kanji-1024.maximum_image_size",
        "2048, without a target",
        data(maximum_image_size=2048, target_downsample_size=1024),
    ),
    "maximum-size-unit": Case(
        data(maximum_image_size=4, target_downsample_size=1, resolution_type="pixel"),
        "kanji-1024.maximum_image_size",
        "4 pixels",
        data(maximum_image_size=2048, target_downsample_size=1024),
    ),
    "two-resolutions": Case(but(resolution=512), "resolution", "says 512, the datasets say 1024", but("resolution")),
    "resume-is-not-a-switch": Case(
        but(resume_from_checkpoint=False), "resume_from_checkpoint", "'false'", but(resume_from_checkpoint="")
    ),
    "resume-keeps-old-rate": Case(
        known(output_checkpoints=(1069,), previous=OLD_RUN),
        "learning_rate",
        "stays 0.00105, not 0.0001",
        known(
            but(lr_scheduler="constant"), output_checkpoints=(1069,), previous={**OLD_RUN, "lr_scheduler": "constant"}
        ),
    ),
    "resume-changes-schedule": Case(
        known(output_checkpoints=(1069,), previous={**CONFIG, "lr_scheduler": "cosine"}),
        "lr_scheduler",
        "made with cosine, and this says polynomial",
        known(output_checkpoints=(1069,), previous=CONFIG),
    ),
    "nothing-left-to-do": Case(
        known(output_checkpoints=(1069, 32070)),
        "max_train_steps",
        "checkpoint-32070",
        known(output_checkpoints=(32069,)),
    ),
    "resume-by-default": Case(
        known(but("resume_from_checkpoint"), output_checkpoints=(2138, 1069)),
        "resume_from_checkpoint",
        "checkpoint-2138",
        but("resume_from_checkpoint"),
    ),
    "init-lora-and-resume": Case(
        but(init_lora="/a.safetensors", init_lora_step=500),
        "init_lora_step",
        "500",
        but(init_lora="/a.safetensors", init_lora_step=500, resume_from_checkpoint=""),
    ),
    "init-lora-step-unsaid": Case(
        but(init_lora="/a.safetensors"),
        "init_lora_step",
        "/a.safetensors",
        but(init_lora="/a.safetensors", init_lora_step=0),
    ),
    "nothing-to-look-at": Case(
        but("validation_prompt"), "validation_prompt", "Every 1,069", but(user_prompt_library="/p.json")
    ),
    "validation-size-by-default": Case(but("validation_resolution"), "validation_resolution", "1,024 px"),
    "validation-size-differs": Case(
        but(validation_resolution=512), "validation_resolution", "512", but(validation_resolution="512,1280x768")
    ),
    "guidance-too-high": Case(
        but("validation_guidance"), "validation_guidance", "7.5", sd15(validation_guidance=7.5)
    ),
    "benchmark-pasted-in": Case(but("disable_benchmark"), "disable_benchmark", "two pictures"),
    "picture-of-nothing": Case(
        but("validation_disable_unconditional"), "validation_disable_unconditional", "empty prompt"
    ),
    "checkpoint-without-picture": Case(
        but(validation_step_interval=1000),
        "validation_step_interval",
        "every 1,069 steps, pictures every 1,000",
        but(checkpoint_step_interval=2138),
    ),
    "validation-costs-more": Case(
        known(validation_s=72000.0), "validation_step_interval", "20 h for pictures beside 10 h"
    ),
    "validation-share": Case(
        known(validation_s=18000.0), "validation_step_interval", "5 h", known(validation_s=72000.0)
    ),
    "rounds-left-out": Case(
        summed_up(total_steps=5340, interval=178),
        "validation_step_interval",
        "Of 30 rounds of pictures the trainer never makes 15, the last one among them (step 356, 712, 1,068, 1,424 "
        "and so on), and makes 15 twice (step 178, 534, 890, 1,246 and so on). Every 177 steps none is left out.",
        summed_up(total_steps=5340, interval=177),
    ),
    "no-checkpoint": Case(
        but(checkpoint_step_interval=40000), "checkpoint_step_interval", "40,000 steps, in a run of 32,070"
    ),
    "checkpoints-deleted-by-default": Case(
        but("checkpoints_total_limit"), "checkpoints_total_limit", "30 checkpoints are made and the last 5"
    ),
    "checkpoints-deleted": Case(
        but(checkpoints_total_limit=10), "checkpoints_total_limit", "30 checkpoints are made and the last 10"
    ),
    "disk-too-small": Case(
        known(checkpoint_bytes=4 * 2**30, free_disk_bytes=100 * 2**30),
        "checkpoints_total_limit",
        "need 120.0 GiB, and 100.0 GiB are free",
        known(but(checkpoints_total_limit=24), checkpoint_bytes=4 * 2**30, free_disk_bytes=100 * 2**30),
    ),
    "tensorboard-crashes": Case(
        but(report_to=["simpletuner", "TensorBoard"]), "report_to", "simpletuner, tensorboard"
    ),
    "unknown-tracker": Case(but(report_to="all"), "report_to", "all is none of", but(report_to="simpletuner,wandb")),
    "nothing-to-watch": Case(but("report_to", "webhook_config"), "report_to", "none", but(report_to="none")),
    "webhook-incomplete": Case(but(webhook_config=[RAW]), "webhook_config", "raw webhook without callback_url"),
    "push-without-name": Case(but("hub_model_id", push_to_hub=True), "hub_model_id", "called simpletuner"),
    "pushes-to-hub": Case(but(push_to_hub=True), "push_to_hub", "me/kanji, which it creates as private"),
    "push-checkpoints-alone": Case(
        but(push_checkpoints_to_hub=True),
        "push_checkpoints_to_hub",
        "push_to_hub is off",
        but(push_checkpoints_to_hub=True, push_to_hub=True),
    ),
    "processes-unread": Case(but(num_processes=8), "num_processes", "8", but(num_processes=1)),
}
