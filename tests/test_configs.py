import json
from dataclasses import replace
from pathlib import Path

import pytest

from kanjiprep.errors import UsageError
from kanjiprep.training import configs, schedule
from kanjiprep.training.configs import Places, RenderedConfig, Templates
from kanjiprep.training.prompts import Prompts, Style
from kanjiprep.training.run_spec import (
    Checkpoints,
    Lora,
    Machine,
    Model,
    Optimizer,
    RunSpec,
    Schedule,
    Tracker,
    Training,
    Validation,
)

SPEC = RunSpec(training=Training(epochs=30, batch=6), checkpoints=Checkpoints(every_epochs=1))
WORDS = Prompts({"uncle": 'Uncle "who" feeds 猿'}, Style("ink, ", "", "colour"))
PLACES = Places(Path("/runs/mine"), Path("/cache"))
SHIPPED = configs.load_templates()


def rendered(spec: RunSpec = SPEC, templates: Templates = SHIPPED) -> RenderedConfig:
    return configs.render(spec, schedule.count(spec, {"1.0": 6413}), WORDS, PLACES, templates)


def test_the_length_is_computed_and_the_epochs_are_nought() -> None:
    config = rendered().config
    assert (config["max_train_steps"], config["num_train_epochs"]) == (32_070, 0)
    assert (config["checkpoint_step_interval"], config["validation_step_interval"]) == (1069, 1069)
    assert config["checkpoints_total_limit"] == config["max_train_steps"], "so many that none is removed"


def test_types_are_those_that_the_trainer_wants() -> None:
    config = rendered(replace(SPEC, lora=Lora(rank=768, alpha=768.0))).config
    assert type(config["lora_rank"]) is int
    assert type(config["lora_alpha"]) is int
    assert config["gradient_checkpointing"] is True
    assert config["push_to_hub"] is False
    assert rendered(replace(SPEC, lora=Lora(alpha=0.5))).config["lora_alpha"] == 0.5


def test_the_pictures_are_seen_from_the_run_folder_with_captions_of_their_own() -> None:
    image, text = rendered().backends
    assert image["instance_data_dir"] == "/runs/mine/pictures"
    assert image["parquet"]["path"] == "/runs/mine/config/captions.jsonl"
    assert (image["repeats"], image["caption_strategy"], image["metadata_backend"]) == (0, "parquet", "parquet")
    assert text["default"] is True


def test_prompts_are_in_their_style_and_survive_quotes_and_kanji() -> None:
    assert rendered().prompts == {"uncle": 'ink, Uncle "who" feeds 猿'}
    assert "猿" in rendered().files()["prompts.json"].decode()
    assert rendered().config["validation_negative_prompt"] == "colour"


def test_files_are_json_in_the_order_of_the_templates() -> None:
    files = rendered().files()
    assert tuple(files) == configs.FILES
    assert list(json.loads(files["config.json"]))[:3] == ["model_family", "model_flavour", "model_type"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"model": Model(flavour="tiny")}, {"pretrained_model_name_or_path": "/cache/tiny-sd3"}),
        ({"model": Model(flavour="tiny")}, {"model_flavour": None}),
        ({"model": Model(path="me/mine")}, {"pretrained_model_name_or_path": "me/mine", "model_flavour": None}),
        ({"model": Model("sd1x", "1.5", train="full")}, {"model_type": "full", "lora_rank": None}),
        ({"model": Model("sd1x", "1.5", train="full")}, {"flow_schedule_shift": None, "model_flavour": "1.5"}),
        ({"model": Model(precision="int8")}, {"base_model_precision": "int8-quanto"}),
        ({"model": Model(precision="nf4")}, {"base_model_precision": "nf4-bnb"}),
        ({"optimizer": Optimizer(clip="off")}, {"max_grad_norm": 0.0, "grad_clip_method": "norm"}),
        ({"optimizer": Optimizer(clip="value", clip_at=2.0)}, {"max_grad_norm": 2.0, "grad_clip_method": "value"}),
        ({"optimizer": Optimizer(weight_decay=0.01)}, {"optimizer_config": "weight_decay=0.01"}),
        ({"schedule": Schedule("cosine")}, {"lr_scheduler": "cosine", "lr_warmup_steps": 32_070, "lr_power": None}),
        (
            {"schedule": Schedule("periodic-cosine", half_period_steps=3600)},
            {"lr_scheduler": "cosine", "lr_warmup_steps": 3600},
        ),
        ({"schedule": Schedule("polynomial", power=2.0)}, {"lr_power": 2.0}),
        ({"validation": Validation(skip_layers=(7, 8, 9))}, {"validation_guidance_skip_layers": "[7, 8, 9]"}),
        ({"tracker": Tracker("wandb", "kanji")}, {"report_to": "simpletuner,wandb", "tracker_project_name": "kanji"}),
        ({"machine": Machine(gpus=8, sharding="full")}, {"fsdp_enable": True, "max_train_steps": 134 * 30}),
        (
            {"machine": Machine(gpus=8, sharding="zero2")},
            {"deepspeed_config": {"zero_optimization": {"stage": 2}}, "fsdp_enable": None},
        ),
        ({"checkpoints": Checkpoints(every_steps=600, keep=60)}, {"checkpoints_total_limit": 60}),
    ],
)
def test_our_words_become_the_trainers_keys(change: dict[str, object], expected: dict[str, object]) -> None:
    config = rendered(replace(SPEC, **change)).config  # type: ignore[arg-type]
    assert {key: config.get(key) for key in expected} == expected


def templates_with(tmp_path: Path, source: str, name: str = "config.json") -> Templates:
    (tmp_path / f"{name}.j2").write_text(source, "utf-8")
    return configs.load_templates(tmp_path)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ('{"a": 1,\n "b": {{ rank / 0 }}}', r"config\.json\.j2:2: the template fails: division by zero"),
        ('{"a": 1,\n\n "b": {{ missing | tojson }}}', r"config\.json\.j2:3: the template fails"),
        ("{'a': 1}", r"config\.json\.j2: makes no JSON: .* at \"\{'a': 1\}\""),
        ("", r"config\.json\.j2: makes no JSON: Expecting value at ''"),
        ("[]", r"config\.json\.j2: makes no JSON dict"),
        ("{}", r"config\.json\.j2: makes no checkpoint_step_interval of at least 1, but None; mend the template"),
        ('{"checkpoint_step_interval": true}', "makes no checkpoint_step_interval of at least 1, but True"),
        (
            '{"checkpoint_step_interval": 1, "validation_step_interval": -5}',
            "no validation_step_interval of at least 1",
        ),
        ('{"a": 1, "a": 2}', r"the key 'a' stands twice"),
        ('{"a": NaN}', r"NaN is no JSON number"),
    ],
)
def test_a_template_that_fails_is_named_with_its_line(tmp_path: Path, source: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        rendered(templates=templates_with(tmp_path, source))


@pytest.mark.parametrize(
    ("name", "source", "says"),
    [
        ("multidatabackend.json", "[1]", r"multidatabackend\.json\.j2: makes a dataset that is no table"),
        ("prompts.json", '{"a": 1}', r"prompts\.json\.j2: makes a prompt 'a' that is no text by a short name"),
        ("prompts.json", '{"A/..": "x"}', "makes a prompt 'A/..' that is no text by a short name"),
        ("prompts.json", '{"a": "{ENV:HOME}"}', "prompts.json: would hold {env:...}, for which the trainer puts in"),
    ],
)
def test_what_the_trainer_would_misread_is_refused(tmp_path: Path, name: str, source: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        rendered(templates=templates_with(tmp_path, source, name))


def test_a_text_that_the_trainer_would_replace_is_refused_wherever_it_stands() -> None:
    with pytest.raises(UsageError, match="config.json: would hold {env:...}"):
        rendered(replace(SPEC, tracker=Tracker(project="{env:HF_TOKEN}")))


def test_the_adapters_alpha_is_its_rank_unless_it_is_set() -> None:
    assert rendered(replace(SPEC, lora=Lora(rank=48))).config["lora_alpha"] == 48


def test_names_that_are_none_are_found_without_rendering(tmp_path: Path) -> None:
    words = configs.values(SPEC, schedule.count(SPEC, {"1.0": 12}), WORDS, PLACES)
    assert list(configs.template_problems(SHIPPED, words)) == []
    bad = templates_with(tmp_path, '{"a": {{ rank }},\n"b": {{ rnak | tojson }}}')
    path = tmp_path / "config.json.j2"
    assert list(configs.template_problems(bad, words)) == [
        f"{path}:2: {{{{ rnak }}}} is not a name here, did you mean 'rank'?"
    ]
    torn = templates_with(tmp_path, "{{ rank")
    assert next(configs.template_problems(torn, words)).startswith(f"{path}:1: not a Jinja template: ")


def test_a_template_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json.j2").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="config.json.j2: is not UTF-8 text; save it as UTF-8"):
        configs.load_templates(tmp_path)
    (tmp_path / "config.json.j2").unlink()
    (tmp_path / "config.json.j2").symlink_to("nowhere")
    with pytest.raises(UsageError, match="config.json.j2: cannot be read: no such file or directory"):
        configs.load_templates(tmp_path)
