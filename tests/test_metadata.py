from pathlib import Path

import pytest

from kanjiprep.errors import UsageError
from kanjiprep.metadata import refuse_in_dataset


def test_nothing_is_added_to_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "metadata.csv").touch()
    refuse_in_dataset("--out", tmp_path / "other")
    refuse_in_dataset("--out", tmp_path / ("n" * 300))
    with pytest.raises(UsageError, match="--out is the dataset itself, which it would make unfit"):
        refuse_in_dataset("--out", tmp_path / "d")
    with pytest.raises(UsageError, match="--out is inside the dataset, which it would make unfit"):
        refuse_in_dataset("--out", tmp_path / "d" / "sub" / "a.png")


def test_a_folder_that_may_not_be_looked_into_is_no_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(self: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "is_file", closed)
    refuse_in_dataset("--out", tmp_path / "a.png")
