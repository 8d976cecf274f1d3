from __future__ import annotations

import json
from pathlib import Path

import pytest

from kanjiprep.errors import UsageError
from kanjiprep.training.remote import place as places
from kanjiprep.training.remote.place import Place

MINE = Place("ssh://me@box:2222", "水 one", "/keys/id", dataset="/data/kanji", rental="")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_what_is_kept_of_a_place_is_read_again(tmp_path: Path) -> None:
    places.write(tmp_path / "runs" / "水 one", MINE)
    assert places.read(tmp_path / "runs" / "水 one") == MINE
    assert places.find("水 one") == places.find("runs/水 one") == (tmp_path / "runs" / "水 one", MINE)


@pytest.mark.parametrize("run", ["", " ", "none", "x" * 300, "a\0b", "file", "file/deeper"])
def test_what_is_no_copy_of_ours_has_no_place(tmp_path: Path, run: str) -> None:
    (tmp_path / "runs" / "local").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    assert places.find(run) is None
    assert places.find("local") is None
    assert places.read(tmp_path / "file") is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "it is no JSON"),
        ("[" * 100_000, "it is no JSON"),
        ('{"address": "ssh://me@box"}', "name"),
        ('{"address": "ssh://me@box", "name": 3}', "name"),
        ('{"address": "ssh://me@box", "name": "a", "colour": "red"}', "colour"),
        ("[]", "table"),
        ("null", "it is no JSON"),
    ],
)
def test_what_is_not_understood_is_one_line(tmp_path: Path, text: str, problem: str) -> None:
    run = tmp_path / "runs" / "odd"
    run.mkdir(parents=True)
    (run / places.FILE).write_text(text)
    with pytest.raises(UsageError) as caught:
        places.find("odd")
    message = str(caught.value)
    assert message.startswith(f"{run / places.FILE}: does not say where the run is: ")
    assert problem in message
    assert message.endswith("; remove the folder, and look on the box")


def test_a_place_that_cannot_be_kept_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(UsageError, match="runs/a: cannot be made; give the run another --name"):
        places.write(tmp_path / "runs" / "a", MINE)


def test_the_run_there_has_a_path_and_steps_whatever_its_name() -> None:
    assert MINE.run == ".kanjiprep/work/runs/水 one"
    other = Place("ssh://me@box", "水 two")
    assert MINE.step("stop") == MINE.step("stop") != other.step("stop")
    assert MINE.step("stop").startswith("stop-")
    assert MINE.step("stop").isascii()
    assert (MINE.host.user, MINE.host.host, MINE.host.port, MINE.host.key) == ("me", "box", 2222, Path("/keys/id"))
    assert other.host.key is None
    assert json.loads(json.dumps(str(MINE.host))) == MINE.address
