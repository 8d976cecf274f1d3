from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from kanjiprep.errors import TrainerError, UsageError
from kanjiprep.training.run_spec import Guard
from kanjiprep.training.running import files
from kanjiprep.training.running.files import Order, Pulse
from tests.test_events import TRAINER, moment

ORDER: Final = Order(
    command=("/env/bin/python", "train.py"),
    environment={"HF_HUB_OFFLINE": "1", "名": "亜"},
    total_steps=8,
    steps_per_epoch=2,
    on_gpu=False,
    trainer="4.10.1",
    guard=Guard(policy="rollback", max_usd=12.5),
    usd_per_hour=1.29,
    price_source="Lambda",
    prompts=2,
    checkpoint_bytes=1000,
)
PULSE: Final = Pulse("running", 2, TRAINER, TRAINER, moment(7))


def written(run: Path, name: str, document: object) -> Path:
    (run / name).write_text(json.dumps(document), "utf-8")
    return run


def launched(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / files.ORDER).write_bytes(files.order_bytes(ORDER))
    return folder


# Finding a run


def test_a_preset_of_the_same_name_does_not_hide_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mine = launched(tmp_path / "runs" / "mine")
    (tmp_path / "mine").mkdir()
    assert files.find("mine") == mine


def test_no_name_is_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(launched(tmp_path / "mine"))
    with pytest.raises(UsageError, match="^the name of a run is empty; launch one"):
        files.find(" ")


def test_a_run_is_found_by_its_path_and_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mine, other = launched(tmp_path / "runs" / "mine"), launched(tmp_path / "elsewhere" / "other")
    assert [files.find(word) for word in ("mine", "runs/mine", mine, str(mine))] == [mine] * 4
    assert files.find("elsewhere/other") == other


def test_a_path_goes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    launched(tmp_path / "runs" / "mine")
    here = launched(tmp_path / "mine")
    assert files.find("mine") == here


@pytest.mark.parametrize("word", ["gone", "x" * 300, "a\0b"], ids=["no such", "too long", "no name"])
def test_what_is_no_run_is_told_with_those_that_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="^no run '.*; launch one with kanjiprep launch-simpletuner PRESET$"):
        files.find(word)
    launched(tmp_path / "runs" / "b")
    with pytest.raises(UsageError, match="; there is b$"):
        files.find(word)
    launched(tmp_path / "runs" / "a")
    with pytest.raises(UsageError, match="; there are a, b$"):
        files.find(word)


def test_a_folder_in_which_nothing_was_launched_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"^{tmp_path}: nothing was launched here; give a folder in which a run"):
        files.find(tmp_path)


# The order


def test_an_order_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / files.ORDER).write_bytes(files.order_bytes(ORDER))
    assert files.read_order(tmp_path) == ORDER
    assert "亜" in (tmp_path / files.ORDER).read_text("utf-8")


def test_an_order_of_before_may_lack_what_has_a_default(tmp_path: Path) -> None:
    table = json.loads(files.order_bytes(ORDER))
    for name in ("usd_per_hour", "price_source", "prompts", "checkpoint_bytes", "way"):
        del table[name]
    found = files.read_order(written(tmp_path, files.ORDER, table))
    plain = replace(ORDER, usd_per_hour=None, price_source="", prompts=1, checkpoint_bytes=0, way="start")
    assert found == plain


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"total_steps": "8"}, "total_steps must be a whole number, not '8'"),
        ({"way": "back"}, "way must be one of 'start', 'resume', 'rollback', not 'back'"),
        ({"guard": {"policy": "stpo"}}, "guard.policy must be one of .* did you mean 'stop'"),
        ({"another": 1}, "another is not a key here"),
    ],
)
def test_an_order_that_is_not_ours_is_refused(tmp_path: Path, changes: Mapping[str, Any], says: str) -> None:
    written(tmp_path, files.ORDER, json.loads(files.order_bytes(ORDER)) | changes)
    with pytest.raises(TrainerError, match=f"launch.json: is not understood: {says}"):
        files.read_order(tmp_path)


@pytest.mark.parametrize("data", [None, b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_an_order_that_is_no_table_is_refused(tmp_path: Path, data: bytes | None) -> None:
    if data is not None:
        (tmp_path / files.ORDER).write_bytes(data)
    with pytest.raises(
        TrainerError, match="launch.json: is not understood: is not there, or no JSON; launch the run"
    ):
        files.read_order(tmp_path)


# Signs of life and wishes


def test_a_pulse_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert files.read_pulse(tmp_path) is None
    for pulse in (PULSE, replace(PULSE, status="over", trainer=None)):
        files.write_pulse(tmp_path, pulse)
        assert files.read_pulse(tmp_path) == pulse
    assert [path.name for path in tmp_path.iterdir()] == [files.STATE]


@pytest.mark.parametrize(
    "changes",
    [
        {"attempt": "2"},
        {"supervisor": None},
        {"beat": {"at": "now", "up_s": 1.0, "boot": ""}},
        {"beat": {"at": "2026-01-01T00:00:00", "up_s": 1.0, "boot": ""}},
        {"another": 1},
    ],
)
def test_a_pulse_that_is_not_ours_is_none(tmp_path: Path, changes: Mapping[str, Any]) -> None:
    files.write_pulse(tmp_path, PULSE)
    written(tmp_path, files.STATE, json.loads((tmp_path / files.STATE).read_bytes()) | changes)
    assert files.read_pulse(tmp_path) is None


@pytest.mark.parametrize("data", [b"", b'{"status": "runn', b"[]"])
def test_a_torn_pulse_is_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / files.STATE).write_bytes(data)
    assert files.read_pulse(tmp_path) is None


@pytest.mark.parametrize("with_checkpoint", [True, False])
def test_a_wish_to_stop_is_heard_once(tmp_path: Path, with_checkpoint: bool) -> None:
    assert files.take_stop(tmp_path) is None
    files.ask_to_stop(tmp_path, with_checkpoint=with_checkpoint)
    assert files.take_stop(tmp_path) is with_checkpoint
    assert files.take_stop(tmp_path) is None


# Writing


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    for data in (b"one", b"two"):
        files.replace(tmp_path / "file", data)
        assert (tmp_path / "file").read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_that_cannot_be_replaced_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.replace(tmp_path / "file", b"one")

    def refuse(path: Path, data: bytes) -> int:
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(TrainerError, match="file: cannot be written: no space left on device; free some space"):
        files.replace(tmp_path / "file", b"two")
    assert (tmp_path / "file").read_text("ascii") == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("place", ["gone/file", "file/file"])
def test_a_file_for_which_there_is_no_folder_is_told(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainerError, match="cannot be written: no"):
        files.replace(tmp_path / place, b"one")
