from __future__ import annotations

import json
from typing import Any

import pytest

from kanjiprep.evaluation.weights import lora_settings
from tests.lora_files import said

SIMPLETUNER: dict[str, Any] = {
    "alpha_pattern": {}, "arrow_config": None, "base_model_name_or_path": None, "bias": "none",
    "ensure_weight_tying": False, "fan_in_fan_out": False, "init_lora_weights": True, "kasa_config": None,
    "loftq_config": {}, "lora_alpha": 4.0, "lora_dropout": 0.0, "megatron_core": "megatron.core",
    "modules_to_save": None, "peft_type": "LORA", "peft_version": "0.21.2", "qalora_group_size": 16, "r": 4,
    "rank_pattern": {}, "target_modules": ["to_q", "to_k"], "use_dora": False, "use_rslora": False,
    "velora_config": None,
}  # fmt: skip


def test_rank_and_alpha_are_told_for_all_modules() -> None:
    settings = lora_settings.read(said(r=4, lora_alpha=2.0))
    assert (settings.component, settings.fault) == ("transformer", "")
    assert settings.rank_of("transformer_blocks.0.attn.to_q") == 4
    assert settings.alpha_of("transformer_blocks.0.attn.to_q") == 2
    assert not settings.is_rank_stabilized


def test_patterns_hold_for_modules_whose_names_end_so() -> None:
    patterns = {"^transformer_blocks.0.attn.to_q": 8, "attn2.to_q": 2}
    settings = lora_settings.read(said(r=4, lora_alpha=4, rank_pattern=patterns, alpha_pattern=patterns))
    for module, number in {
        "transformer_blocks.0.attn.to_q": 8,
        "transformer_blocks_0_attn_to_q": 8,
        "transformer_blocks.1.attn2.to_q": 2,
        "transformer_blocks_1_attn2_to_q": 2,
        "transformer_blocks.1.attn.to_q": 4,
        "transformer_blocks.1.xattn2.to_q": 4,
    }.items():
        assert (settings.rank_of(module), settings.alpha_of(module)) == (number, number), module


def test_a_file_without_settings_says_nothing() -> None:
    for metadata in ({}, {"lora_adapter_metadata": "{}"}, said("text_encoder", r=4, lora_alpha=4)):
        settings = lora_settings.read(metadata)
        assert settings.component == ""
        assert settings.rank_of("a.to_q") is None
        assert settings.alpha_of("a.to_q") is None


def test_the_settings_of_the_model_are_read_and_not_those_of_a_text_encoder() -> None:
    words = {f"text_encoder.{name}": 1 for name in SIMPLETUNER} | {"unet.r": 4, "unet.lora_alpha": 2}
    settings = lora_settings.read({lora_settings.KEY: json.dumps(words)})
    assert settings.component == "unet"
    assert settings.words == {"r": 4, "lora_alpha": 2}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "is no table"),
        ('{"transformer.r": "4"}', "has the r '4'"),
        ('{"transformer.r": true}', "has the r True"),
        ('{"transformer.lora_alpha": 0}', "has the lora_alpha 0"),
        ('{"transformer.lora_alpha": NaN}', "has the lora_alpha nan"),
        ('{"transformer.lora_alpha": 1' + "0" * 400 + "}", "has the lora_alpha 1"),
        ('{"transformer.rank_pattern": [1]}', "has the rank_pattern [1]"),
        ('{"transformer.alpha_pattern": {"a": null}}', "has the alpha_pattern {'a': None}"),
        ('{"transformer.alpha_pattern": {"(a+)+$": 1}}', "has wildcards in its alpha_pattern"),
    ],
)
def test_settings_that_diffusers_could_not_use_are_a_fault(text: str, fault: str) -> None:
    settings = lora_settings.read({lora_settings.KEY: text})
    assert settings.fault.startswith(fault)
    assert settings.rank_of("a.to_q") is None


def test_settings_that_say_nothing_are_superfluous_and_others_are_not() -> None:
    settings = lora_settings.read(said(**SIMPLETUNER, layers_to_transform=[1], eva_config={"rho": 2}))
    assert set(settings.superfluous) == {
        *("arrow_config", "base_model_name_or_path", "ensure_weight_tying", "kasa_config", "loftq_config"),
        *("megatron_core", "peft_type", "peft_version", "qalora_group_size", "velora_config"),
    }


def test_written_settings_are_those_of_an_adapter_that_is_applied_as_it_is() -> None:
    settings = lora_settings.read(said(**SIMPLETUNER | {"lora_alpha": 2, "use_rslora": True}))
    written = lora_settings.read({lora_settings.KEY: lora_settings.write(settings, {"a.to_q": 4, "a.to_k": 4})})
    assert written.words == {
        "alpha_pattern": {}, "bias": "none", "fan_in_fan_out": False, "init_lora_weights": True, "lora_alpha": 4,
        "lora_dropout": 0.0, "modules_to_save": None, "r": 4, "rank_pattern": {}, "target_modules": ["to_q", "to_k"],
        "use_dora": False,
    }  # fmt: skip
    assert not written.superfluous


def test_written_settings_name_modules_of_another_rank_and_all_modules_if_nobody_did() -> None:
    ranks = {"a.to_q": 4, "a.to_k": 8, "b.to_q": 4}
    written = lora_settings.read({lora_settings.KEY: lora_settings.write(lora_settings.Settings(), ranks)})
    assert written.component == "transformer"
    assert written.words["target_modules"] == ["a.to_k", "a.to_q", "b.to_q"]
    for module, rank in ranks.items():
        assert (written.rank_of(module), written.alpha_of(module)) == (rank, rank)
