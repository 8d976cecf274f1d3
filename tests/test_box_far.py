from __future__ import annotations

import pytest

from kanjiprep.errors import (
    DatasetError,
    HubError,
    InputError,
    Interrupted,
    KanjiprepError,
    RemoteError,
    TrainerError,
    UsageError,
)
from kanjiprep.training.remote.box import far
from kanjiprep.training.remote.ssh.connection import Done
from tests.fake_box import FakeBox, said


def test_a_document_comes_back() -> None:
    box = FakeBox([said('{"literal": "漢"}\n'.encode(), banner=b"Last login: today\n")])
    assert far.call(box, ["plan", "a preset", "--json"]) == {"literal": "漢"}
    assert """"$root/bin/kanjiprep" plan 'a preset' --json\n""" in box.asked[0][1]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (2, UsageError),
        (3, InputError),
        (4, DatasetError),
        (5, HubError),
        (6, TrainerError),
        (7, RemoteError),
        (130, Interrupted),
        (1, RemoteError),
        (137, RemoteError),
    ],
)
def test_an_error_there_is_that_error_here(code: int, kind: type[KanjiprepError]) -> None:
    box = FakeBox([said(code=code, err=b"read pictures: 3\nerror: /x: is gone; look\n")])
    with pytest.raises(kind, match="^ssh://me@box: the box says: /x: is gone; look$") as caught:
        far.call(box, ["check", "--json"])
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("done", "message"),
    [
        (
            said(code=2, err=b"error: run.toml: 2 problems\n  a is wrong\n  b too\n"),
            "the box says: run.toml: 2 problems: a is wrong; b too",
        ),
        (said(code=1, err=b"Traceback\nMemoryError\n"), "the box says: MemoryError"),
        (said(code=137), "the box says: exit code 137 without a word"),
        (
            said(code=127, err=b"error: our tool is not set up\n"),
            "our tool is not set up there; set the box up again",
        ),
        (said(b"Usage: x\n"), "kanjiprep check there prints no JSON; set the box up again"),
        (said(b""), "prints no JSON"),
    ],
)
def test_what_went_wrong_is_one_line(done: Done, message: str) -> None:
    with pytest.raises(KanjiprepError) as caught:
        far.call(FakeBox([done]), ["check", "--json"])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_must_not_be_done_twice_is_started_once_and_waited_for() -> None:
    box = FakeBox([said(b"started\n"), said(b"over 0 5\nread\n"), said(b'{"pid": 7}\n')])
    heard: list[str] = []
    assert far.carried_out(box, "launch", ["launch-simpletuner", "x", "--json"], heard.append) == {"pid": 7}
    assert heard == ["read"]
    assert "once=once\n" in box.asked[0][1]
    label = box.asked[0][1].split("label='")[1].split("'")[0]
    assert label.startswith("launch-simpletuner x --json # ")
    assert ".sh" not in box.asked[0][1].split("kanjiprep_script=")[1].split("out")[0]
    busy = said(b"busy launch-simpletuner x --json # 0123\n")
    box = FakeBox([busy, said(b"over 0 0\n"), said(b'{"pid": 8}\n')])
    assert far.carried_out(box, "launch", ["launch-simpletuner", "x", "--json"]) == {"pid": 8}


@pytest.mark.parametrize(
    ("answers", "kind", "message"),
    [
        (
            [said(b"busy other # 0\n")],
            RemoteError,
            "the step launch does something else there: other # 0; wait for it",
        ),
        ([said(b"started\n"), said(b"over - 0\n")], RemoteError, "kanjiprep plan was killed there, or the box went"),
        (
            [said(b"started\n"), said(b"over 6 16\na\nerror: no GPU\n"), said(b"")],
            TrainerError,
            "ssh://me@box: the box says: no GPU$",
        ),
    ],
)
def test_what_must_not_be_done_twice_may_fail(answers: list[Done], kind: type[KanjiprepError], message: str) -> None:
    with pytest.raises(kind, match=message):
        far.carried_out(FakeBox(answers), "launch", ["plan"])
