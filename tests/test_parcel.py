from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from kanjiprep.errors import HubError
from kanjiprep.publishing import parcel
from kanjiprep.publishing.destination import RemoteFile
from kanjiprep.publishing.parcel import Difference
from tests.fake_hub import parcel_of

EMPTY_BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def test_a_file_has_the_hashes_of_git_and_of_large_file_storage(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert parcel.sent(tmp_path / "empty").git == EMPTY_BLOB
    (tmp_path / "big").write_bytes(b"x" * 3_000_000)
    found = parcel.sent(tmp_path / "big")
    assert (found.size, found.sha256) == (3_000_000, hashlib.sha256(b"x" * 3_000_000).hexdigest())


def test_a_large_file_is_known_by_one_hash_and_a_small_one_by_the_other(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    sent = parcel.sent(tmp_path / "a")
    assert sent.is_at(RemoteFile(1, "another", sent.sha256))
    assert sent.is_at(RemoteFile(1, sent.git, ""))
    assert not sent.is_at(RemoteFile(1, sent.git, "another"))
    assert not sent.is_at(RemoteFile(2, sent.git, ""))
    assert not sent.is_at(None)


def test_a_difference_is_what_is_missing_and_what_is_stale(tmp_path: Path) -> None:
    packed = parcel_of(tmp_path, {"README.md": b"card", "data/1": b"one", "data/2": b"two"})
    remote = {
        "README.md": RemoteFile(4, packed.files["README.md"].git, ""),
        "data/1": RemoteFile(3, "else", ""),
        "data/9": RemoteFile(3, "old", ""),
        "theirs.txt": RemoteFile(1, "x", ""),
    }
    assert parcel.difference(packed, remote) == Difference(("data/1", "data/2"), ("data/9",))
    assert not Difference((), ())


def test_a_parcel_of_many_files_or_folders_is_not_one_commit_for_sure(tmp_path: Path) -> None:
    few = parcel_of(tmp_path / "few", {str(number): b"x" for number in range(parcel.MOST_ATOMIC)})
    many = parcel_of(tmp_path / "many", {str(number): b"x" for number in range(parcel.MOST_ATOMIC + 1)})
    assert (few.is_atomic, many.is_atomic) == (True, False)


def test_a_name_that_is_no_text_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.json")
    with pytest.raises(HubError, match="is no name for a file on the Hub; rename it"):
        parcel_of(tmp_path, {name: b"{}"})
