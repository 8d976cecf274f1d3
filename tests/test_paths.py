from pathlib import Path

import pytest

from kanjiprep.errors import UsageError
from kanjiprep.paths import resolved


def test_home_links_and_dots_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "link").symlink_to("real")
    assert resolved(Path("~/link/../real/x")) == tmp_path / "real" / "x"
    monkeypatch.chdir(tmp_path)
    assert resolved(Path()) == tmp_path


@pytest.mark.parametrize("path", ["~nobody-has-this-name/x", "loop"])
def test_what_cannot_be_followed_is_refused(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    if path == "loop":
        monkeypatch.setattr(Path, "resolve", looping)  # newer Pythons leave a loop to whoever opens it
    with pytest.raises(UsageError, match="not a path that can be followed"):
        resolved(Path(path))


def looping(self: Path) -> Path:
    raise RuntimeError(f"Symlink loop from {str(self)!r}")


def test_the_root_is_refused() -> None:
    with pytest.raises(UsageError, match="is the root of the file system; give a folder inside it"):
        resolved(Path("/"))
