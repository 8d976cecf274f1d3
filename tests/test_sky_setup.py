from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Final

import pytest

from kanjiprep.errors import RemoteError, UsageError
from kanjiprep.training import own_environment
from kanjiprep.training.remote.sky import home, setup, setup_plan
from kanjiprep.training.remote.sky.setup_plan import BUILDING, MARKER, Host, SetupPlan

WHERE: Final = Path("/home/me/remote")
HOST: Final = Host(free_mb=9_000.0, missing=(), has_key=True)
KEY: Final = "secret_1"


def finished(where: Path) -> Path:
    (where / "env" / "bin").mkdir(parents=True)
    (where / "env" / "bin" / "python").touch()
    (where / MARKER).write_text(setup_plan.written())
    home.write(where / "home", KEY, "0a1b2c3d")
    return where


def test_the_plan_says_what_is_downloaded_and_how_big_it_is() -> None:
    first, second, third, fourth = setup_plan.plan_setup(WHERE, HOST).steps
    assert first == f"make /home/me/remote/env with {sys.executable}"
    assert second == "download about 105 MB, install SkyPilot 0.14.1, about 380 MB on the disk"
    assert third.startswith("write the key of LAMBDA_API_KEY")
    assert "no other cloud's keys" in fourth


def test_a_finished_environment_is_kept() -> None:
    done = setup_plan.plan_setup(WHERE, dataclasses.replace(HOST, standing="finished", free_mb=1.0))
    assert done.is_finished
    assert done.steps[0] == "nothing to install: SkyPilot 0.14.1 is ready in /home/me/remote/env"


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        (("rsync",), "rsync is not installed; install, for example with sudo apt-get install rsync"),
        (("ssh", "rsync"), "ssh and rsync are not installed; install, for example with sudo apt-get install "
                           "openssh-client rsync"),
    ],
)  # fmt: skip
def test_a_missing_program_is_told_with_its_package(missing: tuple[str, ...], says: str) -> None:
    with pytest.raises(RemoteError) as caught:
        setup_plan.plan_setup(WHERE, dataclasses.replace(HOST, missing=missing))
    assert str(caught.value) == says


def test_a_full_disk_is_told_with_both_numbers() -> None:
    with pytest.raises(RemoteError, match="880 MB are needed and 300 MB are free"):
        setup_plan.plan_setup(WHERE, dataclasses.replace(HOST, free_mb=300.0))
    assert not setup_plan.plan_setup(WHERE, dataclasses.replace(HOST, free_mb=300.0, standing="unfinished")).is_new


def test_a_folder_of_others_is_told() -> None:
    with pytest.raises(RemoteError, match="/home/me/remote: is in the way and not ours"):
        setup_plan.plan_setup(WHERE, dataclasses.replace(HOST, standing="foreign"))


def test_a_missing_key_is_told_before_anything_is_downloaded() -> None:
    with pytest.raises(UsageError, match="LAMBDA_API_KEY is not set"):
        setup_plan.plan_setup(WHERE, dataclasses.replace(HOST, has_key=False))


def test_a_python_that_is_too_new_is_replaced() -> None:
    assert setup_plan.python_for((3, 13)) == sys.executable
    assert setup_plan.python_for((3, 14)) == "3.12"
    plan = SetupPlan(WHERE, "3.12", is_finished=False, is_new=True)
    assert plan.steps[0].endswith("with a downloaded Python 3.12")
    assert "--managed-python" in setup.venv_line("uv", plan)
    assert "--managed-python" not in setup.venv_line("uv", dataclasses.replace(plan, python="/usr/bin/python3"))


def test_skypilot_is_installed_in_one_version() -> None:
    line = setup.install_line("uv", SetupPlan(WHERE, "3.12", is_finished=False, is_new=True))
    assert line[:5] == ["uv", "pip", "install", "--python", "/home/me/remote/env/bin/python"]
    assert "skypilot[lambda]==0.14.1" in line


def test_what_stands_there_is_told_apart(tmp_path: Path) -> None:
    where = tmp_path / "remote"
    assert setup_plan.look(where, {}).standing == "nothing"
    where.mkdir()
    assert setup_plan.look(where, {}).standing == "nothing"
    (where / "mine").touch()
    assert setup_plan.look(where, {}).standing == "foreign"
    (where / BUILDING).touch()
    assert setup_plan.look(where, {}).standing == "unfinished"
    assert setup_plan.look(finished(where), {}).standing == "finished"
    (where / MARKER).write_text("of another version")
    assert setup_plan.look(where, {}).standing == "unfinished"


def test_programs_and_the_key_are_looked_for(tmp_path: Path) -> None:
    (tmp_path / "ssh").touch(mode=0o755)
    found = setup_plan.look(tmp_path / "remote", {"PATH": str(tmp_path), "LAMBDA_API_KEY": "k"})
    assert (found.missing, found.has_key) == (("rsync",), True)
    assert not setup_plan.look(tmp_path / "remote", {}).has_key
    assert setup_plan.look(finished(tmp_path / "remote"), {}).has_key


def test_only_what_was_set_up_is_found(tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match="SkyPilot is not set up; run kanjiprep setup-remote"):
        setup.find(tmp_path)
    engine = setup.find(finished(tmp_path))
    assert (engine.python, engine.home, engine.cache) == (
        tmp_path / "env" / "bin" / "python", tmp_path / "home", tmp_path / "cache"
    )  # fmt: skip
    (tmp_path / "home" / home.KEY_FILE).unlink()
    with pytest.raises(RemoteError, match="SkyPilot is not set up"):
        setup.find(tmp_path)


def test_a_folder_that_cannot_be_looked_at_is_told(tmp_path: Path) -> None:
    where = tmp_path / ("x" * 300)
    for look in (lambda: setup.find(where), lambda: setup.plan(where, {})):
        with pytest.raises(RemoteError, match="cannot be looked at: file name too long"):
            look()


def test_a_place_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RemoteError, match="cannot be set up: "):
        setup.setup(tmp_path / "file" / "remote", lambda *_: None, {"LAMBDA_API_KEY": KEY})


def test_two_setups_do_not_meet(tmp_path: Path) -> None:
    with (
        own_environment.alone(tmp_path / "remote", setup._FAILURE),
        pytest.raises(RemoteError, match="another setup is at work here"),
    ):
        setup.setup(tmp_path / "remote", lambda *_: None, {"LAMBDA_API_KEY": KEY})


def test_a_missing_uv_is_told_and_nothing_stays(tmp_path: Path) -> None:
    def nowhere() -> str:
        raise FileNotFoundError("uv")

    for name in ("ssh", "rsync"):
        (tmp_path / name).touch(mode=0o755)
    with pytest.raises(RemoteError, match="uv was not found"):
        setup.setup(tmp_path / "r", lambda *_: None, {"LAMBDA_API_KEY": KEY, "PATH": str(tmp_path)}, nowhere)
    assert not (tmp_path / "r").exists()
