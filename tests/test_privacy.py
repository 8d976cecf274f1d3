from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.privacy import inside, without_passwords, without_paths


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("no space left on device: '/home/alice/runs/a/output'", "no space left on device: '…'"),
        ("/home/alice/x.py:12: boom", "…: boom"),
        ("cannot open /a, /b and (/c/d).", "cannot open …, … and (…)."),
        ("path=/srv/x error:/srv/y", "path=… error:…"),
        ("//home/alice/x", "…"),
        ("file:///home/alice/x is gone", "… is gone"),
        ("~/runs/a and ~alice/runs/b", "… and …"),
        (r"C:\Users\alice\x.bin is gone", "… is gone"),
        ("C:/Users/alice is gone", "C:… is gone"),
        ("/home/アリス/亜.png", "…"),
    ],
)
def test_absolute_paths_are_taken_out(text: str, left: str) -> None:
    assert without_paths(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mountains and/or rivers, 3/4 of them",
        "https://huggingface.co/me/kanji and s3://bucket/key",
        "output/checkpoint-8 and ./a and ../b",
        "loss 1 / 2",
        "the gradient is up to 30.0 times its usual level since step 650",
        "亜/唖",
    ],
)
def test_what_is_no_absolute_path_stays(text: str) -> None:
    assert without_paths(text) == text


def test_known_places_may_hold_spaces_and_leave_what_is_inside_them() -> None:
    known = ["/home/alice/my runs", "/home/alice/my runs/try", "/", "", "relative"]
    text = "'/home/alice/my runs/try/output/x y' '/home/alice/my runs/other' /home/alice/my runs/tryst"
    assert without_paths(text, known) == "'…/output/x y' '…/other' …/tryst"


def test_a_known_place_is_no_part_of_a_longer_name() -> None:
    assert without_paths("/home/al and /home/alice", ["/home/al"]) == "… and …"
    assert "ice" not in without_paths("'/home/alice'", ["/home/al"])


_NAME = st.from_regex(r"[a-z0-9A-Z亜][a-z0-9A-Z亜._-]{1,7}[a-z0-9A-Z亜]", fullmatch=True)
_NAMES = st.lists(_NAME, min_size=1, max_size=4)


@given(_NAMES, st.sampled_from(["at {}", "'{}'", "({})", "{}:7", "a,{}", "x={}", "{}; mend it", "[{}]", "é {}"]))
def test_no_part_of_a_path_is_left_wherever_it_stands(names: list[str], around: str) -> None:
    path = "/" + "/".join(names)
    left = without_paths(around.format(path))
    assert "/" not in left
    assert not any(name in left for name in names)


def test_paths_are_told_from_inside_a_folder() -> None:
    assert inside(Path("/a/b/c.png"), Path("/a")) == "b/c.png"
    assert inside(Path("/b/c.png"), Path("/a")) == "c.png"


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("http://anna:secret@box:8188/x: is no run", "http://…@box:8188/x: is no run"),
        ("extra argument (https://:secret@box)", "extra argument (https://…@box)"),
        ("http:/anna:secret@box: is not there", "http:/…@box: is not there"),
        ("two: ftp://a:secret@b and http://c:secret@d", "two: ftp://…@b and http://…@d"),
        ("http://box:8188/me/kanji@v1.0: no such revision", "http://box:8188/me/kanji@v1.0: no such revision"),
        ("http://anna:s3/cret@box/x: not there", "http://…@box/x: not there"),
        ("https://hf_token@box/x: not there", "https://…@box/x: not there"),
        ("ssh://ubuntu@box: not known", "ssh://ubuntu@box: not known"),
        ("at 12:30 to me@box", "at 12:30 to me@box"),
    ],
)
def test_a_password_in_an_address_is_not_told(told: str, shown: str) -> None:
    assert without_passwords(told) == shown
