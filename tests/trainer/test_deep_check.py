"""SimpleTuner's own parser, asked about good and bad files."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from kanjiprep.training import deep_check
from kanjiprep.training import trainer as trainers
from kanjiprep.training.deep_check import DeepCheck
from kanjiprep.training.trainer import Trainer
from tests import rule_cases

pytestmark = pytest.mark.trainer

CONFIG: Final[dict[str, Any]] = {**rule_cases.CONFIG, "lora_rank": 768, "lora_alpha": 768}
BACKENDS: Final[list[dict[str, Any]]] = [dict(rule_cases.PICTURES), dict(rule_cases.TEXTS)]


@pytest.fixture(scope="module")
def good(trainer: Trainer) -> DeepCheck:
    return deep_check.check(trainer, CONFIG, BACKENDS)


@pytest.fixture(scope="module")
def bad(trainer: Trainer) -> DeepCheck:
    """Everything wrong at once, in one call."""
    config = {
        **CONFIG,
        "_comment": "mine",
        "enable_xformers_memory_efficient_attention": True,
        "lora_ran": 4,
        "train_batch_size": 6.0,
        "lr_scheduler": "cosin",
        "num_train_epochs": 30,
        "model_flavour": "larg",
        "gradient_checkpointing": "false",
        "tracker_run_name": "",
        "repeats": 1,
        "validation_guidance_skip_layers": [7, 8, 9],
        "--lora_rank": 8,
    }
    del config["optimizer"]
    backends = copy.deepcopy(BACKENDS)
    backends[0] |= {"instance_data_dirr": "/dataset", "crop_style": "middle", "type": "locl"}
    backends[0]["parquet"]["captoin_column"] = "text"
    backends += [{"id": "text-embeds", "type": "local"}, {"type": "local"}]
    return deep_check.check(trainer, config, backends)


def test_a_good_config_has_no_problem(good: DeepCheck, trainer: Trainer) -> None:
    assert good.problems == ()
    assert good.version == trainer.version


def test_what_arrives_is_what_was_written_and_the_defaults(good: DeepCheck) -> None:
    assert {key: good.arrived[key] for key in CONFIG} == CONFIG
    assert good.arrived["lr_power"] == 0.8
    assert good.types["learning_rate"] == "float"
    assert good.types["lora_rank"] == "int"


FOUND: Final = {
    ("unknown", "_comment"): "is no option of the trainer",
    ("unknown", "enable_xformers_memory_efficient_attention"): "is no option of the trainer",
    ("abbreviation", "lora_ran"): "is taken for lora_rank; write it out",
    ("value", "train_batch_size"): "invalid int value: '6.0'",
    ("value", "lr_scheduler"): "invalid choice: 'cosin'",
    ("contradiction", "num_train_epochs"): "you must set --num_train_epochs (NUM_EPOCHS) to 0",
    ("flavour", "model_flavour"): "'larg' is no flavour of sd3: medium, large",
    ("dropped", "gradient_checkpointing"): "the default True stays",
    ("dropped", "tracker_run_name"): "the default 'simpletuner-testing' stays",
    ("ignored", "repeats"): "silently passed over",
    ("collapsed", "validation_guidance_skip_layers"): "the list becomes '9'; write it as the text '[7, 8, 9]'",
    ("twice", "lora_rank"): "is written 2 times",
    ("missing", "optimizer"): "is required",
    ("backend_key", "kanji-1024.instance_data_dirr"): "did you mean 'instance_data_dir'?",
    ("backend_key", "kanji-1024.parquet.captoin_column"): "is read nowhere in the trainer",
    ("backend", "kanji-1024"): "crop_style must be one of",
    ("backend_id", "text-embeds"): "stands 2 times",
    ("backend_id", "[3]"): "has no id",
}


@pytest.mark.parametrize("place", FOUND, ids="-".join)
def test_each_fault_is_found_in_one_call(bad: DeepCheck, place: tuple[str, str]) -> None:
    texts = [problem.text for problem in bad.problems if (problem.kind, problem.key) == place]
    assert any(FOUND[place] in text for text in texts), (texts, [str(problem) for problem in bad.problems])


def test_nothing_else_is_found(bad: DeepCheck) -> None:
    others = [problem for problem in bad.problems if (problem.kind, problem.key) not in FOUND]
    assert others == []


def test_an_unknown_type_of_backend_is_found(bad: DeepCheck) -> None:
    assert any("Unknown backend type: locl" in problem.text for problem in bad.problems)


def test_old_spellings_that_the_trainer_translates_are_no_problem(trainer: Trainer) -> None:
    """Nothing is told of a fault's consequences either: the wrong epochs cannot contradict the steps."""
    old = {"checkpointing_steps": 5, "ignore_final_epochs": True, "num_train_epochs": "thirty", "model_family": "SD3"}
    config = {key: value for key, value in CONFIG.items() if key != "checkpoint_step_interval"} | old
    found = deep_check.check(trainer, config, BACKENDS)
    assert [(problem.kind, problem.key) for problem in found.problems] == [("value", "num_train_epochs")]
    assert found.arrived["checkpoint_step_interval"] == 5


def entries(package: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every dataloader entry among the examples that come with the trainer."""
    for path in sorted((package / "examples").rglob("*.json")):
        try:
            document = json.loads(path.read_text("utf-8"))
        except ValueError:
            continue  # one shipped example is not JSON
        if isinstance(document, list) and any(
            "dataset_type" in entry for entry in document if isinstance(entry, dict)
        ):
            yield from ((str(path.relative_to(package)), entry) for entry in document)


def keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def test_no_key_of_the_trainers_own_examples_is_called_unknown(trainer: Trainer) -> None:
    code = (
        "import json, pathlib, runpy, sys\n"
        "words = runpy.run_path(sys.argv[1])['words_of'](pathlib.Path(sys.argv[2]))\n"
        "print(json.dumps(sorted(words)))\n"
    )
    line = [str(trainer.python), "-c", code, str(trainers.INSIDE / "words.py"), str(trainer.package)]
    words = set(json.loads(trainers.run(line, {}, 600)))
    found = list(entries(trainer.package))
    assert len(found) > 50
    assert [(place, key) for place, entry in found for key in keys(entry) if key not in words] == []
    assert "instance_data_dirr" not in words
