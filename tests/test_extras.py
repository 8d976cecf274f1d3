from __future__ import annotations

from pathlib import Path

import pytest

from kanjiprep.errors import TrainerError
from kanjiprep.publishing.extras import extras


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    for name in ("report", "comfyui"):
        (tmp_path / "mine" / name).mkdir(parents=True)
    return tmp_path / "mine"


def test_a_run_without_report_and_workflows_has_nothing_to_go_along(tmp_path: Path) -> None:
    assert extras(tmp_path) == ()


def test_what_there_is_goes_along_in_a_fixed_order(mine: Path) -> None:
    pictures = ["report/strip.json", "report/grid.png", "report/grid.json"]
    names = ["report/report.html", *pictures, "report/scores.csv", "comfyui/a.json", "comfyui/b.json"]
    others = ["notes.txt", "scores.json", "norms.json"]
    for name in (*names, *(f"report/{name}" for name in others)):
        (mine / name).touch()
    for name in (".b.json.77", ".c.json", "a.png"):
        (mine / "comfyui" / name).touch()
    for name in ("report/strip.png", "comfyui/d.json"):
        (mine / name).mkdir()
    assert extras(mine) == tuple((mine / name, name) for name in names)


def test_a_link_inside_the_run_folder_is_followed(mine: Path) -> None:
    (mine / "report" / "better.html").touch()
    (mine / "report" / "report.html").symlink_to("better.html")
    assert extras(mine) == ((mine / "report" / "better.html", "report/report.html"),)


@pytest.mark.parametrize("target", ["../../secret", "/etc/passwd", ".."])
def test_a_link_out_of_the_run_folder_is_refused(mine: Path, target: str) -> None:
    (mine.parent / "secret").touch()
    (mine / "report" / "scores.csv").symlink_to(target if target != ".." else mine.parent)
    with pytest.raises(TrainerError, match="^report/scores.csv: leads out of the run folder; put the file itself"):
        extras(mine)


def test_a_folder_that_is_a_link_out_of_the_run_folder_is_refused(mine: Path) -> None:
    (mine.parent / "flows").mkdir()
    (mine.parent / "flows" / "a.json").touch()
    (mine / "comfyui").rmdir()
    (mine / "comfyui").symlink_to(mine.parent / "flows")
    with pytest.raises(TrainerError, match="^comfyui/a.json: leads out"):
        extras(mine)


def test_a_link_to_nowhere_is_told(mine: Path) -> None:
    (mine / "report" / "strip.png").symlink_to("gone.png")
    with pytest.raises(TrainerError, match="^report/strip.png: is not there; look whether the run folder is whole"):
        extras(mine)
