from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from kanjiprep.errors import HubError
from kanjiprep.publishing import staging


def test_the_folder_is_empty_at_first_and_gone_at_last(tmp_path: Path) -> None:
    with staging.opened(tmp_path, "a") as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "file").touch()
        left = folder
    assert not left.exists()
    left.mkdir()
    (left / "of a kill").mkdir()
    (left / "file").touch()
    with staging.opened(tmp_path, "a") as folder:
        assert (folder, list(folder.iterdir())) == (left, [])


def test_two_cannot_have_it_and_the_second_leaves_it_to_the_first(tmp_path: Path) -> None:
    with staging.opened(tmp_path, "a") as folder:
        (folder / "file").touch()
        with (
            pytest.raises(HubError, match="another kanjiprep is at the same work"),
            staging.opened(tmp_path, "a"),
        ):
            pass
        with staging.opened(tmp_path, "b") as other:
            assert other != folder
        assert (folder / "file").exists()


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inside"), staging.opened(tmp_path, "a"):
        raise ValueError("inside")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HubError, match="cannot be written: file exists; free some space"):
        staging.opened(tmp_path / "file", "a").__enter__()


def test_too_little_space_is_told_before_the_work(tmp_path: Path) -> None:
    staging.refuse_cramped(tmp_path, 1)
    with pytest.raises(HubError, match="MB free, and what is to come takes 1,000,000,000"):
        staging.refuse_cramped(tmp_path, 10**15)


def test_a_file_is_laid_out_as_a_link_or_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("a")
    staging.link(tmp_path / "a", tmp_path / "x" / "b")
    assert (tmp_path / "a").samefile(tmp_path / "x" / "b")

    def refuse(source: Path, target: Path) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    staging.link(tmp_path / "a", tmp_path / "c")
    assert (tmp_path / "c").read_text() == "a"
    with pytest.raises(HubError, match="gone: cannot be written: no such file"):
        staging.link(tmp_path / "gone", tmp_path / "d")


def test_nothing_is_ever_written_over(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    staging.link(tmp_path / "a", tmp_path / "out" / "x")
    with pytest.raises(HubError, match="cannot be written: file exists"):
        staging.link(tmp_path / "b", tmp_path / "out" / "x")
    assert (tmp_path / "a").read_text() == "a"


def test_of_a_link_what_it_leads_to_is_laid_out(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").symlink_to("a")
    staging.link(tmp_path / "b", tmp_path / "out" / "x")
    assert not (tmp_path / "out" / "x").is_symlink()
    assert (tmp_path / "out" / "x").read_text() == "a"


def test_what_others_left_behind_is_swept_out_and_what_they_hold_is_not(tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.mkdir()
    (left / "file").touch()
    with staging.opened(tmp_path, "a") as held, staging.opened(tmp_path, "b"):
        assert held.exists()
        assert not left.exists()


def test_a_folder_that_is_gone_between_open_and_lock_is_not_held(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    lock = os.open(tmp_path / "a", os.O_RDONLY)
    (tmp_path / "a").rmdir()
    assert not staging._is_taken(lock, tmp_path / "a")
    (tmp_path / "a").mkdir()
    assert not staging._is_taken(lock, tmp_path / "a"), "another of that name"
    os.close(lock)


def test_whoever_waits_goes_on_when_the_other_is_done(tmp_path: Path) -> None:
    done: list[str] = []

    def second() -> None:
        with staging.opened(tmp_path, "a", wait=True):
            done.append("second")

    waiting = threading.Thread(target=second)
    with staging.opened(tmp_path, "a"):
        waiting.start()
        time.sleep(0.5)
        done.append("first")
    waiting.join(10)
    assert done == ["first", "second"]
