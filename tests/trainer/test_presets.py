"""What we render, judged by the real SimpleTuner's own parser."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from kanjiprep.resources import shipped
from kanjiprep.training import configs, presets, prompts, schedule
from kanjiprep.training.run_spec import Validation
from kanjiprep.training.trainer import INSIDE
from tests.test_configs import PLACES

pytestmark = pytest.mark.trainer

FOLDER = shipped("simpletuner_configs")
Ask = Callable[..., Any]


def deep(ask: Ask, config: Mapping[str, Any], backends: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The deep check, in the oracle's process, which has the trainer's libraries loaded already."""
    checked: dict[str, Any] = ask(what="deep", script=str(INSIDE / "check.py"), config=config, backends=backends)
    assert checked["problems"] == []
    return checked


def committed(name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    config, backends = (json.loads((FOLDER / name / file).read_text("utf-8")) for file in configs.FILES[:2])
    return config, backends


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_is_accepted_without_an_unknown_key(ask: Ask, name: str) -> None:
    config, backends = committed(name)
    checked = deep(ask, config, backends)
    for key, value in config.items():
        assert key in checked["types"], key
        if isinstance(value, bool | int | float):
            assert checked["arrived"][key] == value, key
            assert checked["types"][key] in (type(value).__name__, "float"), key


CALLIGRAPHY = prompts.load(Validation(style="calligraphy"), FOLDER)[0]
CHANGES: dict[str, tuple[object, str, object, str]] = {
    "lora.rank": (48, "lora_rank", 48, "int"),
    "lora.alpha": (24.0, "lora_alpha", 24.0, "float"),
    "lora.dropout": (0.25, "lora_dropout", 0.25, "float"),
    "lora.targets": ('["to_q", "add_q_proj"]', "peft_lora_target_modules", ["to_q", "add_q_proj"], "list"),
    "model.precision": ("int8", "base_model_precision", "int8-quanto", "str"),
    "optimizer.name": ("optimi-lion", "optimizer", "optimi-lion", "str"),
    "optimizer.learning_rate": (3e-5, "learning_rate", 3e-5, "float"),
    "optimizer.weight_decay": (0.02, "optimizer_config", "weight_decay=0.02", "str"),
    "optimizer.clip": ("value", "grad_clip_method", "value", "str"),
    "optimizer.clip_at": (0.7, "max_grad_norm", 0.7, "float"),
    "schedule.shape": ("linear", "lr_scheduler", "linear", "str"),
    "schedule.warmup_steps": (77, "lr_warmup_steps", 77, "int"),
    "schedule.end_learning_rate": (2e-7, "lr_end", 2e-7, "float"),
    "schedule.power": (2.5, "lr_power", 2.5, "float"),
    "training.epochs": (3, "max_train_steps", 3 * 535, "int"),
    "training.batch": (3, "train_batch_size", 3, "int"),
    "training.accumulation": (4, "gradient_accumulation_steps", 4, "int"),
    "training.resolution_px": (512, "resolution", 512, "int"),
    "training.caption_dropout": (0.2, "caption_dropout_probability", 0.2, "float"),
    "training.gradient_checkpointing": ("false", "gradient_checkpointing", False, "bool"),
    "training.flow_shift": (1.5, "flow_schedule_shift", 1.5, "float"),
    "training.seed": (7, "seed", 7, "int"),
    "checkpoints.keep": (4, "checkpoints_total_limit", 4, "int"),
    "validation.every_steps": (99, "validation_step_interval", 99, "int"),
    "validation.size_px": (768, "validation_resolution", "768x768", "str"),
    "validation.inference_steps": (11, "validation_num_inference_steps", 11, "int"),
    "validation.guidance": (2.25, "validation_guidance", 2.25, "float"),
    "validation.skip_layers": ("[7, 8, 9]", "validation_guidance_skip_layers", [7, 8, 9], "list"),
    "validation.seed": (9, "validation_seed", 9, "int"),
    "validation.style": ("calligraphy", "validation_negative_prompt", CALLIGRAPHY.negative, "str"),
    "tracker.service": ("wandb", "report_to", ["simpletuner", "wandb"], "list"),
    "tracker.project": ("other", "tracker_project_name", "other", "str"),
}


FURTHER: list[tuple[tuple[str, ...], str, object, str]] = [
    *((("optimizer.name=" + name,), "optimizer", name, "str") for name in ("torch-adamw", "optimi-adamw", "prodigy")),
    (("optimizer.name=optimi-stableadamw",), "optimizer", "optimi-stableadamw", "str"),
    (("schedule.shape=constant", "schedule.warmup_steps=0"), "lr_scheduler", "constant", "str"),
    (("schedule.shape=constant",), "lr_scheduler", "constant_with_warmup", "str"),
    (("schedule.shape=cosine", "schedule.warmup_steps=0"), "lr_warmup_steps", 16_050, "int"),
    (
        ("schedule.shape=periodic-cosine", "schedule.warmup_steps=0", "schedule.half_period_steps=90"),
        "lr_warmup_steps",
        90,
        "int",
    ),
    (("tracker.service=swanlab",), "report_to", ["simpletuner", "swanlab"], "list"),
    (("tracker.service=comet_ml",), "report_to", ["simpletuner", "comet_ml"], "list"),
    (("model.train=full",), "model_type", "full", "str"),
    (("model.path=me/mine",), "pretrained_model_name_or_path", "me/mine", "str"),
    (("training.repeats=1",), "max_train_steps", 32_070, "int"),
    (("training.steps=36_000",), "max_train_steps", 36_000, "int"),
    (("machine.gpus=8", "machine.sharding=zero2"), "deepspeed_config", {"zero_optimization": {"stage": 2}}, "dict"),
    (("machine.gpus=8", "machine.sharding=full"), "fsdp_enable", True, "bool"),
]


@pytest.mark.parametrize(("settings", "name", "expected", "kind"), FURTHER)
def test_further_choices_are_accepted_and_arrive(
    ask: Ask, settings: tuple[str, ...], name: str, expected: object, kind: str
) -> None:
    preset = presets.load("sd35-large-lora", settings)
    steps = schedule.count(preset.spec, presets.NOMINAL)
    made = configs.render(preset.spec, steps, preset.prompts, PLACES, preset.templates)
    checked = deep(ask, made.config, made.backends)
    assert (checked["arrived"][name], checked["types"][name]) == (expected, kind)


@pytest.mark.parametrize("key", CHANGES)
def test_a_changed_value_arrives_as_it_was_meant(ask: Ask, key: str) -> None:
    value, name, expected, kind = CHANGES[key]
    preset = presets.load("sd35-large-lora", (f"{key}={value}",))
    steps = schedule.count(preset.spec, presets.NOMINAL)
    made = configs.render(preset.spec, steps, preset.prompts, PLACES, preset.templates)
    checked = deep(ask, made.config, made.backends)
    assert (checked["arrived"][name], checked["types"][name]) == (expected, kind)
