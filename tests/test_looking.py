from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.errors import TrainerError
from kanjiprep.training.running import files, holding, moments, processes, view_text
from kanjiprep.training.running.events import Event, Exit
from kanjiprep.training.running.files import Pulse
from kanjiprep.training.running.gpu import Gpu
from kanjiprep.training.running.looking import Window
from kanjiprep.training.running.processes import Identity
from kanjiprep.training.running.record import Record
from tests.test_attempts import checkpoint, launched, record
from tests.test_events import TRAINER, attempt, moment, step
from tests.test_observe import kanji, metrics

GPU = Gpu("NVIDIA A100", "535", 0.5, None, None, None, None)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    run = launched(tmp_path)
    (run / "output").mkdir()
    return run


@pytest.fixture
def hold(mine: Path) -> Iterator[None]:
    """A supervisor holds the run."""
    held = holding.take(mine)
    assert held is not None
    yield
    held.release()


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> Identity:
    """A trainer that is there."""
    trainer = Identity(4243, 7, "0a1b2c3d")
    monkeypatch.setattr(processes, "is_alive", lambda identity, _: identity == trainer)
    return trainer


def pulse(run: Path, **changes: Any) -> None:
    beat = replace(Pulse("running", 1, TRAINER, TRAINER, moments.now()), **changes)
    files.write_pulse(run, beat)


def append(run: Path, data: bytes, name: str = "output/training_metrics.jsonl") -> None:
    with (run / name).open("ab") as stream:
        stream.write(data)


def test_a_run_that_was_rendered_only_is_not_started(mine: Path) -> None:
    found = Window(mine).look()
    assert (found.run, found.status, found.attempt, found.progress.total_steps) == (str(mine), "not started", 0, 100)
    assert found.made.free_bytes is not None
    assert found.made.free_bytes > 0


def test_a_supervised_run_is_seen_by_its_record_alone(mine: Path, hold: None, alive: Identity) -> None:
    pulse(mine)
    record(mine, attempt(trainer=alive), step(1))
    append(mine, metrics(2))
    window = Window(mine)
    found = window.look()
    assert (found.status, found.progress.step) == ("running", 1)
    assert found.beat_age_s is not None
    assert found.beat_age_s < 60
    Record(mine).add(step(2))
    assert window.look().progress.step == 2


def test_a_trainer_without_a_supervisor_is_seen_with_our_own_eyes(mine: Path, alive: Identity) -> None:
    pulse(mine)
    record(mine, attempt(trainer=alive), step(1))
    before = (mine / files.EVENTS).read_bytes()
    append(mine, metrics(1) + metrics(2) + metrics(3)[:40])
    window = Window(mine)
    found = window.look()
    assert (found.status, found.progress.step, found.loss.last) == ("unwatched", 2, 4.25)
    append(mine, metrics(3)[40:])
    checkpoint(mine, "output/checkpoint-3")
    (mine / "output" / "validation_images").mkdir()
    kanji().save(mine / "output" / "validation_images" / "step_3_a_0_256x256.png")
    found = window.look()
    assert found.progress.step == 3
    assert found.made.checkpoint is not None
    assert found.made.validation is not None
    assert (mine / files.EVENTS).read_bytes() == before


def test_what_a_supervisor_puts_on_record_later_is_not_counted_twice(mine: Path, alive: Identity) -> None:
    record(mine, attempt(trainer=alive))
    append(mine, metrics(1) + metrics(2))
    window = Window(mine)
    assert len(window.look().loss.points) == 2
    for event in (attempt(why="adopt", trainer=alive), step(1), step(2), step(3)):
        Record(mine).add(event)
    found = window.look()
    assert (len(found.loss.points), found.progress.step, found.why) == (3, 3, "adopt")


def test_a_crashed_run_has_not_spent_the_days_until_somebody_looked(mine: Path) -> None:
    pulse(mine)
    record(mine, attempt(), step(1), step(2))
    append(mine, metrics(1) + metrics(2) + metrics(3))
    append(mine, b"CUDA error\n", "trainer.log")
    found = Window(mine).look()
    assert (found.status, found.exit_code, found.progress.step) == ("lost", 6, 3)
    assert found.money.spent_h == pytest.approx(2 / 3600)
    assert found.log == ("CUDA error",)


def test_a_run_that_was_done_while_nobody_watched_is_complete(mine: Path) -> None:
    record(mine, attempt(), step(99))
    append(mine, metrics(100))
    append(mine, b"Saved.\n", "trainer.log")
    (mine / "output" / files.MANIFEST).write_text('{"status": "completed", "last_step": 100}', "utf-8")
    found = Window(mine).look()
    assert (found.status, found.exit_code, found.progress.step, found.log) == ("completed", 0, 100, ())


@pytest.mark.parametrize(
    ("status", "shown"), [("failed", True), ("completed", False), ("stopped", False), ("guard", False)]
)
def test_the_log_is_shown_of_a_run_that_failed(mine: Path, status: Any, shown: bool) -> None:
    append(mine, b"".join(f"line {number}\n".encode() for number in range(20)), "trainer.log")
    record(mine, attempt(), Exit(status, 1, "so", 0))
    found = Window(mine).look()
    assert found.status == status
    assert found.log == (tuple(f"line {number}" for number in range(12, 20)) if shown else ())


def test_a_copy_of_a_run_that_went_on_is_a_copy(mine: Path, alive: Identity, tmp_path: Path) -> None:
    pulse(mine)
    record(mine, attempt(), step(1))
    append(mine, metrics(1) + metrics(2))
    shutil.copytree(mine, tmp_path / "copy", symlinks=True)
    found = Window(tmp_path / "copy").look()
    assert (found.status, found.progress.step) == ("copy", 2)


@pytest.mark.parametrize("has_ended", [True, False])
def test_a_run_that_is_looked_at_is_only_read(mine: Path, has_ended: bool) -> None:
    found = (step(1), Exit("stopped", -15, "as asked", 1)) if has_ended else (step(1),)
    record(mine, attempt(), *found)
    append(mine, metrics(2))
    checkpoint(mine, "output/checkpoint-2")
    before = {path: (path.lstat().st_mtime_ns, path.lstat().st_size) for path in (mine, *mine.rglob("*"))}
    assert Window(mine).look().status == ("stopped" if has_ended else "lost")
    assert {path: (path.lstat().st_mtime_ns, path.lstat().st_size) for path in (mine, *mine.rglob("*"))} == before


def test_lines_of_the_record_that_are_none_are_counted(mine: Path) -> None:
    record(mine, attempt(), step(1))
    append(mine, b'garbage\n{"kind": "step"}\n{"torn', files.EVENTS)
    found = Window(mine).look()
    assert (found.unreadable, found.progress.step) == (2, 1)
    assert f"{'record':<11}2 lines could not be understood and are left out" in view_text.lines(found)


@pytest.mark.parametrize(("count", "says"), [(1, "1 line"), (2, "2 lines")])
def test_a_record_that_nobody_can_read_is_no_run_that_never_started(mine: Path, count: int, says: str) -> None:
    append(mine, b"garbage\n" * count, files.EVENTS)
    found = Window(mine).look()
    assert view_text.status(found) == f"its record cannot be read: {says}, and none is understood"
    assert found.advice == ""


def test_the_planned_rates_are_those_of_the_attempt(mine: Path) -> None:
    window = Window(mine)
    assert window.look().rate.planned == ()
    record(mine, attempt())
    found = window.look().rate
    assert (len(found.planned), max(found.planned), found.share) == (101, 1e-4, 0)
    folder = mine / "attempt-2"
    folder.mkdir()
    spec = (mine / "run.toml").read_text("utf-8").replace("learning_rate = 0.0001", "learning_rate = 5e-05", 1)
    (folder / "run.toml").write_text(spec, "utf-8")
    Record(mine).add(attempt(number=2, why="rollback", base_step=40, from_step=40, output="attempt-2/output"))
    found = window.look().rate
    assert (len(found.planned), max(found.planned)) == (61, 5e-5)


@pytest.mark.parametrize("text", ["", "[model", "learning_rate = 3", None])
def test_a_run_without_a_spec_that_can_be_read_has_no_planned_rates(mine: Path, text: str | None) -> None:
    record(mine, attempt(), step(1))
    (mine / "run.toml").unlink()
    if text is not None:
        (mine / "run.toml").write_text(text, "utf-8")
    found = Window(mine).look()
    assert (found.progress.step, found.rate.planned) == (1, ())


@pytest.mark.parametrize(("on_gpu", "asked"), [(True, [GPU]), (False, [])])
def test_gpus_are_asked_for_now_and_then_where_there_should_be_some(
    tmp_path: Path, alive: Identity, monkeypatch: pytest.MonkeyPatch, on_gpu: bool, asked: list[Gpu]
) -> None:
    run = launched(tmp_path, on_gpu=on_gpu)
    record(run, attempt(trainer=alive))
    times: list[Gpu] = []

    def gpus() -> tuple[Gpu, ...]:
        times.append(GPU)
        return (GPU,)

    window = Window(run, gpus)
    assert [window.look().gpus for _ in range(3)] == [tuple(asked)] * 3
    assert times == asked
    later = replace(moments.now(), up_s=moments.now().up_s + 11)
    monkeypatch.setattr(moments, "now", lambda: later)
    window.look()
    assert times == asked * 2


def test_gpus_are_left_alone_where_no_trainer_is(tmp_path: Path) -> None:
    run = launched(tmp_path, on_gpu=True)
    record(run, attempt())
    assert Window(run, lambda: pytest.fail("nobody is there")).look().gpus == ()


def test_a_folder_that_cannot_be_told_of_is_told(mine: Path) -> None:
    window = Window(mine)
    (mine / files.ORDER).write_bytes(b"{")
    with pytest.raises(TrainerError, match="launch.json: is not understood"):
        Window(mine)
    shutil.rmtree(mine)
    with pytest.raises(TrainerError, match=f"{mine}: is gone; look where it was moved to"):
        window.look()


# The record


def test_a_record_goes_on_where_it_stopped(mine: Path) -> None:
    record(mine, attempt(), step(1))
    append(mine, b'{"kind": "st', files.EVENTS)
    again = Record(mine, lambda: moment(50))
    assert (again.state.step, again.state.unreadable) == (1, 0)
    again.add(step(2))
    assert again.state == replace(Record(mine).state, unreadable=0)
    assert Record(mine).state.unreadable == 1


def test_a_full_disk_ends_no_record(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Event] = [attempt(), step(1), step(2)]
    kept = Record(mine, lambda: moment(1))

    def refuse(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "write", refuse)
        for event in written:
            kept.add(event)
        assert kept.state.step == 2
        assert Record(mine).state.attempt is None
    kept.flush()
    assert Record(mine).state == kept.state
    kinds = [json.loads(line)["kind"] for line in (mine / files.EVENTS).read_bytes().splitlines()]
    assert kinds == ["attempt", "step", "step"]
