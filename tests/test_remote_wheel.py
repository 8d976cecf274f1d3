from __future__ import annotations

import base64
import hashlib
import zipfile
from importlib.metadata import Distribution
from pathlib import Path

import pytest

import kanjiprep
from kanjiprep.errors import RemoteError
from kanjiprep.training.remote import wheel

INFO = f"kanjiprep-{kanjiprep.__version__}.dist-info"


class Found(Distribution):
    """A distribution of a few texts."""

    def __init__(self, **texts: str) -> None:
        self.texts = texts

    def read_text(self, filename: str) -> str | None:
        return self.texts.get(filename.replace(".txt", ""))

    def locate_file(self, path: object) -> Path:
        return Path(str(path))


def metadata(version: str = kanjiprep.__version__) -> str:
    return f"Metadata-Version: 2.4\nName: kanjiprep\nVersion: {version}\n"


GOOD = Found(METADATA=metadata(), entry_points="[console_scripts]\nkanjiprep = kanjiprep.__main__:main\n")


def test_a_wheel_holds_the_code_what_ships_and_what_it_is(tmp_path: Path) -> None:
    path = wheel.build(tmp_path / "new", GOOD)
    assert path.name == f"kanjiprep-{kanjiprep.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        assert archive.testzip() is None
    assert {
        "kanjiprep/__main__.py",
        "kanjiprep/help.txt",
        "kanjiprep/training/trainer_lock.txt",
        "kanjiprep/training/inside/shim/sitecustomize.py",
        "kanjiprep/training/remote/box/setup.sh",
        "kanjiprep/_shipped/templates/report.css",
        "kanjiprep/_shipped/simpletuner_configs/tiny-cpu/run.toml",
        f"{INFO}/METADATA",
        f"{INFO}/RECORD",
        f"{INFO}/WHEEL",
        f"{INFO}/entry_points.txt",
    } <= names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc") or "/." in name]


def test_the_record_tells_the_hash_and_size_of_each_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel.build(tmp_path, GOOD)) as archive:
        lines = archive.read(f"{INFO}/RECORD").decode().splitlines()
        told = dict(line.split(",", 1) for line in lines)
        assert set(told) == set(archive.namelist())
        assert told.pop(f"{INFO}/RECORD") == ","
        for name, rest in told.items():
            data = archive.read(name)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
            assert rest == f"sha256={digest},{len(data)}"


def test_of_the_same_files_the_wheel_is_the_same(tmp_path: Path) -> None:
    first, second = wheel.build(tmp_path / "a", GOOD), wheel.build(tmp_path / "b", GOOD)
    assert first.read_bytes() == second.read_bytes()
    assert wheel.digest_of(first) == wheel.digest_of(second) == hashlib.sha256(first.read_bytes()).hexdigest()
    assert [path.name for path in first.parent.iterdir()] == [first.name]


def test_the_installed_distribution_is_taken(tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel.build(tmp_path)) as archive:
        assert "Requires-Dist: uv" in archive.read(f"{INFO}/METADATA").decode()
        assert "MIT License" in archive.read(f"{INFO}/licenses/LICENSE").decode()


@pytest.mark.parametrize(
    "found", [Found(), Found(METADATA=metadata()), Found(METADATA=metadata("9.9"), entry_points="x")]
)
def test_what_was_installed_as_another_version_is_not_packed(tmp_path: Path, found: Distribution) -> None:
    with pytest.raises(RemoteError, match="was installed as .*; install kanjiprep again"):
        wheel.build(tmp_path, found)
    assert not list(tmp_path.iterdir())


def test_without_an_installation_there_is_nothing_to_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel, "NAME", "kanjiprep-of-nobody")
    with pytest.raises(RemoteError, match="not installed, it only lies here"):
        wheel.build(tmp_path)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RemoteError, match="cannot be packed: file exists"):
        wheel.build(tmp_path / "file", GOOD)
    with pytest.raises(RemoteError, match="none.whl: cannot be read: no such file"):
        wheel.digest_of(tmp_path / "none.whl")
