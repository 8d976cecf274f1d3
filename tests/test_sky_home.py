from __future__ import annotations

import os
from pathlib import Path

import pytest

from kanjiprep.errors import RemoteError, UsageError
from kanjiprep.training.remote.sky import home


def files(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()
    }


def test_a_home_holds_the_key_for_nobody_else_to_read(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        home.write(tmp_path / "home", "secret_1", "0a1b2c3d")
    finally:
        os.umask(before)
    assert files(tmp_path / "home") == {".lambda_cloud/lambda_keys": 0o600, ".sky/user_hash": 0o600}
    assert (tmp_path / "home" / home.KEY_FILE).read_text() == "api_key = secret_1\n"
    assert all(path.stat().st_mode & 0o777 == 0o700 for path in (tmp_path / "home", *(tmp_path / "home").iterdir()))


def test_a_new_key_takes_the_place_of_the_old_and_the_mark_stays(tmp_path: Path) -> None:
    home.write(tmp_path, "secret_1", "0a1b2c3d")
    (tmp_path / home.KEY_FILE.parent / ".lambda_keys.new").touch()  # of a call that was killed
    home.write(tmp_path, "secret_2", "ffffffff")
    assert (tmp_path / home.KEY_FILE).read_text() == "api_key = secret_2\n"
    assert (tmp_path / home.HASH_FILE).read_text() == "0a1b2c3d"


def test_a_home_that_is_open_to_all_is_closed(tmp_path: Path) -> None:
    (tmp_path / "home" / ".lambda_cloud").mkdir(parents=True)
    (tmp_path / "home").chmod(0o755)
    home.write(tmp_path / "home", "secret_1", "0a1b2c3d")
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700


def test_a_home_in_the_way_is_told_without_the_key(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RemoteError, match="cannot be written: not a directory") as caught:
        home.write(tmp_path / "file" / "home", "secret_1", "0a1b2c3d")
    assert "secret_1" not in str(caught.value)


def test_the_key_is_looked_at_before_it_is_used() -> None:
    assert home.checked_key({"LAMBDA_API_KEY": "secret_1"}) == "secret_1"
    with pytest.raises(UsageError, match="LAMBDA_API_KEY is not set; make a key at https"):
        home.checked_key({})


@pytest.mark.parametrize("key", ["secret 1", "secret\n", "sécret", "a\x00"])
def test_a_key_that_none_can_be_is_told_without_it(key: str) -> None:
    with pytest.raises(UsageError, match="holds spaces or letters that no key has") as caught:
        home.checked_key({"LAMBDA_API_KEY": key})
    assert key not in str(caught.value)


def test_the_folder_is_the_users_or_named_by_a_variable(tmp_path: Path) -> None:
    assert home.managed_folder({"KANJIPREP_REMOTE_HOME": str(tmp_path / "a" / ".." / "b")}) == tmp_path / "b"
    assert home.managed_folder({"KANJIPREP_REMOTE_HOME": ""}).parts[-2:] == ("kanjiprep", "remote")
    with pytest.raises(UsageError, match="is the root of the file system"):
        home.managed_folder({"KANJIPREP_REMOTE_HOME": "/"})
