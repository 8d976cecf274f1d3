from __future__ import annotations

import pytest

from kanjiprep.errors import RemoteError
from kanjiprep.training.remote.box import steps
from kanjiprep.training.remote.box.steps import Step
from tests.fake_box import FakeBox, said


@pytest.mark.parametrize(
    ("out", "step"),
    [
        (b"none 0 0\n", Step("none", None, 0, b"")),
        (b"running - 12\nabc", Step("running", None, 12, b"abc")),
        (b"running 0 12\nabc", Step("running", None, 12, b"abc")),
        (b"over 3 4\n\nab\n", Step("ended", 3, 4, b"\nab\n")),
        (b"over -   0\n", Step("lost", None, 0, b"")),
    ],
)
def test_a_step_is_what_the_box_tells(out: bytes, step: Step) -> None:
    assert steps.read_state("box", out) == step


@pytest.mark.parametrize("out", [b"", b"running", b"over x 3\n", b"what\n", b"\xff - 0\n", b"over - -1\n"])
def test_nonsense_is_no_step(out: bytes) -> None:
    with pytest.raises(RemoteError, match="box: tells .* of a step"):
        steps.read_state("box", out)


def test_a_step_begins_once() -> None:
    box = FakeBox([said(b"started\n"), said(b"busy abc cpu\n"), said(b"busy \n")])
    assert [steps.detached(box, "setup", "true", "abc cpu") for _ in range(3)] == ["", "abc cpu", "somebody else's"]


@pytest.mark.parametrize(("step", "label"), [("", "x"), ("../x", "x"), ("Setup", "x"), ("x", "two\nlines")])
def test_a_step_has_a_plain_name(step: str, label: str) -> None:
    with pytest.raises(RemoteError, match="is no name of a step"):
        steps.detached(FakeBox([]), step, "true", label)


def test_a_step_that_cannot_begin_says_why() -> None:
    with pytest.raises(RemoteError, match="the step setup cannot be started: flock and setsid are needed"):
        steps.detached(FakeBox([said(code=1, err=b"flock and setsid are needed\n")]), "setup", "true", "x")


def test_every_line_of_a_step_is_heard_once() -> None:
    box = FakeBox(
        [
            said(b"running - 6\none\ntw"),
            said(b"running - 6\n"),
            said(b"running - 12\no\n\xff\nth"),
            said(b"over 0 15\nree"),
        ]
    )
    heard: list[str] = []
    paused: list[float] = []
    ended = steps.follow(box, "setup", heard.append, poll_s=3.0, pause=paused.append)
    assert (ended.state, ended.code) == ("ended", 0)
    assert heard == ["one", "two", "\ufffd", "three"]
    assert paused == [3.0, 3.0, 3.0]
    assert [script.split("from=", 1)[1].split("\n")[0] for _, script in box.asked] == ["0", "6", "6", "12"]


def test_a_long_log_of_a_step_that_is_over_is_read_to_its_end() -> None:
    box = FakeBox([said(b"over 1 8\nabc\n"), said(b"over 1 8\ndef\n")])
    heard: list[str] = []
    steps.follow(box, "setup", heard.append, pause=lambda _: pytest.fail("there is more to read"))
    assert heard == ["abc", "def"]
