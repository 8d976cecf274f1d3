from __future__ import annotations

import pytest

from kanjiprep.errors import RemoteError
from kanjiprep.training.remote.box import scripts
from kanjiprep.training.remote.ssh.connection import Done
from tests.fake_box import FakeBox, said


def test_a_script_travels_over_stdin_with_its_values_quoted() -> None:
    box = FakeBox([said(b"hello\n")])
    answer = scripts.ask(box, "echo hello", {"root": "a b", "secret": "it's $HOME"})
    assert answer.out == b"hello\n"
    ((words, script),) = box.asked
    assert words == ("sh", "-s")
    assert "root='a b'\n" in script
    assert """secret='it'"'"'s $HOME'\n""" in script


@pytest.mark.parametrize(
    "out", [b"", b"x", b"no newline", b"two\nlines\n", "漢字\n".encode(), b"\n@kanjiprep begin\n"]
)
def test_what_greets_whoever_logs_in_is_no_answer(out: bytes) -> None:
    banner = b"Welcome to Ubuntu 24.04\n@kanjiprep end 7\n"
    assert scripts.answer_of("box", said(out, 3, b"oh\n", banner)) == scripts.Answer(3, out, "oh\n")


@pytest.mark.parametrize(
    ("done", "message"),
    [
        (Done(0, b"", b""), r"box: its answer is none that kanjiprep understands \(exit code 0\); try again"),
        (Done(127, b"motd\n", b"sh: not found\n"), r"none that kanjiprep understands \(sh: not found\)"),
        (Done(2, b"@kanjiprep begin", b"\x1b[31mred\x1b[0m\n\n"), r"understands \(red\)"),
        (Done(0, b"\n@kanjiprep begin\nsystem=Lin", b""), r"its answer is cut short \(exit code 0\)"),
        (Done(0, b"\n@kanjiprep begin\nsystem=Linux\n\n@kanjiprep end ", b""), "its answer is cut short"),
        (Done(0, b"\n@kanjiprep begin\nsystem=Linux\n\n@kanjiprep end x\n", b""), "its answer is cut short"),
    ],
)
def test_an_answer_that_is_not_whole_is_none(done: Done, message: str) -> None:
    with pytest.raises(RemoteError, match=message):
        scripts.answer_of("box", done)


def test_the_last_line_is_short_and_plain() -> None:
    assert scripts.last_line("first\n \x1b[1mlast\x1b[0m \n\n") == "last"
    assert scripts.last_line("") == ""
    assert len(scripts.last_line("x" * 9_000)) == 400


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (scripts.Answer(1, b"", "df: full\n"), "ssh://me@box: no: df: full; help"),
        (scripts.Answer(1, b"it says\n", ""), "no: it says; help"),
        (scripts.Answer(9, b"", ""), "no: exit code 9; help"),
    ],
)
def test_a_script_that_failed_is_refused_with_its_last_word(answer: scripts.Answer, message: str) -> None:
    box = FakeBox([])
    scripts.refuse(box, scripts.Answer(0, b"", "a warning"), "no", "help")
    with pytest.raises(RemoteError, match=message):
        scripts.refuse(box, answer, "no", "help")
