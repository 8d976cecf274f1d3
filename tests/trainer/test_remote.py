"""Runs of the real SimpleTuner on a box over a real OpenSSH server: launched, left, found again, stopped, pulled."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from kanjiprep.training import trainer as trainers
from kanjiprep.training.remote.box.scripts import ROOT
from kanjiprep.training.trainer import Trainer
from tests.integration.test_box import script, uv_with_cache
from tests.loopback import Loopback, wait_for
from tests.trainer.place import PATIENCE_S, TOKEN, Place, has_stepped, launch

pytestmark = pytest.mark.trainer


@dataclass(frozen=True)
class Pair:
    """A box, and a laptop that reaches it."""

    box: Loopback
    desk: Place

    @property
    def root(self) -> Path:
        return self.box.home / ROOT

    def on(self, name: str) -> tuple[str, ...]:
        return ("--name", name, "--on", str(self.box.address), "--ssh-key", str(self.box.key))

    def there(self, name: str) -> Path:
        return self.root / "work/runs" / name

    def here(self, name: str) -> Path:
        return self.desk.folder / "runs" / name


@pytest.fixture(scope="module")
def pair(trainer: Trainer, place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    tools = folder / "tools"
    tools.mkdir()
    script(tools / "uv", uv_with_cache())
    managed = trainers.managed_folder(os.environ)
    with Loopback(folder / "far", path=f"{tools}:/usr/bin:/bin") as box:
        if trainer.python.is_relative_to(managed):
            (box.home / ROOT).mkdir(0o700)
            (box.home / ROOT / "trainer").symlink_to(managed)
        else:
            enter = box.folder / "enter"
            script(enter, enter.read_text().replace("env -i ", f"env -i KANJIPREP_SIMPLETUNER='{trainer.python}' "))
        yield Pair(box, replace(place, environ={**place.environ, "XDG_DATA_HOME": str(folder / "data")}))


class Watcher(threading.Thread):
    """Reads the process list all the time, as another user of the box could, for a token in it."""

    def __init__(self) -> None:
        super().__init__()
        self.looks, self.told = 0, set[str]()
        self.is_over = threading.Event()

    def run(self) -> None:
        while not self.is_over.wait(0.01):
            self.looks += 1
            lines = (" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"]))
            self.told.update(line for line in lines if TOKEN in line)

    def __enter__(self) -> Watcher:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self.join()


def holders(*folders: Path) -> list[str]:
    """Files that hold the token; it is looked for without being shown."""
    words = ["grep", "-rlF", "-f", "-", *map(str, folders)]
    return subprocess.run(words, input=TOKEN, capture_output=True, text=True, check=False).stdout.splitlines()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_copy(pair: Pair, name: str) -> dict[str, Any]:
    """Every file of the far run is here with the same bytes; what is said of the checkpoints is so."""
    there, here = pair.there(name), pair.here(name)
    left = {".", "cache", "supervisor.lock", "pictures"}
    parts = [path.relative_to(there) for path in there.rglob("*") if path.is_file() and not path.is_symlink()]
    wanted = [part for part in parts if not left & set(part.parts) and not part.name.startswith(".")]
    assert [part for part in wanted if digest(there / part) != digest(here / part)] == []
    pulled: dict[str, Any] = json.loads((here / "pulled.json").read_text("utf-8"))
    for checkpoint, sums in pulled.items():
        assert {one: digest(here / checkpoint / one) for one in sums} == sums
    complete = {path.parent.relative_to(there).as_posix() for path in there.rglob("checkpoint-*/.guard")}
    assert complete <= set(pulled)
    assert not list(here.rglob(".checkpoint-*"))
    return pulled


def test_a_laptop_sleeps_comes_back_watches_stops_and_has_every_byte(pair: Pair, tmp_path: Path) -> None:
    desk = pair.desk
    steps = launch(4000, "--set", "checkpoints.every_steps=20", "--set", "validation.every_steps=2000")
    with Watcher() as watcher:
        began = json.loads(desk.run(*steps, *pair.on("far"), "--detach", "--json")[0])
        assert (began["run"], began["attempt"], began["on"]) == (str(pair.here("far")), 1, str(pair.box.address))
        (env,) = pair.root.glob("env-*.sh")
        assert stat.S_IMODE(env.stat().st_mode) == 0o600
        wait_for(lambda: has_stepped(desk.see("far")), PATIENCE_S)
        watching = desk.start("monitor", "far")
        time.sleep(2)  # it looks every ten seconds, and in between its connection is gone
        pair.box.kill_sessions()
        time.sleep(1)
        elsewhere = Place(tmp_path, desk.environ)
        words = ("monitor", str(pair.here("far")), "--once", "--json")
        first = json.loads(elsewhere.run(*words)[0])
        assert (first["status"], first["run"], first["exit_code"]) == ("running", str(pair.here("far")), None)
        wait_for(lambda: json.loads(elsewhere.run(*words)[0])["progress"]["step"] > first["progress"]["step"], 60)
        assert holders(pair.root / "bin", pair.root / "work", pair.root / "steps", desk.folder) == []
        assert holders(pair.root) == [str(env)]
        assert watching.poll() is None
        said = json.loads(desk.run("stop", "far", "--json")[0])
        out, err = watching.communicate(timeout=PATIENCE_S)
    assert watching.returncode == 130, err
    assert "status     stopped" in out
    assert (said["exit"]["status"], said["was_running"]) == ("stopped", True)
    assert (watcher.told, watcher.looks > 100) == (set(), True)
    pulled = check_copy(pair, "far")
    assert said["checkpoints"] == len(pulled)
    assert not env.exists()
    assert holders(pair.box.folder, desk.folder, tmp_path) == []
    seen = json.loads(desk.run("monitor", "far", "--once", "--json")[0])
    assert (seen["status"], seen["exit_code"]) == ("stopped", 130)
    assert seen["made"]["checkpoint"]["path"] in pulled
    assert said["exit"]["reason"].endswith(f"the last checkpoint is of step {seen['made']['checkpoint']['step']}")


def test_a_run_over_its_budget_is_stopped_there_its_checkpoint_is_here_and_it_goes_on(pair: Pair) -> None:
    desk = pair.desk
    steps = launch(4000, "--set", "checkpoints.every_steps=2000", "--set", "validation.every_steps=2000")
    out, _ = desk.run(*steps, *pair.on("dear"), "--max-hours", "0.014", code=7)
    assert "limit" in out
    pulled = check_copy(pair, "dear")
    assert pulled
    assert not list(pair.root.glob("env-*.sh"))

    desk.run("launch-simpletuner", "runs/dear", "--resume", "--max-hours", "1", "--detach")
    reached = max(int(name.rpartition("-")[2]) for name in pulled)
    wait_for(lambda: desk.see("dear")["progress"]["step"] > reached, PATIENCE_S)
    desk.run("stop", "dear", "--now")
    seen = desk.see("dear")
    assert (seen["status"], seen["attempt"]) == ("stopped", 2)
    assert check_copy(pair, "dear") == pulled
    assert holders(pair.box.folder, desk.folder) == []
