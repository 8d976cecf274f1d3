from pathlib import Path

import pytest

from kanjiprep.errors import UsageError
from kanjiprep.training import prompts
from kanjiprep.training.prompts import Style
from kanjiprep.training.run_spec import Validation

STYLES, LIBRARIES = (", ".join(prompts.names(kind)) for kind in ("styles", "prompts"))


def test_the_benchmark_has_pikachu_three_times_and_the_uncle() -> None:
    found, problems = prompts.load(Validation(libraries=("creatures",)), Path("x"))
    assert problems == ()
    assert list(found.plain.values()).count("Pikachu") == 3
    assert found.plain["uncle"] == "Middle-Eastern Uncle who feeds shawarma to local monkeys"
    assert found.plain["mountains"] == "mountains"
    assert found.by_name == found.plain


def test_the_style_of_the_first_attempt_is_put_around_every_prompt() -> None:
    found, problems = prompts.load(Validation(prompts={"a": "Pikachu"}, style="calligraphy"), Path("x"))
    assert problems == ()
    assert found.by_name["a"].startswith("A minimal, black and white kanji character. 5 STROKES MAXIMUM.")
    assert found.by_name["a"].endswith("in the style of Japanese calligraphy. Pikachu")
    assert found.negative.startswith("color, colors, colorful")


def test_files_of_ones_own_are_found_beside_the_preset(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('[prompts]\ncat = "a cat"\n', "utf-8")
    (tmp_path / "ink.toml").write_text('suffix = ", ink"\n', "utf-8")
    found, problems = prompts.load(Validation(libraries=("mine.toml",), style="ink.toml"), tmp_path)
    assert (found.by_name, problems) == ({"cat": "a cat, ink"}, ())


@pytest.mark.parametrize(
    ("validation", "says"),
    [
        (Validation(libraries=("creaturse",)), "no prompts file 'creaturse', did you mean 'creatures'?"),
        (Validation(style="none"), f"no styles file 'none'; there are {STYLES}"),
        (Validation(prompts={"Mount": "x"}), "the prompt name 'Mount' is no name for a file"),
        (Validation(prompts={"con": "x"}), "the prompt name 'con' is no name for a file"),
        (Validation(prompts={"validation": "x"}), "the prompt name 'validation' is no name"),
        (Validation(prompts={"a": " "}), "the prompt 'a' is empty"),
        (Validation(prompts={"a": "my {ENV:HF_TOKEN}"}), "'a' holds {env:...}"),
        (Validation(prompts={"uncle": "x"}, libraries=("creatures",)), "'creatures' has 'uncle' again"),
        (Validation(libraries=("broken.toml",)), "broken.toml: not a TOML file"),
        (Validation(libraries=("odd.toml",)), "odd.toml: promts is not a key here, did you mean 'prompts'?"),
        (Validation(libraries=("a\0b",)), "not a TOML file: embedded null byte"),
        (Validation(libraries=("deep.toml",)), "deep.toml: not a TOML file: "),
        (Validation(libraries=("empty.toml",)), "validation.libraries hold no prompt"),
        (Validation(libraries=("",)), f"the name of a prompts file is empty; there are {LIBRARIES}"),
        (Validation(style=""), f"the name of a styles file is empty; there are {STYLES}"),
        (Validation(libraries=("folder",)), "folder: cannot be read: is a directory"),
        (Validation(libraries=("~nobody-of-that-name/x",)), "not a TOML file: ~nobody-of-that-name/x"),
    ],
)
def test_each_problem_is_named(tmp_path: Path, validation: Validation, says: str) -> None:
    (tmp_path / "broken.toml").write_text("prompts = [", "utf-8")
    (tmp_path / "odd.toml").write_text("[promts]\n", "utf-8")
    (tmp_path / "folder").mkdir()
    (tmp_path / "deep.toml").write_text("a = " + "[" * 5000, "utf-8")
    (tmp_path / "empty.toml").write_text("\ufeff[prompts]\n", "utf-8")
    _, problems = prompts.load(validation, tmp_path)
    assert says in "\n".join(problems)


def test_a_subject_comes_first_when_pictures_are_asked_for_afterwards() -> None:
    style = prompts.style("calligraphy", Path("x"))
    assert style.composed(" Pikachu. ").startswith("Pikachu. A minimal, black and white kanji character. 5 STROKES")
    assert style.composed("Pikachu").endswith("in the style of Japanese calligraphy.")
    assert Style(prefix="P. ", suffix=" S").composed("cat") == "cat. P. S"
    assert Style().composed(" cat. ") == "cat."


def test_a_style_that_is_one_sentence_keeps_the_subject_within() -> None:
    said = prompts.style("caption", Path("x")).composed(" mountains. ")
    assert said == "Image of a Japanese kanji character in plain font. The character means: mountains."


def test_a_style_and_a_library_are_shipped_or_files_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('suffix = ", ink"\n', "utf-8")
    (tmp_path / "cats.toml").write_text('[prompts]\ncat = "a cat"\n', "utf-8")
    assert prompts.style("mine.toml", tmp_path) == Style(suffix=", ink")
    assert prompts.library("cats.toml", tmp_path) == {"cat": "a cat"}
    assert "mountains" in prompts.library("creatures", tmp_path)


def test_a_style_or_library_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text("subject = 'last'\n", "utf-8")
    with pytest.raises(UsageError, match="^--style: odd.toml: subject must be one of 'first', 'within', not 'last'$"):
        prompts.style("odd.toml", tmp_path)
    with pytest.raises(UsageError, match="^--library: no prompts file 'creature', did you mean 'creatures'"):
        prompts.library("creature", tmp_path)


def test_a_library_without_prompts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.toml").write_text("[prompts]\n", "utf-8")
    with pytest.raises(UsageError, match=r"none\.toml: holds no prompts; write them as name = "):
        prompts.library("none.toml", tmp_path)
