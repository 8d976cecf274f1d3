from __future__ import annotations

import re
from pathlib import Path

import pytest

from kanjiprep.errors import RemoteError
from kanjiprep.training.remote.cloud import naming
from kanjiprep.training.remote.sky.task import LONGEST_NAME

MACHINE = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("run", "word"),
    [
        ("try", "try"),
        ("Kanji LoRA_2", "kanji-lora-2"),
        ("漢字", "run"),
        ("--x--", "x"),
        ("a" * 22 + "-" + "b" * 200, "a" * 22),
        ("x" * 200, "x" * 23),
        ("a\udc80b", "a-b"),
    ],
)
def test_a_name_is_plain_and_short_whatever_the_run_is_called(run: str, word: str) -> None:
    name = naming.name_of(Path("/runs") / run, MACHINE)
    assert re.fullmatch(rf"kanjiprep-{word}-[0-9a-f]{{6}}", name)
    assert len(name) <= naming.MOST_BYTES == LONGEST_NAME


def test_a_name_is_of_one_folder_on_one_machine() -> None:
    one = naming.name_of(Path("/a/try"), MACHINE)
    assert one == naming.name_of(Path("/a/try"), MACHINE)
    assert len({one, naming.name_of(Path("/b/try"), MACHINE), naming.name_of(Path("/a/try"), MACHINE[::-1])}) == 3


@pytest.mark.parametrize(
    ("instance", "is_ours"),
    [
        ("kanjiprep-a-0a0a0a", True),
        ("kanjiprep-a-0a0a0a-12345678-head", True),
        ("kanjiprep-a-0a0a0a-12345678-worker", True),
        ("kanjiprep-a-0a0a0ab", False),
        ("kanjiprep-a", False),
        ("my-kanjiprep-a-0a0a0a", False),
        ("", False),
    ],
)
def test_a_name_of_skypilots_making_is_known_again(instance: str, is_ours: bool) -> None:
    assert naming.is_named(instance, "kanjiprep-a-0a0a0a") is is_ours


def test_the_systems_own_id_is_taken(tmp_path: Path) -> None:
    system = tmp_path / "system"
    system.write_text(f"{MACHINE}\n")
    assert naming.machine_id(tmp_path / "data", system) == MACHINE
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("content", [None, b"", b"uninitialized\n", b"\xff"])
def test_a_machine_without_an_id_gets_one_that_stays(tmp_path: Path, content: bytes | None) -> None:
    system = tmp_path / "system"
    if content is not None:
        system.write_bytes(content)
    first = naming.machine_id(tmp_path / "data", system)
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert naming.machine_id(tmp_path / "data", system) == first


def test_a_machine_id_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(RemoteError, match="machine-id: cannot be written"):
        naming.machine_id(tmp_path / "data", tmp_path / "none")
