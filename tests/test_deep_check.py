from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.errors import TrainerError
from kanjiprep.training import deep_check
from kanjiprep.training.deep_check import DeepCheck, Problem
from kanjiprep.training.inside import check as inside
from kanjiprep.training.inside import words

ANSWER = {
    "version": "4.10.1",
    "problems": [{"kind": "unknown", "key": "lora_ran", "text": "is no option"}],
    "arrived": {"lora_rank": 4},
    "types": {"lora_rank": "int"},
}


def test_an_answer_is_read(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    path.write_text(json.dumps(ANSWER), "utf-8")
    problems = (Problem("unknown", "lora_ran", "is no option"),)
    assert deep_check.read(path, "python") == DeepCheck("4.10.1", problems, {"lora_rank": 4}, {"lora_rank": "int"})
    assert str(problems[0]) == "lora_ran: is no option"
    assert str(Problem("contradiction", "", "both")) == "both"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", "[" * 100_000, json.dumps({**ANSWER, "problems": [{"kind": "x"}]})]
)
def test_garbage_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "answer.json"
    path.write_text(text, "utf-8")
    with pytest.raises(TrainerError, match="python: its check gave no answer that is understood"):
        deep_check.read(path, "python")


def test_no_answer_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="no answer"):
        deep_check.read(tmp_path / "answer.json", "python")


class FakeDesk(inside.Desk):
    """A parser of three options in SimpleTuner's place, with its way to make a command line of a config."""

    def __init__(self) -> None:
        self._parser = argparse.ArgumentParser(exit_on_error=False)
        self._parser.add_argument("--model_type", required=True, choices=["full", "lora"])
        self._parser.add_argument("--lora_rank", type=int, default=16)
        self._parser.add_argument("--layers", default="all")
        self._parser.add_argument("--checkpoints", nargs="?", const=True, default=True)
        self._normalize = self._lines
        self._parse_whole = self._whole
        actions = self._parser._actions
        self.known = {text: action.dest for action in actions for text in action.option_strings}
        self.defaults = {action.dest: action.default for action in actions}
        self.required = {action.dest: action for action in actions if action.required}

    def _lines(self, config: Mapping[str, Any]) -> list[str]:
        lines = []
        for key, value in config.items():
            items = value if isinstance(value, list) else [value]
            fits = [item for item in items if item not in (None, "", "false") and not isinstance(item, dict)]
            lines += [f"--{key.lstrip('-')}={item}" for item in fits]
        return lines

    def _whole(self, lines: list[str], *, exit_on_error: bool) -> Any:
        assert exit_on_error
        namespace = self._parser.parse_args([line.replace("--old_rank", "--lora_rank") for line in lines])
        if namespace.model_type == "full" and namespace.lora_rank != 16:
            raise ValueError("--lora_rank is for\nLoRA only")
        return namespace


def kinds(config: Mapping[str, object]) -> dict[str, str]:
    return {problem.key: problem.kind for problem in inside.judge_keys(FakeDesk(), config)}


def whole(config: Mapping[str, object], bad: set[str] | None = None) -> list[inside.Problem]:
    return inside.judge_whole(FakeDesk(), config, frozenset(bad or ()))[1]


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("nothing", 1, "unknown"),
        ("lora_ran", 4, "abbreviation"),
        ("lora_rank", "many", "value"),
        ("lora_rank", [4, 8], "collapsed"),
        ("checkpoints", "false", "dropped"),
        ("checkpoints", {"every": 5}, "dropped"),
        ("layers", "", "dropped"),
        ("nothing", None, "ignored"),
    ],
)
def test_each_kind_of_fault_of_a_key_is_told(key: str, value: object, kind: str) -> None:
    assert kinds({"model_type": "lora", key: value}) == {key: kind}


@pytest.mark.parametrize(
    ("key", "value"), [("lora_rank", 4), ("--lora_rank", "4"), ("layers", None), ("old_rank", 4)]
)
def test_good_keys_and_translated_ones_are_no_fault(key: str, value: object) -> None:
    assert kinds({"model_type": "lora", key: value}) == {}


def test_a_key_twice_and_a_key_missing_are_told() -> None:
    assert kinds({"lora_rank": 1, "--lora_rank": 2}) == {"lora_rank": "twice", "model_type": "missing"}


def test_a_contradiction_is_told_in_one_line_with_its_key() -> None:
    wanted = ("contradiction", "lora_rank", "--lora_rank is for LoRA only")
    assert whole({"model_type": "full", "lora_rank": 4}) == [wanted]


def test_what_follows_from_another_fault_is_not_told_again() -> None:
    assert whole({"lora_rank": 4}) == []
    assert whole({"model_type": "full", "lora_rank": "many"}, {"lora_rank"}) == []


def test_what_arrives_is_told_even_if_the_whole_contradicts_itself() -> None:
    config = {"model_type": "full", "old_rank": 4, "layers": "first"}
    namespace, problems = inside.judge_whole(FakeDesk(), config, frozenset())
    assert [problem.kind for problem in problems] == ["contradiction"]
    assert (namespace.layers, namespace.model_type) == ("first", "full")


def test_words_are_read_where_a_key_can_stand_and_nowhere_else() -> None:
    source = """
def read(entry, other="not_a_default"):
    '''not_a_docstring'''
    if "compared" in entry: return entry["subscript"]
    for key in ("listed", "two words"): entry.get("asked", "default_too")
    return {"written": "not_a_value"}
"""
    assert set(words.words_in(source)) == {"compared", "subscript", "listed", "asked", "default_too", "written"}


def test_the_entries_of_a_dataloader_file_are_judged_by_path() -> None:
    known = frozenset({"id", "type", "parquet", "path"})
    entry = {"type": "local", "parquet": {"path": "x", "pth": "y"}, "typ": 1}
    found = [tuple(problem) for problem in inside.judge_backends([entry], None, known)]
    assert found == [
        ("backend_key", "[0].parquet.pth", "is read nowhere in the trainer, did you mean 'path'?"),
        ("backend_key", "[0].typ", "is read nowhere in the trainer, did you mean 'type'?"),
        ("backend_id", "[0]", "has no id"),
    ]


@pytest.mark.parametrize("backends", [{"id": "one"}, ["one"], None])
def test_a_dataloader_file_that_is_no_list_of_tables_is_told(backends: object) -> None:
    assert [problem.kind for problem in inside.judge_backends(backends, None, frozenset())] == ["backend_shape"]
