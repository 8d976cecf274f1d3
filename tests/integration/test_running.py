"""Runs from launch to end through the command line, with a small program in the trainer's place."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest

from kanjiprep import cli
from kanjiprep.dataset import build as building
from kanjiprep.dataset.build import BuildRequest, Place
from kanjiprep.dataset.raster import Style
from kanjiprep.errors import TrainerError, UsageError
from kanjiprep.progress import silent
from kanjiprep.training import gpus, launch, pictures, presets
from kanjiprep.training.configs import Places
from kanjiprep.training.launch import LaunchRequest
from kanjiprep.training.machines import Market
from kanjiprep.training.running import attempts, ending, files, holding, starting, supervisor, watch
from kanjiprep.training.running.events import Attempt, Checkpoint, Event, Exit, Step, entry
from kanjiprep.training.running.files import Pulse
from kanjiprep.training.running.looking import Window
from kanjiprep.training.running.supervisor import Supervisor
from kanjiprep.training.running.view import View
from kanjiprep.training.trainer import Trainer
from tests import fake_trainer, sources
from tests.conftest import Run
from tests.fake_trainer import Faults

ROOT = Path(__file__).parents[2]
POLL_S = 0.02
PATIENCE_S = 60.0
ANSWER = {"version": "4.10.1", "problems": [], "arrived": {}, "types": {}}
PYTHON = """#!/bin/sh
case "$1" in
  -c) echo '{{"version": "4.10.1", "package": "{package}"}}' ;;
  *check.py) cat > /dev/null; echo '{answer}' > "$2" ;;
  *tiny_model.py) echo '{{}}' > "$2/model_index.json" ;;
  *) exec {python} -E -s -S "$@" ;;
esac
"""
QUICK = f"""
import sys
from pathlib import Path
from kanjiprep.training.running import supervisor, watch
supervisor.Supervisor.__init__.__defaults__ = ({POLL_S},)
watch._PATIENCE_S = 1.0
sys.exit(supervisor.main(Path(sys.argv[1])))
"""
SECRETS = {"HF_TOKEN": "hf_MARKERMARKERMARKER", "LAMBDA_API_KEY": "secret_MARKER_of_lambda"}


class Lab:
    """A working folder with a dataset, a trainer's environment and runs."""

    def __init__(self, folder: Path, dataset: Path) -> None:
        self.folder, self.dataset = folder, dataset
        self.plan = folder / "plan.json"
        package = folder / "env" / "simpletuner"
        package.mkdir(parents=True)
        (package / "train.py").symlink_to(Path(fake_trainer.__file__))
        self.python = folder / "env" / "bin" / "python"
        self.python.parent.mkdir()
        self.python.write_text(PYTHON.format(package=package, answer=json.dumps(ANSWER), python=sys.executable))
        self.python.chmod(0o755)
        self._package = package
        self.supervisors: list[subprocess.Popen[bytes]] = []

    def go(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make this folder the working one, and a supervisor as quick as the small trainer."""
        monkeypatch.chdir(self.folder)
        monkeypatch.setenv(fake_trainer.VARIABLE, str(self.plan))
        monkeypatch.setenv("KANJIPREP_SIMPLETUNER", str(self.folder / "env"))
        monkeypatch.setenv("XDG_CACHE_HOME", str(self.folder / "cache"))
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        monkeypatch.setattr(starting, "_spawn", self._spawn_quick)
        self.faults(Faults())

    def _spawn_quick(self, run: Path) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", QUICK, str(run)]
        with (run / files.SUPERVISOR_LOG).open("ab") as log:
            process = subprocess.Popen(
                words, cwd=run, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.supervisors.append(process)
        return process

    def faults(self, *planned: Faults) -> None:
        """What the next starts of the trainer are to suffer from."""
        before = len(self.starts())
        self.plan.write_text(json.dumps([asdict(planned[0])] * before + [asdict(one) for one in planned]), "utf-8")

    def starts(self) -> list[dict[str, Any]]:
        """Every start of the trainer so far."""
        path = self.plan.with_suffix(fake_trainer.STARTS)
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    def words(self, *more: object, steps: int = 8, every: int = 4, name: str = "try") -> list[str]:
        """The command line of a launch."""
        settings = ("training.batch=3", f"training.steps={steps}", f"checkpoints.every_steps={every}")
        options = [word for setting in settings for word in ("--set", setting)]
        line = ["launch-simpletuner", "tiny-cpu", "--dataset", self.dataset, "--name", name, *options, *more]
        return [str(word) for word in line]

    def prepare(self, *settings: str, steps: int = 8, every: int = 4, name: str = "try") -> Path:
        """A run folder that is ready to be supervised."""
        lengths = (f"training.steps={steps}", f"checkpoints.every_steps={every}")
        preset = presets.load("tiny-cpu", ("training.batch=3", *lengths, *settings))
        places = Places(self.folder / "runs" / name, self.folder / "models")
        trainer = Trainer(self.python, "4.10.1", self._package, "option")
        market, whole = Market(gpus.load()), pictures.read(self.dataset, silent)
        return launch.prepare(LaunchRequest(preset, whole, places, trainer, market, starting=True), silent).run

    def detach(self, *more: object, **lengths: Any) -> Path:
        """A run that has been launched, in this process; its supervisor is another one."""
        words = self.words("--detach", *more, **lengths)
        assert cli.run(words) == 0
        return self.folder / "runs" / str(lengths.get("name", "try"))

    def command(self, *words: object, **options: Any) -> subprocess.Popen[str]:
        """The real command line in a process of its own."""
        line = [sys.executable, "-m", "kanjiprep", *map(str, words)]
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(line, text=True, cwd=self.folder, **{**pipes, **options})

    def processes(self) -> list[int]:
        """All that is left of what was started here."""
        return processes_with(fake_trainer.VARIABLE, str(self.plan))

    def end(self) -> None:
        """End all that is left of what was started here."""
        for pid in self.processes():
            send(pid, signal.SIGKILL)
        for process in self.supervisors:
            process.wait()


def processes_with(variable: str, value: str) -> list[int]:
    """Living processes, ours left out, in whose environment ``variable`` has this value."""
    found = []
    for process in psutil.process_iter():
        try:
            is_it = process.pid != os.getpid() and process.environ().get(variable) == value
            if is_it and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def until(condition: Callable[[], Any], what: str = "it") -> Any:
    """The first true answer; a failure if there is none in time."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(POLL_S)
    pytest.fail(f"waited in vain for {what}")


def supervise(run: Path) -> Exit:
    """The end of a run that this very process supervises, going on as its order says."""
    held = supervisor.hold(run)
    try:
        return Supervisor(run, POLL_S).run(attempts.next_start(run))
    finally:
        held.release()


def events_of(run: Path) -> list[Event]:
    """The record; every line of it must be whole and understood."""
    found = [entry(line) for line in (run / files.EVENTS).read_bytes().splitlines()]
    assert None not in found
    return [one.event for one in found if one is not None]


def steps_of(run: Path) -> list[int]:
    return [one.step for one in events_of(run) if isinstance(one, Step)]


def attempts_of(run: Path) -> list[Attempt]:
    return [one for one in events_of(run) if isinstance(one, Attempt)]


def exit_of(run: Path) -> Exit:
    *_, last = (one for one in events_of(run) if isinstance(one, Exit))
    return last


def pulse_of(run: Path) -> Pulse:
    pulse = files.read_pulse(run)
    assert pulse is not None
    return pulse


def look(run: Path) -> View:
    return Window(run, lambda: ()).look()


def is_at(run: Path, step: int) -> bool:
    return look(run).progress.step >= step


def trainer_of(run: Path) -> int:
    trainer = pulse_of(run).trainer
    assert trainer is not None
    return trainer.pid


def checkpoints_of(run: Path) -> list[int]:
    """The whole ones in the trainer's first output folder."""
    return sorted(int(path.parent.name.split("-")[1]) for path in (run / "output").glob("checkpoint-*/.guard"))


@pytest.fixture(scope="session")
def kanji(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of three pictures."""
    folder = tmp_path_factory.mktemp("kanji")
    dictionary = sources.write_kanjidic(folder / "kanjidic2.xml.gz")
    strokes = sources.write_kanjivg(folder / "strokes")
    wanted = BuildRequest(folder / "dataset", kanjidic=str(dictionary), kanjivg=str(strokes), style=Style(64))
    building.build(wanted, Place({}, folder / "cache"), silent)
    return folder / "dataset"


@pytest.fixture
def lab(tmp_path: Path, kanji: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    made = Lab(tmp_path, kanji)
    made.go(monkeypatch)
    yield made
    made.end()
