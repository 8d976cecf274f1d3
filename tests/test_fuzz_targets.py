"""The fuzzing itself: it begins with good inputs, and it can fail."""

from __future__ import annotations

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kanjiprep.errors import InputError, KanjiprepError
from kanjiprep.spec import SpecError
from tests.fuzz import mutations, search
from tests.fuzz.judge import Reader, tried
from tests.fuzz.search import Found
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS


def planted(error: Exception | None, word: bytes = b"") -> Target:
    """A target whose reader fails with ``error`` on what holds ``word``, and refuses what is no JSON."""

    def make(_: Path) -> Reader:
        def read(data: bytes) -> None:
            if word in data and error is not None:
                raise error.with_traceback(None)
            try:
                json.loads(data)
            except (ValueError, RecursionError) as broken:
                raise InputError("is no JSON", "a.json") from broken

        return read

    return Target("planted", make, lambda: [b'{"a": [1, "good"]}', b'{"b": 2}'], (InputError,), "json")


def dice(target: Target, inputs: int, *corpus: bytes) -> tuple[Found, list[bytes]]:
    read, draw = target.make(Path()), random.Random(7)  # noqa: S311
    return search.by_dice(target, read, [*target.seeds(), *corpus], lambda found: found.inputs < inputs, draw)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_every_target_bears_its_seeds(target: Target, tmp_path: Path) -> None:
    read, seeds = target.make(tmp_path), list(target.seeds())
    assert seeds
    assert all(0 < len(seed) <= mutations.MOST_BYTES for seed in seeds)
    assert [crash.trace for seed in seeds if (crash := tried(read, target.allowed, seed).crash)] == []


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_every_target_bears_some_harm(target: Target, tmp_path: Path) -> None:
    draw = random.Random(target.name)  # noqa: S311
    found, _ = search.by_dice(
        target, target.make(tmp_path), list(target.seeds()), lambda found: found.inputs < 20, draw
    )
    assert [crash.trace for crash in found.crashes.values()] == []
    assert found.inputs == 20


def test_names_of_targets_are_unlike() -> None:
    assert len({target.name for target in TARGETS}) == len(TARGETS)


@pytest.mark.parametrize("error", [ValueError("x"), RecursionError(), AssertionError("two ways differ")])
def test_a_planted_crash_is_found_and_told(error: Exception) -> None:
    found, _ = dice(planted(error, b"null"), 3000)
    (crash,) = found.crashes.values()
    assert crash.what.startswith(type(error).__name__)
    assert "tests/test_fuzz_targets.py:" in crash.place
    assert b"null" in crash.data
    assert crash.trace.startswith("Traceback")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (InputError("", "a.json"), "InputError that says nothing"),
        (InputError("Traceback (most recent call last): x"), "InputError with a traceback in its message"),
        (SpecError("a", ("fine",)), "SpecError: a: fine"),
        (KanjiprepError("of no kind"), "KanjiprepError: of no kind"),
        (type("Odd", (InputError,), {"__str__": lambda _: "two\nlines"})("x"), r"Odd with '\n' in its message"),
        (type("Odd", (InputError,), {"__str__": lambda _: "red\x1b[31m"})("x"), r"Odd with '\x1b' in its message"),
    ],
)
def test_an_error_that_is_no_clear_line_is_a_crash(error: Exception, says: str) -> None:
    crash = tried(planted(error, b"1").make(Path()), (InputError,), b"1").crash
    assert crash is not None
    assert crash.what.startswith(says)


def test_each_problem_of_several_has_to_be_one_line() -> None:
    error = SpecError("f", ("fine",))
    error.problems = ("two\nlines",)
    crash = tried(planted(error, b"1").make(Path()), (SpecError,), b"1").crash
    assert crash is not None
    assert crash.what.startswith(r"SpecError with '\n'")


def test_what_a_reader_promises_is_no_crash_and_a_new_end_is_kept() -> None:
    found, kept = dice(planted(None), 2000)
    assert (found.crashes, found.inputs) == ({}, 2000)
    assert len(found.places) == 2
    assert len(kept) == 1


def test_crashes_of_one_place_are_one() -> None:
    found, _ = dice(planted(ValueError("x"), b"1"), 2000)
    assert len(found.crashes) == 1


@pytest.mark.parametrize("form", ["bytes", "json", "lines"])
@pytest.mark.parametrize("data", [b"", b"{", b"1", b'{"a": [1, {"b": null}]}\n[2]\n', b"\xff\x00" * 40_000])
def test_anything_can_be_changed_and_stays_small(form: mutations.Form, data: bytes) -> None:
    draw = random.Random(1)  # noqa: S311
    changed = [mutations.mutated(data, [data], mutations.words([data]), form, draw) for _ in range(300)]
    assert max(map(len, changed)) <= mutations.MOST_BYTES
    assert len(set(changed)) > 5


def test_most_changes_of_json_stay_json() -> None:
    draw = random.Random(1)  # noqa: S311
    data = b'{"a": [1, {"b": "text"}], "c": 0.5}'
    changed = [mutations.mutated(data, [data], (b"x",), "json", draw) for _ in range(300)]
    assert sum(_is_json(one) for one in changed) > 100


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


def test_libfuzzer_is_given_the_folders_and_a_mutator_of_both_kinds(tmp_path: Path) -> None:
    """With a stand-in for atheris that tries what the mutator gives it."""
    ended: list[bool] = []
    words: list[str] = []
    mutators: list[Any] = []
    found = Found()

    def setup(arguments: list[str], one: Any, custom_mutator: Any) -> None:
        words.extend(arguments)
        mutators.append((one, custom_mutator))

    def fuzz() -> None:
        one, mutate = mutators[0]
        for seed in range(200):
            one(mutate(b'{"a": 1}', 100, seed))

    atheris = SimpleNamespace(Setup=setup, Fuzz=fuzz, Mutate=lambda data, most: data[:most] + b" ")
    target = planted(ValueError("x"), b"null")
    read, folders = target.make(tmp_path), (tmp_path / "corpus", tmp_path / "seeds")
    search.by_libfuzzer(
        atheris,
        target,
        read,
        folders,
        list(target.seeds()),
        lambda found: found.inputs < 150,
        lambda: ended.append(True),
        found,
    )
    assert words[-2:] == [str(folder) for folder in folders]
    assert found.inputs == 200
    assert len(ended) == 51
    assert len(found.crashes) == 1
