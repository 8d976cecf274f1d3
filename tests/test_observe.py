"""Lines of training_metrics.jsonl are of the shape that SimpleTuner 4.10.1 wrote with the tiny model."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from kanjiprep.training.running import observe
from kanjiprep.training.running.events import (
    Alert,
    Attempt,
    Checkpoint,
    Entry,
    Event,
    Exit,
    Stage,
    Step,
    Validation,
)
from kanjiprep.training.running.observe import Observer, step_of
from kanjiprep.training.running.run_state import Fold, RunState
from tests.test_events import attempt, moment, step

LOG: Final = "[RANK 0] 2026-11-25 17:28:54,038 [INFO] "


def metrics(number: int, **changes: float | None) -> bytes:
    numbers = {
        "epoch": 1.0,
        "grad_norm": 0.005,
        "iteration_step_time_seconds": 0.75,
        "iterations_per_minute_overall": 11.8,
        "learning_rate": 5.02e-05,
        "optimization_loss": 4.25,
        "seconds_per_step": 0.75,
        "step_speed_seconds": 0.75,
        "steps_per_second": 1.33,
        "train_loss": 4.25,
    }
    kept = {name: value for name, value in (numbers | changes).items() if value is not None}
    return _line(number, kept)


def system(number: int) -> bytes:
    return _line(number, {"system/cpu_percent": 51.5, "system/disk_free_gb": 62.74, "system/memory_percent": 5.8})


def _line(number: int, numbers: dict[str, float]) -> bytes:
    table = {"metrics": numbers, "schema_version": 1, "step": number, "timestamp": "2026-11-22T23:58:01.205340+00:00"}
    return (json.dumps(table, separators=(",", ":")) + "\n").encode()


def plain(number: int) -> Step:
    return Step(number, 4.25, 0.005, 5.02e-05, 0.75, 1.0)


class Folder:
    """A run folder, and what its observer says of it."""

    def __init__(self, run: Path, now: Attempt, known: RunState) -> None:
        self.run, self.output = run, run / now.output
        self.output.mkdir(parents=True, exist_ok=True)
        self.observer = Observer(run, now, known)

    def look(self) -> list[Event]:
        return self.observer.look()

    def append(self, data: bytes, name: str = "output/training_metrics.jsonl") -> None:
        with (self.run / name).open("ab") as stream:
            stream.write(data)

    def checkpoint(self, number: int, *, is_whole: bool = True) -> Path:
        folder = self.output / f"checkpoint-{number}"
        folder.mkdir(exist_ok=True)
        (folder / "optimizer.bin").write_bytes(b"x" * 1000)
        if is_whole:
            (folder / ".guard").write_bytes(b"complete")
        return folder

    def paint(self, name: str, picture: Image.Image) -> Path:
        folder = self.output / "validation_images"
        folder.mkdir(exist_ok=True)
        picture.save(folder / name)
        return folder / name


def known_of(now: Attempt, *found: Event) -> RunState:
    fold = Fold()
    fold.add(Entry(moment(), event) for event in (now, *found))
    return fold.state()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path, attempt(), known_of(attempt()))


def again(folder: Folder, now: Attempt, *found: Event) -> Folder:
    return Folder(folder.run, now, known_of(now, *found))


def kanji() -> Image.Image:
    drawn = Image.new("RGB", (256, 256), "white")
    ImageDraw.Draw(drawn).line((30, 128, 226, 120), "black", 20)
    return drawn


def black() -> Image.Image:
    return Image.new("RGB", (256, 256), "black")


# Steps


def test_a_line_of_a_step_is_a_step() -> None:
    assert step_of(metrics(3), 0) == plain(3)
    assert step_of(metrics(3), 40) == plain(43)


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"grad_norm": None}, "gradient", None),
        ({"grad_norm": None, "grad_absmax": 0.25}, "gradient", 0.25),
        ({"grad_norm": 0}, "gradient", 0.0),
        ({"train_loss": None}, "loss", None),
        ({"train_loss": float("nan")}, "loss", None),
        ({"train_loss": float("inf")}, "loss", None),
        ({"train_loss": "4.25"}, "loss", None),
        ({"learning_rate": None}, "learning_rate", None),
        ({"step_speed_seconds": None}, "seconds", None),
        ({"epoch": None}, "epoch", None),
    ],
)
def test_a_number_that_is_missing_or_not_finite_is_none(changes: Any, field: str, value: float | None) -> None:
    found = step_of(metrics(3, **changes), 0)
    assert found is not None
    assert getattr(found, field) == value
    others = [name for name in ("loss", "gradient", "learning_rate", "seconds", "epoch") if name != field]
    assert [getattr(found, name) for name in others] == [getattr(plain(3), name) for name in others]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        metrics(3)[:-20],
        metrics(3)[20:],
        b"[]",
        b"7",
        b"null",
        b"\xff\xfe",
        b"{}",
        b'{"step": 3}',
        b'{"metrics": {"train_loss": 1.0}}',
        b'{"step": "3", "metrics": {"train_loss": 1.0}}',
        b'{"step": 3, "metrics": [1.0]}',
    ],
)
def test_a_line_that_is_none_of_the_trainers_is_none(line: bytes) -> None:
    assert step_of(line, 0) is None


@given(st.binary(), st.integers(0, 200), st.integers(0, 200))
def test_no_line_is_more_than_it_can_take(data: bytes, start: int, count: int) -> None:
    line = metrics(3)
    step_of(data, 0)
    step_of(line[:start] + data + line[start + count :], 0)


def test_lines_of_the_system_are_no_steps_and_no_trouble(folder: Folder) -> None:
    folder.append(system(1) + metrics(1) + system(1) + metrics(2) + system(2))
    assert folder.look() == [plain(1), plain(2)]
    assert folder.observer.unreadable_lines == 0


def test_steps_come_as_they_are_written_and_once(folder: Folder) -> None:
    assert folder.look() == []
    folder.append(metrics(1) + metrics(2)[:30])
    assert folder.look() == [plain(1)]
    folder.append(metrics(2)[30:] + metrics(3)[:-1])
    assert folder.look() == [plain(2)]
    folder.append(b"\n")
    assert folder.look() == [plain(3)]
    assert folder.look() == []


def test_a_torn_line_in_between_is_counted_and_passed_over(folder: Folder) -> None:
    folder.append(metrics(1)[:40] + b"\n" + metrics(2))
    assert folder.look() == [plain(2)]
    assert folder.observer.unreadable_lines == 1


def test_a_rotated_file_is_read_on_and_repeats_nothing(folder: Folder) -> None:
    folder.append(metrics(1) + metrics(2) + metrics(3))
    assert len(folder.look()) == 3
    path = folder.output / "training_metrics.jsonl"
    path.rename(path.with_suffix(".1"))
    folder.append(metrics(3) + metrics(4) + metrics(5) + metrics(6))
    assert folder.look() == [plain(4), plain(5), plain(6)]


def test_bytes_of_earlier_attempts_are_not_read_again(folder: Folder) -> None:
    folder.append(metrics(1) + metrics(2) + metrics(3)[:50])
    before = (folder.output / "training_metrics.jsonl").stat().st_size
    resumed = again(folder, attempt(number=2, why="resume", from_step=1, metrics_from=before))
    resumed.append(metrics(2, train_loss=9.0) + metrics(3))
    found = resumed.look()
    assert [one.step for one in found if isinstance(one, Step)] == [2, 3]
    assert (found[0], resumed.observer.unreadable_lines) == (Step(2, 9.0, 0.005, 5.02e-05, 0.75, 1.0), 0)


def test_a_trainer_that_is_taken_over_repeats_nothing_that_is_on_record(folder: Folder) -> None:
    folder.append(metrics(1) + metrics(2) + metrics(3))
    folder.checkpoint(2)
    folder.paint("step_2_mountains_0_256x256.png", kanji())
    told = folder.look()
    assert len(told) == 5
    adopted = again(folder, attempt(why="adopt"), *told[:2], *told[3:])
    assert adopted.look() == [plain(3)]


def test_the_trainers_own_count_is_put_on_the_runs(tmp_path: Path) -> None:
    now = attempt(number=2, why="rollback", base_step=40, from_step=40, output="attempt-2/output")
    folder = Folder(tmp_path, now, known_of(now))
    folder.append(metrics(1), "attempt-2/output/training_metrics.jsonl")
    folder.checkpoint(4)
    folder.paint("step_0_mountains_0_256x256.png", kanji())
    assert folder.look() == [
        plain(41),
        Checkpoint(44, "attempt-2/output/checkpoint-4", 1008),
        Validation(40, "mountains", "attempt-2/output/validation_images/step_0_mountains_0_256x256.png", ()),
    ]


# Checkpoints


def test_a_checkpoint_is_whole_with_its_guard_file_only(folder: Folder) -> None:
    folder.checkpoint(4, is_whole=False)
    assert folder.look() == []
    assert observe.whole_checkpoints(folder.output) == []
    folder.checkpoint(4)
    assert folder.look() == [Checkpoint(4, "output/checkpoint-4", 1008)]
    assert folder.look() == []


def test_checkpoints_are_told_by_their_steps_and_nothing_else_is_one(folder: Folder) -> None:
    for number in (10, 9, 100):
        folder.checkpoint(number)
    for name in ("checkpoint-12-tmp", "checkpoint-x", "unfinished-checkpoint-11-a1b2c3"):
        (folder.output / name).mkdir()
        (folder.output / name / ".guard").touch()
    assert [one.step for one in folder.look() if isinstance(one, Checkpoint)] == [9, 10, 100]
    whole = [(number, folder.output / f"checkpoint-{number}") for number in (9, 10, 100)]
    assert observe.whole_checkpoints(folder.output) == whole


def test_a_checkpoint_that_is_made_again_after_a_resume_is_told_again(folder: Folder) -> None:
    guard = folder.checkpoint(4) / ".guard"
    folder.look()
    resumed = again(folder, attempt(number=2, why="resume", from_step=4), Checkpoint(4, "output/checkpoint-4", 1008))
    assert resumed.look() == []
    guard.unlink()
    assert resumed.look() == []
    guard.write_bytes(b"complete")
    os.utime(guard, ns=(1, 1))
    assert resumed.look() == [Checkpoint(4, "output/checkpoint-4", 1008)]


def test_a_checkpoint_that_the_trainer_removed_is_no_trouble(folder: Folder) -> None:
    path = folder.checkpoint(4)
    known = folder.look()
    for file in path.iterdir():
        file.unlink()
    path.rmdir()
    assert folder.look() == []
    assert again(folder, attempt(why="adopt"), *known).look() == []


def test_a_disk_that_fails_is_not_taken_for_an_unfinished_checkpoint(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder.checkpoint(4)

    def failing(_path: Path, **_how: Any) -> os.stat_result:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "stat", failing)
    with pytest.raises(OSError, match="Input/output error"):
        folder.observer._guarded(path)


# Pictures


def test_pictures_are_told_by_step_and_prompt_whatever_is_in_its_name(folder: Folder) -> None:
    names = [
        "step_10_a_0_256x256.png", "step_9_two_words_0_256x256.png", "step_9_step_3_1_0_512x256.png",
        "step_9_亜_1_256x256.png", "step_9_亜_0_256x256.png",
    ]  # fmt: skip
    for name in [*names, "step_9_no_size_0.png", "mask_9_a_0_256x256.png", "step_x_a_0_256x256.png"]:
        folder.paint(name, kanji())
    found = [one for one in folder.look() if isinstance(one, Validation)]
    assert [(one.step, one.prompt) for one in found] == [
        (9, "step_3_1"), (9, "two_words"), (9, "亜"), (9, "亜"), (10, "a"),
    ]  # fmt: skip
    assert found[2].path == "output/validation_images/step_9_亜_0_256x256.png"
    assert folder.look() == []


def test_a_half_written_picture_is_told_once_it_is_whole(folder: Folder) -> None:
    path = folder.paint("step_4_mountains_0_256x256.png", kanji())
    data = path.read_bytes()
    for count in (0, 20, len(data) // 2):
        path.write_bytes(data[:count])
        assert folder.look() == []
    path.write_bytes(data)
    inside = "output/validation_images/step_4_mountains_0_256x256.png"
    assert folder.look() == [Validation(4, "mountains", inside, ())]


def test_a_picture_that_stays_unreadable_is_bad(folder: Folder) -> None:
    folder.paint("step_4_mountains_0_256x256.png", kanji()).write_bytes(b"no picture")
    found = [event for _ in range(100) for event in folder.look()]
    assert [one.faults for one in found if isinstance(one, Validation)] == [("unreadable",)]


def faults_of(found: list[Event]) -> dict[tuple[int, str], tuple[str, ...]]:
    return {(one.step, one.prompt): one.faults for one in found if isinstance(one, Validation)}


def test_a_picture_has_gone_bad_if_an_earlier_one_of_its_prompt_was_good(folder: Folder) -> None:
    folder.paint("step_0_good_0_256x256.png", kanji())
    folder.paint("step_0_random_0_256x256.png", black())
    assert faults_of(folder.look()) == {(0, "good"): (), (0, "random"): ()}
    for name in ("good", "random"):
        folder.paint(f"step_4_{name}_0_256x256.png", black())
        folder.paint(f"step_8_{name}_0_256x256.png", black())
    assert faults_of(folder.look()) == {
        (4, "good"): ("black",), (4, "random"): (), (8, "good"): ("black",), (8, "random"): (),
    }  # fmt: skip


def test_the_good_pictures_of_before_are_known_to_the_next_observer(folder: Folder) -> None:
    folder.paint("step_0_good_0_256x256.png", kanji())
    folder.paint("step_0_gone_0_256x256.png", kanji())
    folder.paint("step_0_random_0_256x256.png", black())
    told = folder.look()
    (folder.output / "validation_images" / "step_0_gone_0_256x256.png").unlink()
    adopted = again(folder, attempt(why="adopt"), *told)
    for name in ("good", "gone", "random"):
        folder.paint(f"step_4_{name}_0_256x256.png", black())
    assert faults_of(adopted.look()) == {(4, "good"): ("black",), (4, "gone"): (), (4, "random"): ()}


# The log


def said(found: list[Event]) -> list[tuple[str, int | None, int | None]]:
    return [(one.stage, one.done, one.total) for one in found if isinstance(one, Stage)]


def test_stages_are_told_as_they_begin_and_every_so_often(folder: Folder) -> None:
    folder.append(
        f"{LOG}Loading data backend config from /run\n{LOG}VAECache has 200 unprocessed files.\n".encode(),
        "trainer.log",
    )
    assert said(folder.look())[-2:] == [("reading dataset", None, None), ("caching pictures", 0, 200)]
    bars = [f"Processing bucket 1.0: {done // 2}%|#| {done}/200 [00:01<00:09]\r" for done in range(1, 10)]
    folder.append("".join(bars).encode(), "trainer.log")
    assert said(folder.look()) == [("caching pictures", 4, 200), ("caching pictures", 8, 200)]
    steps = [f"Epoch 1/2, Steps: {done}%|#| {done}/100 [00:01<00:09]\r" for done in range(1, 100)]
    folder.append("".join(steps).encode(), "trainer.log")
    assert [stage for stage, *_ in said(folder.look())] == ["training"]


def test_what_the_log_said_of_earlier_attempts_is_not_read_again(folder: Folder) -> None:
    folder.append(f"{LOG}Loading data backend config from /run\n".encode(), "trainer.log")
    before = (folder.run / "trainer.log").stat().st_size
    resumed = again(folder, attempt(number=2, why="resume", log_from=before))
    assert resumed.look() == []
    folder.append(f"{LOG}Loading diffusion model from /model\n".encode(), "trainer.log")
    assert said(resumed.look())[-1][0] == "loading model"
    assert "reading dataset" not in [stage for stage, *_ in said(resumed.look())]


def caching(done: int, last: str = "Loading diffusion model from /model") -> bytes:
    lines = f"{LOG}VAECache has 6 unprocessed files.\nProcessing bucket 1.0: 50%|#| {done}/6 [00:01<00:09]\r"
    return f"{lines}\n{LOG}{last}\n".encode()


def test_pictures_that_were_left_out_of_the_cache_are_a_warning(folder: Folder) -> None:
    folder.append(caching(4), "trainer.log")
    alerts = [one for one in folder.look() if isinstance(one, Alert)]
    text = "2 of 6 pictures could not be cached; training will end at the first of them"
    assert alerts == [Alert("cache", "warning", 0, text, 0)]
    assert folder.look() == []


def test_who_takes_over_tells_nothing_of_the_log_again(folder: Folder) -> None:
    folder.append(caching(4), "trainer.log")
    found = folder.look()
    adopting = again(folder, attempt(why="adopt"), *found)
    assert adopting.look() == []
    folder.append(b"Epoch 1/2, Steps: 3%|#| 3/100 [00:01<00:09]\r", "trainer.log")
    assert said(adopting.look()) == [("training", 3, 100)]


def test_a_whole_cache_is_no_warning(folder: Folder) -> None:
    folder.append(caching(6), "trainer.log")
    assert not any(isinstance(one, Alert) for one in folder.look())


# All together


def test_all_that_is_new_comes_in_one_order(folder: Folder) -> None:
    folder.paint("step_2_a_0_256x256.png", kanji())
    folder.checkpoint(2)
    folder.append(metrics(1) + metrics(2))
    folder.append(f"{LOG}Loading diffusion model from /model\n".encode(), "trainer.log")
    kinds = list(dict.fromkeys(one.kind for one in folder.look()))
    assert kinds == ["stage", "step", "checkpoint", "validation"]


def test_every_sign_of_life_is_seen_and_silence_is_none(folder: Folder) -> None:
    signs = [folder.observer.seen_bytes]

    def sign() -> int:
        folder.look()
        signs.append(folder.observer.seen_bytes)
        return signs[-1] - signs[-2]

    assert sign() == 0
    folder.append(b"anything", "trainer.log")
    assert sign() > 0
    folder.append(system(1))
    assert sign() > 0
    folder.checkpoint(1)
    assert sign() > 0
    folder.paint("step_2_a_0_256x256.png", kanji())
    assert sign() > 0
    assert sign() == 0


def test_an_exit_on_record_changes_nothing_for_the_next_attempt(folder: Folder) -> None:
    folder.append(metrics(1))
    resumed = again(folder, attempt(number=2, why="resume"), step(1), Exit("failed", 1, "", 1))
    folder.append(metrics(2))
    assert resumed.look() == [plain(2)]


@pytest.mark.parametrize("path", ["output/a\0b", f"output/{'a' * 300}"])
def test_a_checkpoint_on_record_whose_name_no_folder_can_have_is_not_there(folder: Folder, path: str) -> None:
    resumed = again(folder, attempt(number=2, why="resume"), Checkpoint(1, path, 7))
    folder.append(metrics(1))
    assert plain(1) in resumed.look()


def test_numbers_that_no_float_can_hold_are_left_out() -> None:
    line = metrics(3).replace(b":4.25", b":" + b"9" * 400)
    assert step_of(line, 0) == Step(3, None, 0.005, 5.02e-05, 0.75, 1.0)
    assert step_of(metrics(10**16), 0) is None
