from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kanjiprep.errors import TrainerError
from kanjiprep.training import presets
from kanjiprep.training.running import files, holding, run_source
from kanjiprep.training.running.events import Exit
from tests.run_folders import COMPLETED, keep, paint, prepared, trained
from tests.test_attempts import TINY, record
from tests.test_events import attempt, step
from tests.test_observe import metrics


def lost(folder: Path) -> Path:
    """A run whose supervisor was killed after a step; its trainer went on for three more."""
    run = prepared(folder)
    record(run, attempt(total_steps=4), step(1))
    keep(run, 4)
    paint(run, 4, "mountains")
    (run / "output" / files.METRICS).write_bytes(b"".join(map(metrics, range(1, 5))))
    return run


# Its spec


def test_a_spec_is_read_though_its_model_and_style_are_on_another_machine(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    whole = (run / presets.SPEC).read_text("utf-8").replace('path = ""', 'path = "/mnt/alice/model"')
    (run / presets.SPEC).write_text(whole.replace('style = "plain"', 'style = "/mnt/alice/ink.toml"'), "utf-8")
    assert run_source.spec(run).model.path == "/mnt/alice/model"
    assert run_source.spec(run).lora == TINY.spec.lora


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "cannot be read: no such file or directory; copy the run folder anew"),
        (b"title = ", "is not TOML: "),
        (b"\xff", "is not TOML: "),
        (b"a = " + b"[" * 100_000, "is not TOML: "),
        (b"[lora]\nrank = 0\n", "is not understood: lora.rank must be at least 1"),
        (b"[lroa]\n", "is not understood: lroa is not a key here, did you mean 'lora'"),
    ],
)
def test_a_spec_that_is_damaged_is_told(tmp_path: Path, data: bytes | None, says: str) -> None:
    if data is not None:
        (tmp_path / presets.SPEC).write_bytes(data)
    with pytest.raises(TrainerError, match=f"^{tmp_path}/run.toml: {says}"):
        run_source.spec(tmp_path)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"{", "is no JSON; copy"),
        (b"\xff", "is no JSON;"),
        (b"[" * 100_000, "is no JSON;"),
        (b"[]", "is no JSON table"),
    ],
)
def test_a_table_that_is_none_is_told(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(TrainerError, match=f"a.json: {says}"):
        run_source.table(tmp_path / "a.json")


# Its record


def test_the_state_is_what_is_on_record(tmp_path: Path) -> None:
    found = run_source.state(trained(tmp_path))
    assert (found.step, [one.step for one in found.checkpoints], found.exit) == (8, [4, 8], COMPLETED)


def test_what_happened_while_nobody_watched_is_seen(tmp_path: Path) -> None:
    found = run_source.state(lost(tmp_path))
    assert (found.step, [one.step for one in found.checkpoints], found.exit) == (4, [4], None)
    assert [(one.step, one.prompt) for one in found.validations] == [(4, "mountains")]
    assert found.spent_s == 1.0


def test_a_run_that_was_done_while_nobody_watched_is_complete(tmp_path: Path) -> None:
    run = lost(tmp_path)
    (run / "output" / files.MANIFEST).write_text('{"status": "completed", "last_step": 4}', "utf-8")
    assert run_source.state(run).exit == Exit("completed", None, "", 4)


def test_nothing_is_written_into_a_run_that_is_looked_at(tmp_path: Path) -> None:
    run = lost(tmp_path)
    before = {path: path.lstat().st_mtime_ns for path in run.rglob("*")}
    run_source.state(run)
    assert {path: path.lstat().st_mtime_ns for path in run.rglob("*")} == before


def test_a_run_that_is_watched_is_known_by_its_record_alone(tmp_path: Path) -> None:
    run = lost(tmp_path)
    held = holding.take(run)
    assert held is not None
    assert run_source.state(run).step == 1
    held.release()
    assert run_source.state(run).step == 4


def test_a_run_without_a_record_is_told(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    with pytest.raises(TrainerError, match="events.jsonl: is not there; let the run begin"):
        run_source.state(run)
    (run / files.EVENTS).write_bytes(b"torn\n")
    with pytest.raises(TrainerError, match="events.jsonl: tells of no attempt; let the run begin"):
        run_source.state(run)


def test_a_record_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    (run / files.EVENTS).mkdir()
    for read in (run_source.state, run_source.recorded):
        with pytest.raises(TrainerError, match="events.jsonl: cannot be read: is a directory; check its permissions"):
            read(run)


def test_recorded_events_are_given_without_torn_lines(tmp_path: Path) -> None:
    run = trained(tmp_path)
    before = run_source.recorded(run)
    assert before[0] == attempt()
    assert before[-1] == COMPLETED
    assert len(before) == len((run / files.EVENTS).read_bytes().splitlines())
    with (run / files.EVENTS).open("ab") as stream:
        stream.write(b'{"kind": "st\n')
    assert run_source.recorded(run) == before


# What is inside it


def test_a_copy_and_a_link_to_a_run_hold_what_the_run_holds(tmp_path: Path) -> None:
    run = trained(tmp_path)
    shutil.copytree(run, tmp_path / "copy", symlinks=True)
    (tmp_path / "link").symlink_to(run)
    assert run_source.within(tmp_path / "copy", "output") == tmp_path / "copy" / "output"
    assert run_source.within(tmp_path / "link", "output") == run / "output"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("gone", "gone: is not there; look whether the run folder is whole"),
        ("file/below", "file/below: cannot be read: not a directory"),
        ("a" * 300, "a: cannot be read: file name too long"),
        ("a\0b", r"a\\x00b: is no path that can be followed"),
        ("loop", "loop: "),
        ("..", "..: leads out of the run folder; put the file itself there"),
        ("../minestrone", "../minestrone: leads out"),
        ("/etc", "/etc: leads out"),
        ("out", "out: leads out"),
    ],
)
def test_what_is_not_inside_a_run_is_refused(tmp_path: Path, path: str, says: str) -> None:
    run = tmp_path / "mine"
    run.mkdir()
    (tmp_path / "minestrone").touch()
    (run / "file").touch()
    (run / "loop").symlink_to("loop")
    (run / "out").symlink_to("../minestrone")
    with pytest.raises(TrainerError, match=says):
        run_source.within(run, path)
