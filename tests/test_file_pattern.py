from __future__ import annotations

from pathlib import Path

import pytest

from kanjiprep.errors import InputError, UsageError
from kanjiprep.evaluation import file_pattern


def found(tmp_path: Path, pattern: str, *names: str) -> list[tuple[str, int, str, int]]:
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    files = file_pattern.find(tmp_path, pattern)
    return [(str(one.path.relative_to(tmp_path)), one.step, one.prompt, one.seed) for one in files]


@pytest.mark.parametrize(
    ("pattern", "name", "means"),
    [
        ("step_{step}_{prompt}_{seed}_*.png", "step_400_my_kanji_2_1_64x64.png", (400, "my_kanji_2", 1)),
        ("step_{step}_{prompt}_{seed}_*", "step_0_a_0_64x64.WEBP", (0, "a", 0)),
        ("checkpoint-{step}/{prompt}.png", "checkpoint-14400/山 and 川.png", (14400, "山 and 川", 0)),
        ("{prompt}/{step}/{seed}.jpg", "a/00012/3.jpg", (12, "a", 3)),
        ("*{step}.png", "image-1200.png", (1200, "picture", 0)),
        ("*{step}*.png", "image-1200-x.png", (1200, "picture", 0)),
        ("a[1]+{step}.png", "a[1]+7.png", (7, "picture", 0)),
        ("*/{step}.jpeg", "x/7.jpeg", (7, "picture", 0)),
        ("{step}{prompt}.png", "7a.png", (7, "a", 0)),
    ],
)
def test_a_name_tells_step_prompt_and_seed(
    tmp_path: Path, pattern: str, name: str, means: tuple[int, str, int]
) -> None:
    if pattern == "{step}{prompt}.png":
        with pytest.raises(UsageError, match="nothing between"):
            file_pattern.parse(pattern)
        return
    assert found(tmp_path, pattern, name) == [(name, *means)]


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("{step}.png", "a.png"),
        ("{step}.png", "1.png.txt"),
        ("{step}.*", "1.txt"),
        ("{step}.png", "x/1.png"),
        ("*/{step}.png", "1.png"),
        ("*/{step}.png", "x/y/1.png"),
        ("{step}.png", "1234567890.png"),
        ("{step}.png", "1x.png"),
        ("{step}.png", "٣.png"),
        ("a.{step}.png", "ab1.png"),
        ("{step}/{prompt}.png", "1.png"),
    ],
)
def test_other_names_do_not_fit(tmp_path: Path, pattern: str, name: str) -> None:
    assert found(tmp_path, pattern, name) == []


def test_folders_and_files_in_the_way_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "1.png").mkdir()
    (tmp_path / "2").touch()
    assert found(tmp_path, "{step}.png", "3.png") == [("3.png", 3, "picture", 0)]
    assert found(tmp_path, "{step}/{prompt}.png") == []


def test_files_are_in_the_order_of_their_steps(tmp_path: Path) -> None:
    files = found(tmp_path, "{step}_{prompt}.png", "10_a.png", "9_b.png", "9_a.png")
    assert [name for name, *_ in files] == ["9_a.png", "9_b.png", "10_a.png"]


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("", "is empty"),
        ("a.png", "has no {step}"),
        ("{prompt}.png", "has no {step}"),
        ("{stp}.png", "has the unknown field {stp}"),
        ("{}{step}.png", "has the unknown field {}"),
        ("{step:04}.png", "has the unknown field {step:04}"),
        ("{step}_{step}.png", "has {step} twice"),
        ("{prompt}/{step}_{prompt}.png", "has {prompt} twice"),
        ("{step}.png}", "has a brace without its other half"),
        ("{{step}}.png", "has a brace without its other half"),
        ("{step}{seed}.png", "has two fields with nothing between them"),
        ("{step}_{prompt}*", "has two fields with nothing between them"),
        ("**/{step}.png", "has **, where each folder needs its own *"),
        ("/a/{step}.png", "is an absolute path"),
        ("../{step}.png", "leads out of the folder by .."),
        ("a//{step}.png", "has a folder without a name"),
        ("./{step}.png", "has a folder without a name"),
        ("{step}/", "has a folder without a name"),
    ],
)
def test_what_is_no_pattern_is_told(tmp_path: Path, pattern: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        file_pattern.find(tmp_path, pattern)
    assert str(caught.value).startswith(f"pattern {pattern!r}: {says}; write it as step_{{step}}_")


def test_two_files_that_are_the_same_picture_are_told(tmp_path: Path) -> None:
    says = (
        r"step_1_a.png: and .*step_1_b.png are both of step 1, prompt 'picture', seed 0; put \{prompt\} or \{seed\}"
    )
    with pytest.raises(InputError, match=says):
        found(tmp_path, "step_{step}_*.png", "step_1_a.png", "step_1_b.png")


def test_some_files_are_named(tmp_path: Path) -> None:
    assert file_pattern.examples(tmp_path) == ""
    found(tmp_path, "{step}.png", "b.txt", "a.png", "c/d.png")
    assert file_pattern.examples(tmp_path) == "a.png, b.txt, c/d.png"
    found(tmp_path, "{step}.png", "c/e.png")
    assert file_pattern.examples(tmp_path) == "a.png, b.txt, c/d.png and more"
