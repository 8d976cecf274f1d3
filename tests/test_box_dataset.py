from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from kanjiprep.errors import DatasetError, RemoteError
from kanjiprep.progress import silent
from kanjiprep.training.remote.box import dataset
from tests.fake_box import FakeBox, said

DIGEST = "0123456789abcdef" * 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "dataset"
    path.mkdir()
    (path / "metadata.csv").write_text("file_name,text\n")
    (path / "亜_kanji_04e9c.png").write_bytes(b"png")
    (path / ".hidden").write_text("no")
    (path / "deep").mkdir()
    (path / "deep" / "x").write_text("x")
    return path


def test_a_dataset_that_is_there_is_not_sent(folder: Path) -> None:
    box = FakeBox([said(b"there\n")])
    assert dataset.send_dataset(box, folder, DIGEST, silent) == f"../datasets/{DIGEST}"
    assert not box.sent
    ((_, script),) = box.asked
    assert f"{hashlib.sha256(b'png').hexdigest()}  亜_kanji_04e9c.png\n" in script
    assert ".hidden" not in script


@pytest.mark.parametrize("state", [b"missing\n", b"spoilt\n"])
def test_a_dataset_that_is_not_there_is_sent_aside_and_verified(folder: Path, state: bytes) -> None:
    box = FakeBox([said(state), said()])
    told: list[str] = []
    dataset.send_dataset(box, folder, DIGEST, lambda stage, *_: told.append(stage))
    assert box.sent == [(folder, f".kanjiprep/datasets/.{DIGEST}.new")]
    assert "sha256sum --check" in box.asked[1][1]
    assert told == ["read the dataset"] * 3 + ["send"]


def test_a_dataset_that_arrives_otherwise_is_told(folder: Path) -> None:
    box = FakeBox([said(b"missing\n"), said(code=1, err=b"x.png: FAILED\n")])
    with pytest.raises(RemoteError, match="the dataset did not arrive as it is here: x.png: FAILED"):
        dataset.send_dataset(box, folder, DIGEST, silent)


@pytest.mark.parametrize("digest", ["", "x", "0" * 63, "../" + DIGEST, DIGEST.upper()])
def test_a_digest_is_none_that_could_be_a_path(folder: Path, digest: str) -> None:
    with pytest.raises(DatasetError, match="is none; build it again"):
        dataset.send_dataset(FakeBox([]), folder, digest, silent)


def test_what_is_no_dataset_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has no files; run kanjiprep build"):
        dataset.read_digests(tmp_path / "none", silent)


@pytest.mark.parametrize("name", ["a\nb", "a\r", "a\\b", "\x7f"])
def test_a_name_that_sha256sum_would_read_otherwise_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_text("")
    with pytest.raises(DatasetError, match="is no name that a box could read"):
        dataset.send_dataset(FakeBox([]), folder, DIGEST, silent)


def test_a_file_that_cannot_be_read_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> object:
        raise PermissionError(13, "Permission denied", "x.png")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DatasetError, match="x.png: cannot be read: permission denied"):
        dataset.read_digests(folder, silent)


def test_a_link_to_nothing_is_told(folder: Path) -> None:
    (folder / "link").symlink_to("nowhere")
    with pytest.raises(DatasetError, match="link: is neither a file nor a link to one; remove it"):
        dataset.read_digests(folder, silent)
