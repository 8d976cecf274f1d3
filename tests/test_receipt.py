from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from kanjiprep import receipt
from kanjiprep.errors import DatasetError
from kanjiprep.receipt import Receipt

COMMIT = "0123456789" * 4
GIVEN = Receipt(
    endpoint="https://hub.test",
    repo_id="me/kanji",
    commit=COMMIT,
    revision="main",
    tag="v1",
    layout="parquet",
    private=False,
    digest="abc",
    content="def",
    pictures=3,
    at="2026-11-26T00:00:00+00:00",
    tool="kanjiprep 0",
    fetched=False,
    sha256={"README.md": "ff"},
)


def test_a_receipt_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert receipt.read(tmp_path) is None
    assert receipt.write(tmp_path, GIVEN) == tmp_path / "push.json"
    assert receipt.read(tmp_path) == GIVEN
    assert [path.name for path in tmp_path.iterdir()] == ["push.json"]
    assert GIVEN.pinned == f"me/kanji@{COMMIT}"


def test_a_receipt_holds_only_for_the_very_captions_and_pictures_that_were_pushed(tmp_path: Path) -> None:
    assert receipt.of(tmp_path) is None
    (tmp_path / "metadata.csv").write_text("file_name,text\na.png,x\n")
    (tmp_path / "a.png").write_bytes(b"a")
    given = replace(GIVEN, content=receipt.content_of(tmp_path))
    receipt.write(tmp_path, given)
    assert receipt.of(tmp_path) == given
    (tmp_path / "notes.txt").touch()
    assert receipt.of(tmp_path) == given
    (tmp_path / "a.png").write_bytes(b"b")
    assert receipt.of(tmp_path) is None
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "metadata.csv").write_text("file_name,text\na.png,y\n")
    assert receipt.of(tmp_path) is None
    (tmp_path / "a.png").unlink()
    assert receipt.of(tmp_path) is None


def test_a_picture_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,text\na.png/b.png,x\n")
    (tmp_path / "a.png").touch()
    with pytest.raises(DatasetError, match="b.png: cannot be read: not a directory"):
        receipt.content_of(tmp_path)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,text\na.png,x\n")
    without = receipt.content_of(tmp_path)
    os.mkfifo(tmp_path / "a.png")
    assert receipt.content_of(tmp_path) == without


@pytest.mark.parametrize("certificate", ["[]", '{"digest": 3}', "{}"])
def test_a_certificate_without_digest_gives_none(tmp_path: Path, certificate: str) -> None:
    (tmp_path / "build.json").write_text(certificate)
    assert receipt.certified_digest(tmp_path) == ""


def test_a_certificate_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "build.json").write_text("{")
    with pytest.raises(DatasetError, match="build.json: cannot be read; run kanjiprep check"):
        receipt.certified_digest(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"), [("{", "not JSON"), ("[]", "must be a table"), ('{"repo_id": 3}', "repo_id")]
)
def test_a_receipt_that_is_none_is_told(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "push.json").write_text(text)
    with pytest.raises(DatasetError, match=rf"push.json: .*{says}.*; remove it, or push the dataset again"):
        receipt.read(tmp_path)


def test_a_receipt_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "push.json").mkdir()
    with pytest.raises(DatasetError, match="push.json: cannot be read: is a directory"):
        receipt.read(tmp_path)


def test_a_receipt_that_cannot_be_written_says_that_the_push_is_done(tmp_path: Path) -> None:
    (tmp_path / "push.json").mkdir()
    (tmp_path / "push.json" / "x").touch()
    with pytest.raises(DatasetError, match=f"me/kanji is pushed as {COMMIT}, but its receipt cannot be written"):
        receipt.write(tmp_path, GIVEN)
    assert [path.name for path in tmp_path.iterdir()] == ["push.json"]


def test_a_receipt_is_json_that_others_can_read(tmp_path: Path) -> None:
    receipt.write(tmp_path, GIVEN)
    assert json.loads((tmp_path / "push.json").read_text())["commit"] == COMMIT


def test_a_picture_whose_name_no_file_can_have_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,text\na\0b.png,x\n")
    assert len(receipt.content_of(tmp_path)) == 64


def test_a_picture_whose_name_is_too_long_is_told(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text(f"file_name,text\n{'a' * 300}.png,x\n")
    with pytest.raises(DatasetError, match="cannot be read: file name too long"):
        receipt.content_of(tmp_path)
