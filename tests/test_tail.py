from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.training.running import tail
from kanjiprep.training.running.tail import Journal, Tail, last_bytes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lines"


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(data)


def test_only_what_is_new_is_read(path: Path) -> None:
    append(path, b"one\ntwo\n")
    lines = Tail(path)
    assert lines.lines() == [b"one", b"two"]
    assert lines.lines() == []
    append(path, b"three\n")
    assert lines.lines() == [b"three"]


def test_a_torn_last_line_waits_until_it_is_whole(path: Path) -> None:
    lines = Tail(path)
    append(path, b"one\ntw")
    assert lines.lines() == [b"one"]
    append(path, b"o, and ")
    assert lines.lines() == []
    append(path, b"more\nthr")
    assert lines.lines() == [b"two, and more"]


@pytest.mark.parametrize("later", ["the file", "its folder"])
def test_a_file_may_come_later(tmp_path: Path, later: str) -> None:
    path = tmp_path / "lines" if later == "the file" else tmp_path / "folder" / "lines"
    lines = Tail(path)
    assert (lines.lines(), lines.data()) == ([], b"")
    path.parent.mkdir(exist_ok=True)
    append(path, b"one\n")
    assert lines.lines() == [b"one"]


def test_a_file_in_the_place_of_the_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert Tail(tmp_path / "file" / "lines").lines() == []


def test_a_file_that_went_may_come_back(path: Path) -> None:
    append(path, b"one\n")
    lines = Tail(path)
    lines.lines()
    path.unlink()
    assert lines.lines() == []
    append(path, b"two\n")
    assert lines.lines() == [b"two"]


def test_a_file_that_was_cut_short_is_read_from_its_start(path: Path) -> None:
    append(path, b"one\ntwo\nthr")
    lines = Tail(path)
    lines.lines()
    path.write_bytes(b"new\n")
    assert lines.lines() == [b"new"]


@pytest.mark.parametrize("data", [b"new\n", b"a\nlonger\nfile\nthan\nbefore\n"])
def test_another_file_in_its_place_is_read_from_its_start(path: Path, data: bytes) -> None:
    append(path, b"one\ntwo\nthr")
    lines = Tail(path)
    lines.lines()
    path.with_name("other").write_bytes(data)
    path.with_name("other").replace(path)
    assert lines.lines() == data.split()


def test_it_begins_where_it_is_told_to(path: Path) -> None:
    append(path, b"of before\n")
    lines = Tail(path, path.stat().st_size)
    assert lines.lines() == []
    append(path, b"one\n")
    assert lines.lines() == [b"one"]


def test_where_it_is_told_to_begin_may_be_gone(path: Path) -> None:
    append(path, b"one\n")
    assert Tail(path, 1000).lines() == [b"one"]


def test_much_at_once_is_read_whole(path: Path) -> None:
    rows = [f"{number} ".encode() * 40 for number in range(20_000)]
    path.write_bytes(b"".join(row + b"\n" for row in rows))
    assert path.stat().st_size > 3 << 20
    assert Tail(path).lines() == rows


def test_one_line_may_be_longer_than_what_is_read_at_once(path: Path) -> None:
    path.write_bytes(b"x" * (5 << 20) + b"\nend\n")
    assert [len(line) for line in Tail(path).lines()] == [5 << 20, 3]


def test_empty_lines_are_none_and_other_ends_of_lines_stay(path: Path) -> None:
    append(path, b"one\r\n\r\n\n  \ntwo\n")
    assert Tail(path).lines() == [b"one\r", b"two"]


@given(st.lists(st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"")), max_size=10), st.data())
def test_lines_come_whole_however_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[bytes], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("tail") / "lines"
    written, lines, found = b"".join(row + b"\n" for row in rows), Tail(path), []
    while written:
        count = data.draw(st.integers(1, len(written)))
        append(path, written[:count])
        written = written[count:]
        found += lines.lines()
    assert found == [row for row in rows if row.strip()]


@pytest.mark.parametrize(("count", "found"), [(0, b""), (1, b"\n"), (4, b"two\n"), (99, b"one\ntwo\n")])
def test_the_last_bytes_are_at_most_as_many_as_asked_for(path: Path, count: int, found: bytes) -> None:
    append(path, b"one\ntwo\n")
    assert last_bytes(path, count) == found


def test_what_is_not_there_has_no_bytes(path: Path) -> None:
    assert (last_bytes(path, 4), tail.size(path)) == (b"", 0)
    append(path, b"one\n")
    assert tail.size(path) == 4
    assert last_bytes(path.parent, 4) == b""


# Journal


def test_a_journal_appends_whole_lines(path: Path) -> None:
    Journal(path).add(b"one\n")
    journal = Journal(path)
    journal.add(b"two\n")
    journal.add(b"three\n")
    assert path.read_bytes() == b"one\ntwo\nthree\n"
    assert journal.flush() == ""
    assert path.read_bytes() == b"one\ntwo\nthree\n"


def test_a_line_torn_by_a_kill_does_not_take_the_next_one_with_it(path: Path) -> None:
    path.write_bytes(b"one\ntw")
    journal = Journal(path)
    journal.add(b"three\n")
    journal.add(b"four\n")
    assert path.read_bytes() == b"one\ntw\nthree\nfour\n"


def _full_after(count: int) -> Callable[[int, bytes], int]:
    """os.write on a disk with room for ``count`` bytes."""
    write = os.write

    def write_some(descriptor: int, data: bytes) -> int:
        if not count:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:count])

    return write_some


@pytest.mark.parametrize("room", [0, 1, 5, 8])
def test_what_a_full_disk_refuses_is_written_as_soon_as_there_is_room(
    path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    path.write_bytes(b"one\n")
    journal = Journal(path)
    with monkeypatch.context() as full:
        full.setattr(os, "write", _full_after(room))
        journal.add(b"two of them\n")
        assert path.read_bytes() == b"one\n"
        journal.add(b"three\n")
        assert journal.flush() == "no space left on device"
        assert path.read_bytes() == b"one\n"
    assert journal.flush() == ""
    assert path.read_bytes() == b"one\ntwo of them\nthree\n"


def test_a_full_device_is_told_in_the_systems_words() -> None:
    journal = Journal(Path("/dev/full"))
    journal.add(b"one\n")
    assert journal.flush() == "no space left on device"


def test_a_torn_line_is_still_closed_after_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(b"one\ntw")
    journal = Journal(path)
    with monkeypatch.context() as full:
        full.setattr(os, "write", _full_after(2))
        journal.add(b"three\n")
        assert path.read_bytes() == b"one\ntw"
    journal.flush()
    assert path.read_bytes() == b"one\ntw\nthree\n"


def test_a_folder_that_is_gone_loses_nothing_that_comes_after_it_is_back(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lines"
    journal = Journal(path)
    journal.add(b"one\n")
    assert journal.flush() == "no such file or directory"
    path.parent.mkdir()
    journal.add(b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"
