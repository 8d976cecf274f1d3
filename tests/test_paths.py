import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.errors import UsageError
from kanjiprep.paths import LONGEST_NAME, picture_place, portable, resolved, unportable


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


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty"),
        ("a/b", "'/'"),
        ("a\\b", "holds"),
        ("what?", "'?'"),
        ("tab\t", "holds"),
        ("run ", "a dot or a space"),
        (" run", "a dot or a space"),
        (".run", "a dot or a space"),
        ("run.", "a dot or a space"),
        ("CON", "a device"),
        ("con.png", "a device"),
        ("Lpt9 .tar.gz", "a device"),
        ("x" * 201, "longer than 200 bytes"),
        ("\u4e9c" * 67, "longer than 200 bytes"),
        ("e\u0301", "otherwise on macOS"),
    ],
)
def test_a_name_that_some_system_does_not_take_is_told_why(name: str, why: str) -> None:
    assert why in unportable(name)


@pytest.mark.parametrize(
    "name",
    [
        "sd35-large-lora-lr1.05e-3",
        "\u4e9c_kanji_04e9c.png",
        "console",
        "my run",
        "a,b",
        "\U00031350.png",
        "\ue000.png",
        "a\u200db",
    ],
)
def test_a_name_that_every_system_takes_is_kept(name: str) -> None:
    assert unportable(name) == ""
    assert portable(name, "file") == name


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ('a/b:c?*"<>|', "a-b-c"),
        ("CON", "CON_1"),
        ("nul.png", "nul_1.png"),
        ("dots... ", "dots"),
        ("...", "file"),
        ("x" * 300, "x" * (LONGEST_NAME - 2)),
    ],
)
def test_words_become_a_name_like_them(words: str, name: str) -> None:
    assert portable(words, "file") == name


@given(
    st.one_of(st.text(max_size=300), st.sampled_from(["con", "AUX", "nul.", " prn "])), st.integers(8, LONGEST_NAME)
)
def test_whatever_the_words_the_name_is_portable_and_stays_so(words: str, most: int) -> None:
    name = portable(words, "file", most)
    assert unportable(name) == ""
    assert len(name.encode()) <= most
    assert portable(name, "file") == name or len(name.encode()) > LONGEST_NAME - 2


@pytest.mark.parametrize(
    "first",
    [
        b"\x89PNG\r\n\x1a\n",
        b"<svg xmlns='x'>",
        b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a -->\n<!DOCTYPE svg>\n<svg>",
    ],
)
def test_a_picture_may_take_the_place_of_another(tmp_path: Path, first: bytes) -> None:
    (tmp_path / "a.PNG").write_bytes(first)
    assert picture_place(tmp_path / "a.PNG", (".svg", ".png")) == tmp_path / "a.PNG"
    assert picture_place(tmp_path / "new.svg", (".svg", ".png")) == tmp_path / "new.svg"


def test_a_picture_takes_the_place_of_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("see <svg>")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "link.png").symlink_to("picture.png")
    (tmp_path / "dangling.png").symlink_to("nowhere.png")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("text", "link", "dangling", "folder", "pipe"):
        with pytest.raises(UsageError, match=r"is there and is no picture; give another name"):
            picture_place(tmp_path / f"{name}.png", (".png",))
    for path in (Path("/dev/full"), tmp_path / "precious.txt", tmp_path / "a.svg", tmp_path):
        with pytest.raises(UsageError, match=r"does not end in \.png; give another name"):
            picture_place(path, (".png",))
    with pytest.raises(UsageError, match="cannot be written: not a directory"):
        picture_place(tmp_path / "text.png" / "a.png", (".png",))
