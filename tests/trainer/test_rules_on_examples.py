"""The rules on SimpleTuner's own example configs, and their tables and claims against its parser."""

from __future__ import annotations

import json
import os
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from kanjiprep.training import rules
from kanjiprep.training.rules import Subject, model, words
from kanjiprep.training.rules.subject import DEFAULTS, KEPT_WHOLE, OLD_NAMES
from kanjiprep.training.trainer import Trainer
from tests.rule_cases import CASES, GOOD, but

pytestmark = pytest.mark.trainer

BROKEN: Final = {"hidream.peft-controlnet-lora": "a comma after the last key: no JSON parser takes it"}
"""Examples that nobody can read, the trainer neither."""

TRUE_ERRORS: Final = {
    "list-collapses": "the SD3 example writes its skip layers as a list, of which the parser keeps the last",
    "tensorboard-crashes": "the anima examples report to TensorBoard, whose hparams refuse the trainer's own config",
}
"""Errors that are found in examples, and why they are right."""

SCRIPT: Final = """
import json, logging, os, sys
answers = os.fdopen(os.dup(1), "w")
logging.disable(logging.CRITICAL)
from simpletuner.helpers.configuration import cmd_args, json_file
from simpletuner.helpers.models.sd1x.model import StableDiffusion1
from simpletuner.helpers.models.sd3.model import SD3
def plain(value):
    return value if isinstance(value, (bool, int, float, str, list, dict, type(None))) else str(value)
def parse(config):
    try:
        found = cmd_args.parse_cmdline_args(json_file.normalize_args(config), exit_on_error=True)
    except (SystemExit, Exception) as error:
        return f"{type(error).__name__}: {error}"
    return {key: plain(value) for key, value in vars(found).items()}
options = {}
for action in cmd_args.get_argument_parser()._actions:
    for name in action.option_strings:
        kind = getattr(action.type, "__name__", "")
        options[name.lstrip("-")] = [kind, plain(action.default), list(action.choices or [])]
said = {
    "options": options,
    "flavours": {"sd3": SD3.HUGGINGFACE_PATHS, "sd1x": StableDiffusion1.HUGGINGFACE_PATHS},
    "defaults": {"sd3": SD3.DEFAULT_MODEL_FLAVOUR, "sd1x": StableDiffusion1.DEFAULT_MODEL_FLAVOUR},
    "parsed": [parse(config) for config in json.load(sys.stdin)],
}
print(json.dumps(said), file=answers, flush=True)
"""

REFUSED: Final = (
    "wrapped-config",
    "missing-key",
    "removed-key",
    "comment-key",
    "not-a-number",
    "unknown-choice",
    "steps-and-epochs",
    "steps-without-epochs",
    "optimizer-gone",
    "one-beta",
    "unknown-tracker",
)
"""Rules whose bad case the parser refuses."""

READ_OTHERWISE: Final[Mapping[str, Any]] = {
    "text-for-false": ("gradient_checkpointing", True),
    "list-collapses": ("validation_guidance_skip_layers", 9),
    "table-dropped": ("user_prompt_library", None),
    "cosine-with-warmup-has-none": ("lr_scheduler", "cosine"),
    "resume-is-not-a-switch": ("resume_from_checkpoint", "false"),
}
"""Rules whose bad case the parser takes for something else: the key and what arrives."""


def examples(folder: Path) -> dict[str, Subject]:
    found = {}
    for path in sorted(folder.glob("*/config.json")):
        if path.parent.name not in BROKEN:
            config = json.loads(path.read_text("utf-8"))
            found[path.parent.name] = Subject(config, datasets_of(config, folder))
    return found


def datasets_of(config: Mapping[str, str], folder: Path) -> tuple[Mapping[str, object], ...]:
    """The datasets that an example names; none if its package does not ship them."""
    named = config["data_backend_config"].partition("examples/")[2]
    path = folder / named
    return tuple(json.loads(path.read_text("utf-8"))) if path.is_file() else ()


@pytest.fixture(scope="module")
def subjects(trainer: Trainer) -> dict[str, Subject]:
    return examples(trainer.package / "examples")


@pytest.fixture(scope="module")
def said(trainer: Trainer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the trainer's own parser says of itself and of the cases."""
    bad = (CASES[rule].bad for rule in (*REFUSED, *READ_OTHERWISE))
    asked = [dict(subject.config) for subject in (GOOD, *bad, but(resume_from_checkpoint=""))]
    answer = subprocess.run(
        [str(trainer.python), "-c", SCRIPT],
        input=json.dumps(asked),
        cwd=tmp_path_factory.mktemp("parser"),
        env={**os.environ, "SIMPLETUNER_LOG_LEVEL": "ERROR"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    return json.loads(answer.stdout.splitlines()[-1])


def test_there_are_examples_to_judge(subjects: dict[str, Subject]) -> None:
    assert len(subjects) > 100
    assert sum(bool(subject.backends) for subject in subjects.values()) > 100


def test_no_error_is_found_in_an_example_without_a_reason(subjects: dict[str, Subject]) -> None:
    errors = {one.rule for subject in subjects.values() for one in rules.judge(subject) if one.severity == "error"}
    assert errors == set(TRUE_ERRORS)


def test_findings_in_examples_are_the_ones_that_were_looked_at(subjects: dict[str, Subject], golden: Any) -> None:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, subject in subjects.items():
        for rule in sorted({finding.rule for finding in rules.judge(subject)}):
            found[rule].append(name)
    listed = {rule.id: _short(found[rule.id]) for rule in rules.RULES if rule.id in found}
    golden("rules_on_examples.json", (json.dumps(listed, indent=1, ensure_ascii=False) + "\n").encode())


def _short(names: list[str]) -> list[str] | int:
    """Names where somebody may look at each, else how many."""
    return names if len(names) <= 30 else len(names)


@pytest.mark.parametrize("name", BROKEN)
def test_the_examples_that_are_left_out_cannot_be_read(trainer: Trainer, name: str) -> None:
    text = (trainer.package / "examples" / name / "config.json").read_text("utf-8")
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)


def test_the_good_config_is_taken(said: Any) -> None:
    assert isinstance(said["parsed"][0], dict), said["parsed"][0]


@pytest.mark.parametrize("rule", REFUSED)
def test_what_a_rule_calls_refused_is_refused(said: Any, rule: str) -> None:
    answer = said["parsed"][1 + REFUSED.index(rule)]
    assert isinstance(answer, str), f"{rule} is taken"


@pytest.mark.parametrize("rule", READ_OTHERWISE)
def test_what_a_rule_calls_read_otherwise_is_read_so(said: Any, rule: str) -> None:
    key, arrives = READ_OTHERWISE[rule]
    answer = said["parsed"][1 + len(REFUSED) + list(READ_OTHERWISE).index(rule)]
    assert answer[key] == arrives


def test_defaults_are_the_parsers(said: Any) -> None:
    assert {key: said["options"][key][1] for key in DEFAULTS} == dict(DEFAULTS)


def test_switches_that_are_on_by_default_are_the_parsers(said: Any) -> None:
    switches = {key for key, (kind, default, _) in said["options"].items() if "bool" in kind and default is True}
    assert switches == words.ON_BY_DEFAULT


def test_kinds_of_numbers_are_the_parsers(said: Any) -> None:
    old = {**OLD_NAMES, "save_total_limit": "checkpoints_total_limit"}
    kinds = {key: said["options"][old.get(key, key)][0] for key in words.WHOLE | words.REAL}
    assert kinds == {**dict.fromkeys(words.WHOLE, "int"), **dict.fromkeys(words.REAL, "float")}


def test_choices_are_the_parsers(said: Any) -> None:
    for key, choices in words.CHOICES.items():
        assert set(said["options"][key][2]) == set(choices) - {"cosine_with_warmup"}, key


def test_keys_that_are_called_removed_are_not_there_and_their_heirs_are(said: Any) -> None:
    options = set(said["options"])
    assert not options & set(words.REMOVED)
    heirs = {text.removeprefix("use ") for text in words.REMOVED.values() if text.startswith("use ")}
    assert {heir.split()[0] for heir in heirs} - options == set()
    assert {"disable_tf32", *words.TURNED.values(), *OLD_NAMES.values()} - options == set()


def test_keys_that_are_kept_whole_are_options(said: Any) -> None:
    assert set(said["options"]) >= KEPT_WHOLE


def test_flavours_are_the_models(said: Any) -> None:
    assert said["flavours"] == {family: dict(flavours) for family, flavours in model.FLAVOURS.items()}
    assert said["defaults"] == {"sd3": "medium", "sd1x": "dreamshaper"}


def test_an_empty_resume_arrives_empty(said: Any) -> None:
    assert said["parsed"][0]["resume_from_checkpoint"] == "latest"
    assert said["parsed"][-1]["resume_from_checkpoint"] == ""
