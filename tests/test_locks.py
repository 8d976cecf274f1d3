from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from kanjiprep.training import locks


@pytest.fixture(params=["a file", "a folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "place"
    if request.param == "a folder":
        path.mkdir()
    return path


def opened() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_what_is_held_is_held_by_one_alone(place: Path) -> None:
    with locks.held(place), pytest.raises(BlockingIOError), locks.held(place, waits=False):
        pass
    with locks.held(place, waits=False):
        pass


def test_who_waits_comes_in_when_the_holder_has_gone(place: Path) -> None:
    order: list[str] = []
    is_waiting = threading.Event()

    def wait() -> None:
        is_waiting.set()
        with locks.held(place):
            order.append("second")

    with locks.held(place):
        worker = threading.Thread(target=wait)
        worker.start()
        is_waiting.wait()
        order.append("first")
    worker.join()
    assert order == ["first", "second"]


def test_a_lock_that_fails_leaves_nothing_open(place: Path) -> None:
    with locks.held(place):
        before = opened()
        with pytest.raises(BlockingIOError), locks.held(place, waits=False):
            pass
        assert opened() == before


def test_a_file_that_is_made_is_its_owners_and_can_be_appended_to(tmp_path: Path) -> None:
    with locks.held(tmp_path / "list") as file:
        os.write(file, b"a")
    with locks.held(tmp_path / "list") as file:
        os.write(file, b"b")
    assert (tmp_path / "list").read_bytes() == b"ab"
    assert (tmp_path / "list").stat().st_mode & 0o777 == 0o600


def test_a_lock_for_several_people_may_be_opened_by_them(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        with locks.held(tmp_path / "list", mode=0o666):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "list").stat().st_mode & 0o777 == 0o664


def test_no_link_is_followed_to_a_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"), locks.held(tmp_path / "link"):
        pass
    assert not (tmp_path / "elsewhere").exists()
