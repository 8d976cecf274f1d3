from __future__ import annotations

from pathlib import Path

import pytest

from kanjiprep.errors import TrainerError
from kanjiprep.training import tiny_model
from kanjiprep.training.inside import tiny_model as inside
from kanjiprep.training.run_spec import FLAVOURS, TINY
from kanjiprep.training.trainer import Trainer

TRAINER = Trainer(Path("/nowhere/python"), "4.10.1", Path("/nowhere"), "option")


def test_a_finished_model_is_kept(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text("{}", "utf-8")
    assert tiny_model.make(TRAINER, tmp_path) == tmp_path


def test_something_else_in_its_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="in the way and no finished model; move it away"):
        tiny_model.make(TRAINER, tmp_path)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainerError, match=r"cannot be written: (not a directory|file exists); give another folder"):
        tiny_model.make(TRAINER, tmp_path / "file" / "tiny")


def test_every_family_has_a_model_with_its_text_encoder_and_tokenizers() -> None:
    assert set(inside.FAMILIES) == {family for family, flavours in FLAVOURS.items() if TINY in flavours}
    assert [list(one.clip_tokenizers) for one in inside.FAMILIES.values()] == [
        ["tokenizer", "tokenizer_2"],
        ["tokenizer"],
    ]


def test_each_byte_has_a_letter_of_its_own_that_prints() -> None:
    letters = inside.byte_letters()
    assert len(set(letters)) == 256
    assert [letters[byte] for byte in b"Aa~"] == ["A", "a", "~"]
    assert all(letter.isprintable() and not letter.isspace() for letter in letters)


def test_the_vocabularies_hold_every_byte_and_each_token_once() -> None:
    clip = inside.clip_vocabulary()
    assert {inside.byte_letters()[byte] for byte in "亜".encode()} <= set(clip)
    assert len(clip) == len(set(clip)) == 2 * 256 + 2
    t5 = [text for text, _ in inside.t5_vocabulary()]
    assert t5[:3] == ["<pad>", "</s>", "<unk>"]
    assert len(t5) == len(set(t5)) == 3 + 1 + 94
