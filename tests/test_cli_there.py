from __future__ import annotations

import dataclasses
import io
import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from kanjiprep.cli import leaving, there
from kanjiprep.errors import RemoteError, UsageError
from kanjiprep.progress import Progress
from kanjiprep.spec import SpecError
from kanjiprep.training import presets
from kanjiprep.training.pictures import Dataset, Picture
from kanjiprep.training.remote import place as places
from kanjiprep.training.remote.place import Place
from kanjiprep.training.remote.pull import Pulled
from kanjiprep.training.running import files
from kanjiprep.training.running.view import View
from tests.conftest import Run
from tests.test_events import attempt, step
from tests.test_remote_there import job_of
from tests.test_view import GONE, ended, facts, seen

HERE = "ssh://me@box"
RUNNING = seen((0, attempt()), (10, step(1)))
STOPPED = seen(*ended("stopped"), about=facts(**GONE))


class Terminal(io.StringIO):
    """A standard input at which somebody sits."""

    def isatty(self) -> bool:
        return True


@dataclasses.dataclass
class Way:
    """How a box is reached, and for how long that is tried."""

    patience_s: float | None = None


@dataclasses.dataclass
class FakeRun:
    """A run on a box that is as it is told to be, and keeps what it was asked."""

    run: Path
    view: View = STOPPED
    said: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    trouble: BaseException | None = None
    place: Place = dataclasses.field(default_factory=lambda: Place(HERE, "mine"))
    far: Way = dataclasses.field(default_factory=Way)
    asked: list[object] = dataclasses.field(default_factory=list)

    def look(self) -> View:
        self.asked.append(("look", self.far.patience_s))
        if self.trouble:
            raise self.trouble
        return self.view

    def pull(self, progress: Progress) -> Pulled:
        self.asked.append("pull")
        if self.trouble:
            raise self.trouble
        return Pulled((), 2)

    def finish(self, progress: Progress) -> Pulled:
        self.asked.append("finish")
        return Pulled((), 2)

    def stop(self, progress: Progress, *, with_checkpoint: bool) -> Mapping[str, Any]:
        self.asked.append(("stop", with_checkpoint))
        return self.said

    def resume(
        self, limits: Mapping[str, object], tokens: Mapping[str, str], progress: Progress
    ) -> Mapping[str, Any]:
        self.asked.append((limits, tokens))
        return {"attempt": 2}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HF_TOKEN", "hf_one")


@pytest.fixture
def mine(tmp_path: Path) -> Any:
    return FakeRun(tmp_path / "runs" / "mine")


# Where


@pytest.mark.parametrize(
    "where", ["", "moon", "ssh:/me@box", "SSH://me@box", "Local", "lambda.ai", "me@box", "x" * 500]
)
def test_a_place_that_is_none_is_refused(run: Run, where: str) -> None:
    code, out, err = run("launch-simpletuner", "tiny-cpu", "--on", where)
    assert (code, out) == (2, "")
    assert err.startswith("error: --on: '")
    assert "is no place to train; give local, ssh://USER@HOST or lambda" in err
    assert len(err) < 200


@pytest.mark.parametrize("where", ["local", "lambda", "ssh://me@box", "ssh://"])
def test_a_place_is_looked_at_closely_later(where: str) -> None:
    there.refuse_unknown(where)


@pytest.mark.parametrize("options", [("--trainer", "x"), ("--dry-run",)])
def test_what_is_for_a_run_here_is_refused_elsewhere(run: Run, options: tuple[str, ...]) -> None:
    code, _, err = run("launch-simpletuner", "tiny-cpu", "--on", HERE, *options)
    assert (code, err.splitlines()[0]) == (
        2, f"error: {options[0]} is for a run on this machine, not on {HERE}; plan it with kanjiprep plan",
    )  # fmt: skip


def test_the_run_will_be_where_the_address_says(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("")
    job = job_of(run=tmp_path / "runs" / "mine")
    wanted = there.place_of(job, "ssh://me@box:22", Path("key"))
    assert wanted == Place("ssh://me@box:22", "mine", str(tmp_path / "key"), dataset=str(job.dataset.folder))
    places.write(job.run, wanted)
    assert there.place_of(job, "ssh://me@box:22", None).key == "", "it may have another key now"
    with pytest.raises(UsageError, match="the address names no host"):
        there.place_of(job, "ssh://", None)


@pytest.mark.parametrize(
    ("earlier", "says"),
    [
        (Place("ssh://me@other", "mine"), "a run of that name is on ssh://me@other"),
        (Place("", "mine", rental="kanjiprep-mine-1a"), "a run of that name is on kanjiprep-mine-1a"),
        (Place(HERE, "mine", rental="kanjiprep-mine-1a"), f"a run of that name is on {HERE}"),
    ],
)
def test_an_earlier_run_of_that_name_elsewhere_is_not_forgotten(tmp_path: Path, earlier: Place, says: str) -> None:
    job = job_of(run=tmp_path / "runs" / "mine")
    places.write(job.run, earlier)
    with pytest.raises(UsageError) as caught:
        there.place_of(job, HERE, None)
    assert f"{job.run}: {says}; look at it with kanjiprep monitor" in str(caught.value)
    assert places.read(job.run) == earlier


def test_a_box_that_was_never_reached_is_not_asked(tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match="its box was never reached; look at kanjiprep remote ls"):
        there.reached(tmp_path, Place("", "mine", rental="kanjiprep-mine-1a"), quiet=True)


def test_a_rented_box_has_host_keys_of_its_own(tmp_path: Path) -> None:
    own = there.reached(tmp_path, Place(HERE, "mine"), quiet=False)
    rented = there.reached(tmp_path, Place(HERE, "mine", rental="kanjiprep-mine-1a"), quiet=True)
    assert own.far.box.state == tmp_path / "data/kanjiprep/ssh/own"
    assert rented.far.box.state == tmp_path / "data/kanjiprep/ssh/kanjiprep-mine-1a"
    assert own.far.patience_s is None
    assert there.hurried(own).far.patience_s == 20.0


def test_a_connection_that_is_lost_is_told_unless_only_json_is_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problem: Any = RemoteError("the connection was lost", HERE)
    there.attended(tmp_path, Place(HERE, "mine"), quiet=True).far.tell(problem, 3.2)
    assert capsys.readouterr() == ("", "")
    there.attended(tmp_path, Place(HERE, "mine"), quiet=False).far.tell(problem, 3.2)
    says = f"{HERE}: the connection was lost; tried again in 3 s\n"
    assert capsys.readouterr() == ("", says)


# What is launched


def dataset(folder: Path) -> tuple[str, Dataset]:
    folder.mkdir(exist_ok=True)
    rows = tuple(Picture(f"{number}.png", f"kanji {number}", 256, 256) for number in range(20))
    lines = "".join(f"{row.file_name},{row.caption}\n" for row in rows)
    (folder / "metadata.csv").write_text(f"file_name,text\n{lines}")
    for row in rows:
        (folder / row.file_name).write_bytes(b"a picture")
    return str(folder), Dataset(folder, rows)


def test_what_is_launched_is_judged_and_its_dataset_has_a_digest(tmp_path: Path) -> None:
    job = there.job_of(presets.load("tiny-cpu"), dataset(tmp_path / "kanji"), "mine", allow_arm=True)
    assert (job.run, job.name, job.hub, job.allow_arm) == (tmp_path / "runs" / "mine", "mine", "", True)
    assert len(job.dataset.digest) == 64
    _, whole = dataset(tmp_path / "kanji")
    named = ("me/kanji@main", dataclasses.replace(whole, hub="me/kanji@0123", digest="ab" * 32))
    fetched = there.job_of(presets.load("tiny-cpu"), named, "mine", allow_arm=False)
    assert (fetched.hub, fetched.dataset.digest) == ("me/kanji@0123", "ab" * 32)


def test_a_name_that_a_run_here_has_is_taken_and_one_of_a_copy_is_not_yet(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "mine"
    run.mkdir(parents=True)
    (run / "launch.json").write_text("{}")
    with pytest.raises(UsageError, match="a run was launched here"):
        there.job_of(presets.load("tiny-cpu"), dataset(tmp_path / "kanji"), "mine", allow_arm=False)
    places.write(run, Place(HERE, "mine"))
    assert there.job_of(presets.load("tiny-cpu"), dataset(tmp_path / "kanji"), "mine", allow_arm=False).run == run


def test_a_run_that_must_not_start_is_refused_before_any_box_is_asked(tmp_path: Path) -> None:
    wrong = presets.load("tiny-cpu", ("training.batch=64",))
    with pytest.raises(SpecError, match=r"bucket-too-small: Bucket 1\.0 has 20 samples, one step needs 64"):
        there.job_of(wrong, dataset(tmp_path / "kanji"), "mine", allow_arm=False)


# Watched


def test_a_run_is_seen_once_and_a_box_that_is_gone_is_given_up_soon(
    mine: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert there.monitor(mine, True, None, True) == (0, False)
    document = json.loads(capsys.readouterr().out)
    assert (document["status"], document["on"], document["rental"]) == ("stopped", HERE, None)
    assert mine.asked == [("look", 20.0), "pull"]


@pytest.mark.parametrize(("status", "exit_code", "code"), [("stopped", 130, 130), ("unwatched", None, 6)])
def test_a_run_is_watched_to_its_end(
    mine: Any, capsys: pytest.CaptureFixture[str], status: str, exit_code: int | None, code: int
) -> None:
    mine.view = dataclasses.replace(STOPPED, status=status, exit_code=exit_code)
    assert there.monitor(mine, False, None, False) == (code, exit_code is not None)
    told = {"stopped": "status     stopped", "unwatched": "the supervisor is gone, and the trainer goes on"}
    assert told[status] in capsys.readouterr().out
    assert mine.asked == [("look", None), "finish" if exit_code else "pull"]


def test_an_interrupt_without_a_terminal_leaves_the_run_alone(mine: Any, capsys: pytest.CaptureFixture[str]) -> None:
    mine.trouble = KeyboardInterrupt()
    assert there.follow(mine, False) == (130, False)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"It goes on: mine on {HERE}\n"
        "Watch it with kanjiprep monitor runs/mine, end it with kanjiprep stop runs/mine\n"
    )
    assert there.follow(mine, True) == (130, False)
    assert json.loads(capsys.readouterr().out)["detached"] is True
    assert mine.asked == [("look", None)] * 2


@pytest.mark.parametrize(
    ("answer", "is_stopped"),
    [("stop", True), ("detach", False), (click.Abort(), False), (KeyboardInterrupt(), False)],
)
def test_an_interrupt_on_a_terminal_asks_what_it_means(
    mine: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: Any, is_stopped: bool
) -> None:
    def prompt(*_: object, **__: object) -> str:
        if isinstance(answer, BaseException):
            raise answer
        return str(answer)

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(click, "prompt", prompt)
    mine.trouble, mine.said = (
        KeyboardInterrupt(),
        {"exit": {"status": "stopped", "step": 1200, "reason": "by request"}},
    )
    assert there.follow(mine, False) == (130, is_stopped)
    assert mine.asked[1:] == ([("stop", True), "finish"] if is_stopped else [])
    assert ("stopped at step 1,200: by request" in capsys.readouterr().err) == is_stopped


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_watch_that_is_told_to_end_says_how_to_attach_and_asks_nobody(
    mine: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    def told(*_: object) -> View:
        signal.raise_signal(getattr(signal, name))
        raise AssertionError("the signal was not heard")

    monkeypatch.setattr(mine, "look", told)
    monkeypatch.setattr(click, "prompt", told)
    monkeypatch.setattr(sys, "stdin", Terminal())
    with leaving.heard():
        assert there.follow(mine, False) == (130, False)
    assert "Watch it with kanjiprep monitor runs/mine, end it with" in capsys.readouterr().err
    assert mine.asked == []


# Stopped, and gone on with


def test_a_stop_says_how_it_ended_and_that_all_is_here(mine: Any, capsys: pytest.CaptureFixture[str]) -> None:
    there.stop(mine, with_checkpoint=False, as_json=False)
    assert mine.asked == [("stop", False), "finish"]
    _, err = capsys.readouterr()
    assert f"nothing was running in mine on {HERE}" in err
    assert f"all of it is in {mine.run}, 2 checkpoints, every file compared" in err
    mine.said = {"exit": {"status": "stopped", "step": 7}, "run": "/there", "was_running": True}
    there.stop(mine, with_checkpoint=True, as_json=False)
    assert "stopped at step 7\n" in capsys.readouterr().err
    there.stop(mine, with_checkpoint=True, as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        "exit": {"status": "stopped", "step": 7}, "run": str(mine.run), "was_running": True, "on": HERE,
        "rental": None, "checkpoints": 2,
    }  # fmt: skip


def test_a_run_goes_on_with_the_words_of_its_limits_and_its_tokens(
    mine: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = {"policy": "stop", "max_hours": 2.5, "max_usd": 9.0}
    assert there.resume(mine, limits, True, True) == (0, False)
    assert mine.asked == [
        ({"--guard": "stop", "--max-hours": 2.5, "--max-usd": 9.0}, {"HF_TOKEN": "hf_one"}), "pull",
    ]  # fmt: skip
    document = json.loads(capsys.readouterr().out)
    assert document == {"run": str(mine.run), "attempt": 2, "on": HERE, "rental": None}
    assert there.resume(mine, {}, False, True) == (130, True)
    assert mine.asked[-2:] == [("look", None), "finish"]


def test_a_run_that_reports_elsewhere_gets_that_token_too(mine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "wb_one")
    mine.run.mkdir(parents=True)
    spec = presets.load("tiny-cpu", ("tracker.service=wandb",)).spec
    (mine.run / presets.SPEC).write_bytes(presets.to_toml(spec))
    there.resume(mine, {}, True, True)
    assert mine.asked[0] == ({}, {"HF_TOKEN": "hf_one", "WANDB_API_KEY": "wb_one"})


# Brought before it is judged


def test_what_is_no_copy_or_was_never_reached_is_not_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(there, "attended", lambda *_: pytest.fail("nobody is to be asked"))
    places.write(tmp_path / "runs" / "mine", Place("", "mine", rental="kanjiprep-mine-1a"))
    for wanted in ("mine", "none", "", str(tmp_path)):
        there.bring(wanted, quiet=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        (None, ""),
        (UsageError("the key file is not there", "/key"),
         "warning: /key: the key file is not there; going on with what is here already\n"),
        (RemoteError("nothing answers", HERE, "look"),
         f"warning: {HERE}: nothing answers; look; going on with what is here already\n"),
    ],
)  # fmt: skip
def test_what_cannot_be_brought_is_told_and_gone_on_with(
    tmp_path: Path, mine: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    trouble: Exception | None, says: str,
) -> None:  # fmt: skip
    mine.trouble = trouble
    monkeypatch.setattr(there, "attended", lambda *_: mine)
    places.write(tmp_path / "runs" / "mine", Place(HERE, "mine"))
    there.bring("mine", quiet=False)
    assert capsys.readouterr() == ("", says)
    assert mine.asked == ["pull"]


def test_a_tunnel_is_for_watching_a_run_on_a_box(mine: Any, run: Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--tunnel: is for watching a run; leave out --once and --json"):
        there.monitor(mine, True, 6006, False)
    code, out, err = run("monitor", "nosuch", "--tunnel", "6006")
    assert (code, out) == (2, "")
    assert "nosuch" in err
    assert "this one is here" not in err
    begun = tmp_path / "runs" / "begun"
    begun.mkdir(parents=True)
    (begun / files.ORDER).touch()
    code, out, err = run("monitor", str(begun), "--tunnel", "6006")
    assert (code, out) == (2, "")
    assert "--tunnel: is for a run on a box; this one is here" in err


@pytest.mark.parametrize("where", ["local", "lambda"])
def test_a_key_is_for_a_box_of_ones_own(where: str) -> None:
    with pytest.raises(UsageError, match=f"--ssh-key: is for a box of your own, not for {where}; leave it out"):
        there.refuse_unknown(where, Path("key"))
