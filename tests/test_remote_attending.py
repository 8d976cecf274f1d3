from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.errors import RemoteError, TrainerError, UsageError
from kanjiprep.progress import Progress, silent
from kanjiprep.training.remote import attending
from kanjiprep.training.remote.attending import Attended
from kanjiprep.training.remote.place import Place
from kanjiprep.training.remote.pull import Pulled
from kanjiprep.training.remote.ssh.refusal import Unreachable
from kanjiprep.training.running.events import Checkpoint
from kanjiprep.training.running.view import View
from tests.fake_box import FakeBox, said
from tests.test_events import attempt, step
from tests.test_view import GONE, ended, facts, seen

RUNNING = seen((0, attempt()), (10, step(1)))
STOPPED = seen(*ended("stopped"), about=facts(**GONE))
THERE = "/home/me/.kanjiprep/work/runs/mine"


def document(view: View, **changes: object) -> bytes:
    return json.dumps({**dataclasses.asdict(view), **changes}).encode()


def attended(*answers: bytes, code: int = 0, err: bytes = b"") -> Attended:
    box: Any = FakeBox([said(answer, code, err) for answer in answers])
    return Attended(box, Place("ssh://me@box", "mine"), Path("/laptop/runs/mine"), lambda _: None)


def asked(run: Attended) -> list[str]:
    box: Any = run.far
    return [text for _, text in box.asked]


# Looking


def test_a_run_is_seen_as_the_box_sees_it_under_the_name_of_its_copy() -> None:
    there = dataclasses.replace(
        STOPPED, run=THERE, advice=f"go on with kanjiprep launch-simpletuner {THERE} --resume"
    )
    run = attended(document(there))
    found = run.look()
    assert (found.status, found.run, found.progress) == ("stopped", "/laptop/runs/mine", STOPPED.progress)
    assert found.advice == "go on with kanjiprep launch-simpletuner /laptop/runs/mine --resume"
    assert '"$root/bin/kanjiprep" monitor runs/mine --once --json' in asked(run)[0]


@pytest.mark.parametrize("answer", [b"{}", b"[]", b"3", document(RUNNING, colour="red"), document(RUNNING, status=3)])
def test_a_document_that_is_another_version_s_is_one_line(answer: bytes) -> None:
    with pytest.raises(RemoteError) as caught:
        attended(answer).look()
    message = str(caught.value)
    assert message.startswith("ssh://me@box: its kanjiprep tells of a run otherwise than this one: ")
    assert message.endswith("; use the version with which it was launched")
    assert len(message) < 500


def test_what_the_tool_there_says_is_the_error_that_it_is_here() -> None:
    with pytest.raises(UsageError, match="the box says: no run 'mine'"):
        attended(b"", code=2, err=b"error: no run 'mine'\n").look()


# Watching


@dataclasses.dataclass
class Seen:
    """A run of which each view is seen once, ten seconds after the one before; keeps what was done."""

    views: list[View | RemoteError]
    now_s: float = 0.0
    said: list[str] = dataclasses.field(default_factory=list)
    done: list[tuple[str, float]] = dataclasses.field(default_factory=list)

    def look(self) -> View:
        seen = self.views.pop(0)
        if isinstance(seen, RemoteError):
            raise seen
        return seen

    def say(self, line: str) -> None:
        self.said.append(line)

    def pull(self, progress: Progress) -> Pulled:
        self.done.append(("pull", self.now_s))
        return Pulled((), 0)

    def finish(self, progress: Progress) -> Pulled:
        self.done.append(("finish", self.now_s))
        return Pulled((), 0)


def watched(monkeypatch: pytest.MonkeyPatch, *views: View | RemoteError) -> tuple[View, Seen, list[View]]:
    run, shown = Seen(list(views)), list[View]()

    def sleep(seconds: float) -> None:
        run.now_s += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    last = attending.watch(run, shown.append, silent, clock=lambda: run.now_s)  # type: ignore[arg-type]
    return last, run, shown


def with_checkpoint(number: int) -> View:
    made = dataclasses.replace(RUNNING.made, checkpoint=Checkpoint(number, f"output/checkpoint-{number}", 7))
    return dataclasses.replace(RUNNING, made=made)


def test_what_is_made_is_pulled_by_time_and_all_of_it_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    last, run, shown = watched(monkeypatch, *[RUNNING] * 14, STOPPED)
    assert run.done == [("pull", 0), ("pull", 60), ("pull", 120), ("finish", 140)]
    assert (last, len(shown), run.views) == (STOPPED, 15, [])


def test_a_new_checkpoint_is_pulled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    views = [RUNNING, RUNNING, with_checkpoint(4), with_checkpoint(4), with_checkpoint(8), STOPPED]
    _, run, _ = watched(monkeypatch, *views)
    assert run.done == [("pull", 0), ("pull", 20), ("pull", 40), ("finish", 50)]


@pytest.mark.parametrize("status", ["unwatched", "not started", "copy"])
def test_what_nobody_watches_there_is_pulled_and_not_waited_for(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    alone = dataclasses.replace(RUNNING, status=status, exit_code=None)
    last, run, _ = watched(monkeypatch, RUNNING, alone)
    assert (last.status, run.done) == (status, [("pull", 0), ("pull", 10)])


BUSY = RemoteError("takes longer than 120 s", "ssh://me@box")


def test_a_box_that_is_busy_for_a_moment_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    last, run, _ = watched(monkeypatch, RUNNING, BUSY, RUNNING, BUSY, BUSY, STOPPED)
    assert (last, len(run.said)) == (STOPPED, 3)
    assert run.said[0] == "could not be looked at, once more in 10 s: ssh://me@box: takes longer than 120 s"


@pytest.mark.parametrize("times", [1, 6])
def test_one_that_cannot_be_reached_or_stays_busy_ends_the_watch(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    problem = Unreachable("lost", "the connection was lost", "ssh://me@box") if times == 1 else BUSY
    with pytest.raises(RemoteError, match=problem.what):
        watched(monkeypatch, RUNNING, *[problem] * times)


# Stopping and going on


def step_that_says(out: Mapping[str, object], code: int = 0, err: bytes = b"") -> list[bytes]:
    """What a box says of a step that is started, waited for and asked for what it wrote."""
    log = err or b"saving the checkpoint\n"
    return [b"started\n", f"over {code} {len(log)}\n".encode() + log, json.dumps(out).encode()]


def test_a_stop_is_carried_out_there_and_told() -> None:
    run, heard = attended(*step_that_says({"was_running": True})), list[str]()
    said_there = run.stop(lambda stage, *_: heard.append(stage), with_checkpoint=True)
    assert said_there == {"was_running": True}
    assert heard == ["saving the checkpoint"]
    assert "stop runs/mine --json\n" in asked(run)[0].replace(" >", "\n")
    assert "--now" not in asked(run)[0]
    hasty = attended(*step_that_says({}))
    hasty.stop(silent, with_checkpoint=False)
    assert "stop runs/mine --json --now" in asked(hasty)[0]


def test_a_run_goes_on_with_its_limits_and_the_tokens_that_were_removed() -> None:
    run = attended(b"", *step_that_says({"attempt": 2}))
    said_there = run.resume({"--max-hours": 2.5, "--guard": "stop"}, {"HF_TOKEN": "hf_one"}, silent)
    assert said_there == {"attempt": 2}
    first, second, *_ = asked(run)
    assert "export HF_TOKEN=hf_one" in first
    words = "launch-simpletuner runs/mine --resume --detach --json --max-hours 2.5 --guard stop"
    assert words in second
    assert "hf_one" not in second


def test_a_stop_that_fails_there_has_its_exit_code_here() -> None:
    failing = attended(*step_that_says({}, 6, b"error: its supervisor does not listen\n"))
    heard: list[str] = []
    with pytest.raises(TrainerError, match="the box says: its supervisor does not listen"):
        failing.stop(lambda stage, *_: heard.append(stage), with_checkpoint=True)
    assert heard == [], "it is told once, as the error"
