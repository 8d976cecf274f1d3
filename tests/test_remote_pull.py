from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from kanjiprep.errors import RemoteError
from kanjiprep.training.remote import pull as pulling
from kanjiprep.training.remote.place import Place
from tests.fake_box import FakeBox, said

PLACE = Place("ssh://me@box", "mine")


def listing(*paths: str) -> FakeBox:
    return FakeBox([said(b"\0".join(os.fsencode(path) for path in paths) + b"\0")])


def found(paths: Sequence[str]) -> tuple[str, ...]:
    return pulling.checkpoints(listing(*paths), PLACE)  # type: ignore[arg-type]


def test_a_checkpoint_is_the_folder_of_its_mark_whatever_its_name() -> None:
    names = ["./output/checkpoint-4/.guard", "./attempt-2/output/checkpoint-12/.guard", "./水 火/checkpoint-1/.guard"]
    assert found(names) == ("output/checkpoint-4", "attempt-2/output/checkpoint-12", "水 火/checkpoint-1")
    assert found(["./a\nb/checkpoint-1/.guard", "no path of ours"]) == ("a\nb/checkpoint-1",)
    assert found(["./\udce9/checkpoint-1/.guard"]) == ("\udce9/checkpoint-1",)
    assert found([]) == ()


def test_the_name_of_a_run_is_no_part_of_the_script() -> None:
    box = listing()
    pulling.checkpoints(box, Place("ssh://me@box", "it's $(touch x)"))  # type: ignore[arg-type]
    assert """run='.kanjiprep/work/runs/it'"'"'s $(touch x)'\n""" in box.asked[0][1]


@pytest.mark.parametrize(
    ("code", "err", "says"),
    [
        (3, b"", "ssh://me@box: there is no run 'mine'; launch it again"),
        (1, b"find: denied\n", "ssh://me@box: the run cannot be looked at: find: denied; look at it there"),
    ],
)
def test_a_run_that_cannot_be_looked_at_is_one_line(tmp_path: Path, code: int, err: bytes, says: str) -> None:
    box = FakeBox([said(code=code, err=err)])
    with pytest.raises(RemoteError) as caught:
        pulling.pull(box, PLACE, tmp_path / "copy", lambda *_: None)  # type: ignore[arg-type]
    assert str(caught.value) == says


def test_a_copy_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(RemoteError, match=r"runs/mine: cannot be written: not a directory; choose another folder"):
        pulling.finish(listing(), PLACE, tmp_path / "runs" / "mine", lambda *_: None)  # type: ignore[arg-type]


def test_a_file_that_differs_is_hidden_before_it_is_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text("spoilt")
    pulling._set_aside(tmp_path / "events.jsonl")
    pulling._set_aside(tmp_path / "events.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == [".events.jsonl.differs"]


def test_one_that_cannot_be_hidden_or_read_is_one_line(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 250)
    long.write_text("spoilt")
    with pytest.raises(RemoteError, match=r"cannot be moved: file name too long; check its permissions"):
        pulling._set_aside(long)
    with pytest.raises(RemoteError, match=r"cannot be read: file name too long; check its permissions"):
        pulling._digest(tmp_path / ("x" * 300))
    assert pulling._digest(tmp_path) == pulling._digest(tmp_path / "none") == ""


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000])
def test_a_list_of_what_was_pulled_that_cannot_be_read_is_an_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / pulling.PULLED).write_text(text)
    assert pulling._known(tmp_path) == {}
