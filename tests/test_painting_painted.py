from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from kanjiprep.errors import TrainerError
from kanjiprep.publishing.painting import painted
from kanjiprep.publishing.painting.painted import Origin
from kanjiprep.publishing.painting.wish import Wish

WISH = Wish("山", "山. Ink\nstrokes", "grey,\n3d", "ink", 7, 64, 2, 4.5)
ORIGIN = Origin("mine", "lora", 8, "ab" * 32, "stabilityai/large", "cd" * 32, "FlowMatchEulerDiscreteScheduler")


def data(wish: Wish = WISH, origin: Origin = ORIGIN) -> bytes:
    return painted.encoded(Image.new("RGB", (64, 64)), wish, origin, {"torch": "2"})


def test_the_words_are_in_the_form_that_other_programs_read() -> None:
    with Image.open(io.BytesIO(data())) as picture:
        words = picture.text  # type: ignore[attr-defined]
    lines = words["parameters"].split("\n")
    assert lines[:2] == ["山. Ink strokes <lora:mine:1>", "Negative prompt: grey, 3d"]
    assert lines[2].startswith(
        "Steps: 2, Sampler: Euler, CFG scale: 4.5, Seed: 7, Size: 64x64, Model: large, Version: "
    )
    table = json.loads(words["kanjiprep"])
    assert table["wish"]["prompt"] == WISH.prompt
    assert (table["origin"]["step"], table["made_with"]) == (8, {"torch": "2"})


def test_a_model_of_its_own_is_named_as_the_model() -> None:
    text = painted.parameters(replace(WISH, negative=" "), replace(ORIGIN, kind="full", sampler="UniPCScheduler"))
    assert "Negative" not in text
    assert "<lora" not in text
    assert "Sampler: UniPC" in text
    assert "Model: mine" in text


def test_the_shift_and_what_t5_reads_are_told() -> None:
    wish = replace(WISH, shift=1.0, t5_tokens=154)
    with Image.open(io.BytesIO(data(wish))) as picture:
        words = picture.text  # type: ignore[attr-defined]
    assert ", Shift: 1, Model: large," in words["parameters"]
    told = json.loads(words["kanjiprep"])["wish"]
    assert (told["shift"], told["t5_tokens"]) == (1.0, 154)


def test_half_a_character_is_written_as_its_code() -> None:
    wish = replace(WISH, prompt="a\ud800b")
    with Image.open(io.BytesIO(data(wish))) as picture:
        assert picture.text["parameters"].startswith("a\\ud800b")  # type: ignore[attr-defined]


def test_the_same_picture_is_known_again_and_another_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data())
    assert painted.is_same(path, painted.identity(WISH, ORIGIN))
    assert not painted.is_same(path, painted.identity(replace(WISH, seed=8), ORIGIN))
    assert not painted.is_same(path, painted.identity(WISH, replace(ORIGIN, sha256="")))


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"no picture",
        data()[:-12],
        data()[:60],
        data().replace(b'"kind": "picture"', b'"kind": "another"'),
        data().replace(b"tEXtkanjiprep\0{", b"tEXtkanjiprep\0["),
        data().replace(b"tEXtkanjiprep", b"tEXtkanjiprop"),
    ],
)
def test_what_is_not_a_whole_picture_of_ours_tells_nothing(wrong: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(wrong)
    assert painted.read(tmp_path / "a.png") is None
    assert painted.read(tmp_path / "none.png") is None


def test_a_picture_is_written_over_no_other_file(tmp_path: Path) -> None:
    painted.write(tmp_path / "a.png", b"first")
    with pytest.raises(TrainerError, match=r"a.png: is in the way; give another folder with --out"):
        painted.write(tmp_path / "a.png", b"second")
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("a.png", b"first")]


def test_a_fingerprint_tells_files_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    prints = set()
    for content in (b"a", b"b", b"ab", b"a" * 200_000, b"a" * 199_999 + b"b"):
        path.write_bytes(content)
        prints.add(painted.fingerprint((path,)))
    assert len(prints) == 5
    with pytest.raises(TrainerError, match="cannot be read: no such file"):
        painted.fingerprint((tmp_path / "none",))
