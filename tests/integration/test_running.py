"""Runs from launch to end through the command line, with a small program in the trainer's place."""

from __future__ import annotations

import io
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
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, replace
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
from kanjiprep.training.running import (
    attempts,
    files,
    holding,
    moments,
    monitor,
    processes,
    starting,
    supervisor,
    watch,
)
from kanjiprep.training.running.events import Attempt, Checkpoint, Event, Exit, Step, entry
from kanjiprep.training.running.files import Pulse
from kanjiprep.training.running.looking import Window
from kanjiprep.training.running.record import Record
from kanjiprep.training.running.supervisor import Supervisor
from kanjiprep.training.running.view import View
from kanjiprep.training.trainer import Trainer
from tests import fake_trainer, sources
from tests.conftest import Run
from tests.fake_trainer import Faults

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
POLL_S = 0.04
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
_spawn = starting._spawn
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
        self.children: list[subprocess.Popen[Any]] = []

    def go(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make this folder the working one, and a supervisor as quick as the small trainer."""
        monkeypatch.chdir(self.folder)
        monkeypatch.setenv(fake_trainer.VARIABLE, str(self.plan))
        monkeypatch.setenv("KANJIPREP_SIMPLETUNER", str(self.folder / "env"))
        monkeypatch.setenv("XDG_CACHE_HOME", str(self.folder / "cache"))
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        monkeypatch.setattr(starting, "_spawn", self._spawn_quick)
        monkeypatch.setattr(starting, "_POLL_S", POLL_S)
        monkeypatch.setattr(Supervisor.__init__, "__defaults__", (POLL_S,))
        monkeypatch.setattr(monitor.watch, "__defaults__", (POLL_S,))
        self.faults(Faults())

    def spawn(self, run: Path) -> subprocess.Popen[bytes]:
        """A supervisor as users have it."""
        self.children.append(_spawn(run))
        return self.children[-1]

    def _spawn_quick(self, run: Path) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", QUICK, str(run)]
        with (run / files.SUPERVISOR_LOG).open("ab") as log:
            process = subprocess.Popen(
                words, cwd=run, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.children.append(process)
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
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            code = cli.run(self.words("--detach", *more, **lengths))
        assert code == 0, said.getvalue()
        return self.folder / "runs" / str(lengths.get("name", "try"))

    def command(self, *words: object, **options: Any) -> subprocess.Popen[str]:
        """The real command line in a process of its own."""
        line = [sys.executable, "-m", "kanjiprep", *map(str, words)]
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(line, text=True, cwd=self.folder, **{**pipes, **options})

    def processes(self) -> list[int]:
        """All that is left of what was started here."""
        return processes_with(fake_trainer.VARIABLE, str(self.plan))

    def has_nothing_left(self, run: Path) -> bool:
        """Whether all of the trainer is gone by now, and everything else soon is."""
        is_trainer_gone = processes.members(processes.run_id(run)) == []
        until(lambda: self.processes() == [], "the end of every process")
        return is_trainer_gone

    def end(self) -> None:
        """End all that is left of what was started here."""
        for pid in self.processes():
            send(pid, signal.SIGKILL)
        for process in self.children:
            process.wait()
        until(lambda: self.processes() == [], "the end of every process")


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
    """Whether the record has come to ``step``."""
    lines = (run / files.EVENTS).read_bytes().splitlines() if (run / files.EVENTS).exists() else []
    return any(json.loads(one)["step"] >= step for one in lines[::-1] if b'"kind": "step"' in one[:16])


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
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    made = Lab(tmp_path, kanji)
    made.go(monkeypatch)
    yield made
    made.end()
    for number, handler in before.items():
        signal.signal(number, handler)


# Launching and watching --------------------------------------------------------------------------------------------

LONG: dict[str, Any] = {"steps": 50_000, "every": 1_000}
"""More than any test waits for, on a busy machine too: more than eight minutes."""


def test_a_run_in_the_foreground_says_plain_lines_completes_and_keeps_secrets(lab: Lab) -> None:
    lab.faults(Faults(step_s=0.1, cache_s=0.5))
    with lab.command(*lab.words(steps=12), env={**os.environ, **SECRETS}) as launched:
        arguments = until(lambda: lab.starts() and command_lines(lab))
        out, err = launched.communicate(timeout=PATIENCE_S)
    assert launched.returncode == 0, err
    run = lab.folder / "runs" / "try"
    for line in (
        f"started: attempt 1 of {run}; it lives on without this terminal",
        f"attempt 1 (start) of {run}",
        "checkpoint: output/checkpoint-12",
        "picture: output/validation_images/step_12_pikachu_0_256x256.png",
    ):
        assert line in err.splitlines()
    assert re.search(r"^stage: [a-z ]+$", err, re.MULTILINE)
    assert re.search(r"^12 of 12 steps \(100\.0%\), .*epoch 3 of 12 \| loss 4\.2\d? \| gradient 0\.006", err, re.M)
    assert "\x1b" not in err
    assert "status     completed" in out.splitlines()
    assert lab.has_nothing_left(run)
    (start,) = lab.starts()
    assert start["env"]["HF_TOKEN"] == SECRETS["HF_TOKEN"], "the trainer needs it"
    assert "LAMBDA_API_KEY" not in start["env"]
    everything = b"".join(path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file())
    for secret in SECRETS.values():
        assert secret.encode() not in everything
        assert secret not in out + err + arguments


def command_lines(lab: Lab) -> str:
    """All arguments of all processes that were started here."""
    lines = []
    for pid in lab.processes():
        try:
            lines.append(Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace"))
        except OSError:
            continue
    return "\n".join(lines) if len(lines) >= 3 else ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_watch_that_is_told_to_end_says_how_to_attach_and_leaves_the_run(lab: Lab, number: signal.Signals) -> None:
    lab.faults(Faults(step_s=0.1))
    with lab.command(*lab.words(steps=400, every=200)) as launched:
        until(lambda: [*(lab.folder / "runs" / "try").rglob(files.METRICS)], "the first step")
        launched.send_signal(number)
        out, err = launched.communicate(timeout=PATIENCE_S)
    assert (launched.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "Watch it with kanjiprep monitor runs/try, end it with kanjiprep stop runs/try"


def test_a_detached_run_is_watched_from_another_process_to_its_end(lab: Lab) -> None:
    lab.faults(Faults(step_s=0.1))
    with lab.command(*lab.words("--detach", steps=40, every=20)) as launched:
        out, err = launched.communicate(timeout=PATIENCE_S)
    run = lab.folder / "runs" / "try"
    assert (launched.returncode, out) == (0, "")
    assert err.splitlines()[-1] == "Watch it with kanjiprep monitor runs/try, end it with kanjiprep stop runs/try"
    assert look(run).exit_code is None, "it returned before the end"
    until(lambda: is_at(run, 1))
    with lab.command("monitor", "try", "--json") as once, lab.command("monitor", "runs/try") as watching:
        document = json.loads(once.communicate(timeout=PATIENCE_S)[0])
        out, err = watching.communicate(timeout=PATIENCE_S)
    assert (document["status"], document["exit_code"], once.returncode) == ("running", None, 0)
    assert document["progress"]["stage"] in ("training", "saving", "validating")
    assert 0 <= document["beat_age_s"] < 30
    assert watching.returncode == 0
    assert "status     completed" in out
    assert "40 of 40 steps (100.0%)" in err


def test_a_finished_run_can_be_looked_at_in_every_way(lab: Lab, run: Run) -> None:
    supervise(lab.prepare())
    before = {path: path.stat().st_mtime_ns for path in lab.folder.rglob("*")}
    code, out, err = run("monitor", "try", "--once")
    assert code == 0
    lines = out.splitlines()
    assert lines[1:3] == ["status     completed", lines[2]]
    assert lines[2].startswith("progress   8 of 8 steps (100.0%), 0.0")
    assert any(line.startswith("checkpoint output/checkpoint-8, step 8, 0.0201 MB, 2 made") for line in lines)
    assert err == f"Next: judge its checkpoints with kanjiprep score {lab.folder}/runs/try\n"
    assert run("monitor", lab.folder / "runs" / "try")[0] == 0
    code, out, err = run("monitor", "try", "--json")
    document = json.loads(out)
    assert (code, err, document["status"], document["exit_code"], document["log"]) == (0, "", "completed", 0, [])
    assert {path: path.stat().st_mtime_ns for path in lab.folder.rglob("*")} == before, "it only reads"


def test_a_run_that_fails_says_why_and_shows_its_last_lines(lab: Lab, run: Run) -> None:
    lab.faults(Faults(raise_at=3))
    code, out, _ = run(*lab.words())
    assert code == 6
    assert "status     failed: Optimizer nope_optimizer not found." in out.splitlines()
    assert "log        ValueError: Optimizer nope_optimizer not found." in out.splitlines()
    assert run("monitor", "try")[0] == 6
    assert run("monitor", "try", "--once")[0] == 0
    exit_ = exit_of(lab.folder / "runs" / "try")
    assert exit_ == Exit("failed", 1, "Optimizer nope_optimizer not found.", 2)


def test_leaving_with_code_0_before_the_last_step_is_no_success(lab: Lab, run: Run) -> None:
    lab.faults(Faults(exit_at=(5, 0)))
    assert run(*lab.words())[0] == 6
    exit_ = exit_of(lab.folder / "runs" / "try")
    assert exit_ == Exit("failed", 0, "the trainer left with code 0 before its last step", 5)


def test_a_copy_that_can_only_be_read_is_shown(lab: Lab) -> None:
    finished = lab.prepare(name="finished")
    supervise(finished)
    going = lab.detach(**LONG)
    until(lambda: is_at(going, 3))
    asides = shutil.ignore_patterns(".*.json.*", "*.tmp")  # they come and go while it is copied
    copies = [
        shutil.copytree(one, lab.folder / f"copy-{one.name}", symlinks=True, ignore=asides)
        for one in (finished, going)
    ]
    shown = [monitor_read_only(lab, copy) for copy in copies]
    assert [(one["status"], one["exit_code"]) for one in shown] == [("completed", 0), ("copy", None)]
    assert shown[1]["progress"]["step"] >= 3
    assert look(going).status == "running"


def monitor_read_only(lab: Lab, folder: Path) -> Any:
    """What monitor tells of ``folder`` where nobody may write to it."""
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && ! touch "$0/x" 2>&- && exec "$@"'
    words = [sys.executable, "-m", "kanjiprep", "monitor", str(folder), "--json"]
    line = ["unshare", "-rm", "/bin/sh", "-c", script, str(folder), *words]
    done = subprocess.run(line, cwd=lab.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_one_json_document_is_all_that_is_said(lab: Lab, run: Run) -> None:
    code, out, err = run(*lab.words("--json"))
    document = json.loads(out)
    assert (code, err, document["status"]) == (0, "", "completed")
    code, out, err = run(*lab.words("--json", "--detach", name="other"))
    assert json.loads(out).keys() == {"run", "attempt", "supervisor"}
    assert (code, err) == (0, "")
    until(lambda: lab.processes() == [])


def test_the_folder_holds_what_a_run_folder_should(lab: Lab) -> None:
    run = lab.prepare("guard.stall_minutes=7")
    assert supervise(run).status == "completed"
    order = json.loads((run / "launch.json").read_text("utf-8"))
    assert order["command"] == [str(lab.python), str(lab.folder / "env" / "simpletuner" / "train.py")]
    assert (order["total_steps"], order["guard"]["stall_minutes"], order["prompts"]) == (8, 7, 2)
    about = json.loads((run / "environment.json").read_text("utf-8"))
    assert (about["simpletuner"], about["pictures"], about["dataset"]) == ("4.10.1", 3, str(lab.dataset))
    assert about["digest"] == pictures.read(lab.dataset, silent).digest
    assert re.fullmatch("[0-9a-f]{40}|", about["commit"])
    pulse = json.loads((run / "state.json").read_text("utf-8"))
    assert (pulse["status"], pulse["attempt"], pulse["supervisor"]["pid"]) == ("over", 1, os.getpid())
    kinds = [json.loads(line)["kind"] for line in (run / "events.jsonl").read_text("utf-8").splitlines()]
    assert (kinds[0], kinds[-1]) == ("attempt", "exit")
    assert {"stage", "step", "checkpoint", "validation"} < set(kinds)
    assert steps_of(run) == list(range(1, 9))
    assert [one.step for one in events_of(run) if isinstance(one, Checkpoint)] == [4, 8]
    assert not list(run.glob(".*.json.*")), "nothing is left of what was written aside"


def test_a_line_written_in_two_halves_is_read_once_and_whole(lab: Lab) -> None:
    lab.faults(Faults(torn_s=0.06))
    run = lab.prepare()
    assert supervise(run).status == "completed"
    assert steps_of(run) == list(range(1, 9))
    assert look(run).unreadable == 0


# On a terminal -----------------------------------------------------------------------------------------------------


class Terminal:
    """The command line on a terminal of its own."""

    def __init__(self, lab: Lab, *words: object) -> None:
        self._master, slave = pty.openpty()
        name = os.ttyname(slave)
        line = shlex.join([sys.executable, "-m", "kanjiprep", *map(str, words)])
        shell = ["/bin/sh", "-c", f"stty rows 40 cols 120 < {name}; exec {line} < {name} > {name} 2>&1"]
        self.process = subprocess.Popen(shell, cwd=lab.folder, start_new_session=True)
        lab.children.append(self.process)
        os.close(slave)
        self.said = ""

    def wait_for(self, text: str) -> None:
        """Read on until ``text`` was said."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.said:
            assert time.monotonic() < deadline, f"{text!r} was not said: {self.said!r}"
            self._read()

    def _read(self) -> bool:
        """Whether there may be more."""
        if select.select([self._master], [], [], 0.1)[0]:
            try:
                self.said += os.read(self._master, 65_536).decode("utf-8", "replace")
            except OSError:  # the other side is closed
                return False
        return True

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def close(self) -> int:
        """The exit code, once the process is gone."""
        while self.process.poll() is None and self._read():
            pass
        code = self.process.wait(PATIENCE_S)
        os.close(self._master)
        return code

    def hang_up(self) -> None:
        """Close the terminal under the process."""
        os.close(self._master)
        self.process.wait(PATIENCE_S)


def test_a_terminal_shows_a_view_that_renews_itself_and_ctrl_c_can_leave_the_run_alone(lab: Lab) -> None:
    terminal = Terminal(lab, *lab.words(**LONG))
    terminal.wait_for("gradient")
    assert re.search(r"progress   \x1b\[0m[\d,]+ of 50,000 steps", terminal.said)
    assert "\x1b[2K" in terminal.said, "lines are drawn over"
    terminal.type("\x03")
    terminal.wait_for("Leave it alone, or stop it? (detach, stop) [detach]:")
    terminal.type("\n")
    terminal.wait_for("Watch it with kanjiprep monitor runs/try")
    assert terminal.close() == 130
    run = lab.folder / "runs" / "try"
    step = look(run).progress.step
    until(lambda: is_at(run, step + 1))
    assert look(run).status == "running"


def test_ctrl_c_can_stop_the_run_and_a_closed_terminal_cannot(lab: Lab) -> None:
    run = lab.detach(**LONG)
    first = Terminal(lab, "launch-simpletuner", run, "--resume")
    assert first.close() == 6, "somebody watches it already"
    supervised = lab.children[0]
    send(supervised.pid, signal.SIGKILL)
    supervised.wait()
    second = Terminal(lab, "launch-simpletuner", run, "--resume")
    second.wait_for("gradient")
    second.hang_up()
    assert look(run).status == "running"
    third = Terminal(lab, "monitor", run)
    third.wait_for("gradient")
    third.type("\x03")
    assert third.close() == 130
    send(pulse_of(run).supervisor.pid, signal.SIGKILL)
    until(lambda: not holding.is_held(run))
    fourth = Terminal(lab, "launch-simpletuner", run, "--resume")
    fourth.wait_for("gradient")
    fourth.type("\x03")
    fourth.wait_for("Leave it alone, or stop it?")
    fourth.type("stop\n")
    fourth.wait_for("--resume")
    assert fourth.close() == 130
    assert exit_of(run).status == "stopped"
    assert len(checkpoints_of(run)) == 1
    assert lab.has_nothing_left(run)
    assert len(lab.starts()) == 1


# Stopping ----------------------------------------------------------------------------------------------------------


def test_stop_waits_for_the_last_file_of_a_checkpoint_and_leaves_nothing(lab: Lab, run: Run) -> None:
    lab.faults(Faults(save_s=0.5, child=True))
    folder = lab.detach(**LONG)
    until(lambda: is_at(folder, 3))
    assert len(lab.processes()) == 3, "the supervisor, the trainer, and what it started in a session of its own"
    code, out, err = run("stop", "try")
    assert (code, out) == (0, "")
    (step,) = checkpoints_of(folder)
    said = err.splitlines()
    assert re.fullmatch(
        rf"stopped at step [\d,]+: stopped by request; the last checkpoint is of step {step:,}", said[-2]
    )
    assert said[-1] == "Next: kanjiprep launch-simpletuner runs/try --resume"
    assert lab.has_nothing_left(folder)
    assert exit_of(folder).code == -signal.SIGTERM
    assert run("monitor", "try")[0] == 130


def test_stop_now_asks_for_no_checkpoint(lab: Lab, run: Run) -> None:
    folder = lab.detach(**LONG)
    until(lambda: is_at(folder, 3))
    code, out, _ = run("stop", "try", "--now", "--json")
    document = json.loads(out)
    assert (code, document["was_running"], document["exit"]["status"]) == (0, True, "stopped")
    assert document["exit"]["reason"] == "stopped by request; there is no checkpoint"
    assert list((folder / "output").glob("checkpoint-*")) == []
    assert lab.has_nothing_left(folder)


def test_before_the_first_step_there_is_no_checkpoint_to_wait_for(lab: Lab, run: Run) -> None:
    lab.faults(Faults(hang_at=0))
    folder = lab.detach()
    assert run("stop", "try")[0] == 0
    assert exit_of(folder).reason == "stopped by request; there is no checkpoint"
    assert lab.has_nothing_left(folder)


def test_stop_where_nothing_runs_says_so_and_changes_nothing(lab: Lab, run: Run) -> None:
    folder = lab.prepare()
    code, _, err = run("stop", "try")
    assert (code, err) == (0, f"nothing was running in {folder}\n")
    supervise(folder)
    before = (folder / "events.jsonl").read_bytes()
    assert json.loads(run("stop", "try", "--json")[1]) == {"run": str(folder), "was_running": False, "exit": None}
    assert (folder / "events.jsonl").read_bytes() == before
    assert not (folder / "stop.json").exists()
    assert run("stop", "no-such-run")[0] == 2


def test_stop_takes_the_place_of_a_supervisor_that_was_killed(lab: Lab, run: Run) -> None:
    lab.faults(Faults(child=True))
    folder = lab.detach(**LONG)
    until(lambda: is_at(folder, 3))
    orphan(lab, folder)
    code, _, err = run("stop", "try")
    assert code == 0
    assert "stopped by request; the last checkpoint is of step" in err
    assert len(checkpoints_of(folder)) == 1
    assert lab.has_nothing_left(folder)
    assert [one.why for one in attempts_of(folder)] == ["start", "adopt"]
    assert exit_of(folder).status == "stopped"


def orphan(lab: Lab, run: Path) -> None:
    """Kill the supervisor of ``run``."""
    send(pulse_of(run).supervisor.pid, signal.SIGKILL)
    until(lambda: not holding.is_held(run), "the supervisor's death")


def test_stop_ends_what_a_dead_trainer_has_left_running(lab: Lab, run: Run) -> None:
    lab.faults(Faults(child=True))
    folder = lab.detach(**LONG)
    until(lambda: is_at(folder, 3))
    orphan(lab, folder)
    send(trainer_of(folder), signal.SIGKILL)
    until(lambda: len(lab.processes()) == 1)
    code, _, err = run("stop", "try")
    assert code == 0, err
    assert lab.has_nothing_left(folder)


def test_a_trainer_that_nobody_put_on_record_is_ended(lab: Lab, run: Run) -> None:
    folder = lab.prepare()
    order, start = files.read_order(folder), attempts.afresh(folder)
    for end in (lambda: run("stop", "try"), lambda: supervise(folder)):
        _, process = attempts.begin(folder, replace(order, total_steps=5_000), start, 1)
        lab.children.append(process)
        end()
        assert process.wait() == -signal.SIGTERM
        assert lab.has_nothing_left(folder)
    assert exit_of(folder).status == "completed"
    assert [one.number for one in attempts_of(folder)] == [1]


def test_a_trainer_that_does_not_heed_sigterm_is_killed(lab: Lab, run: Run) -> None:
    lab.faults(Faults(ignore_sigterm=True))
    folder = lab.detach(**LONG)
    until(lambda: is_at(folder, 3))
    assert run("stop", "try")[0] == 0
    assert exit_of(folder).code == -signal.SIGKILL
    assert len(checkpoints_of(folder)) == 1
    assert lab.has_nothing_left(folder)


def test_a_supervisor_that_does_not_listen_is_told(lab: Lab, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_SILENCE_S", 0.3)
    folder = lab.detach(**LONG)
    pid = pulse_of(folder).supervisor.pid
    send(pid, signal.SIGSTOP)
    code, _, err = run("stop", "try")
    assert code == 6
    assert err.splitlines()[-1] == (
        f"error: {folder}: its supervisor does not listen; end it with kill -9 {pid}, then stop the run again"
    )
    orphan(lab, folder)
    assert run("stop", "try")[0] == 0
    assert lab.has_nothing_left(folder)


def test_what_could_not_be_ended_is_told_with_its_number(lab: Lab, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lab.detach(**LONG)
    until(lambda: is_at(folder, 3))
    pid = trainer_of(folder)
    orphan(lab, folder)
    monkeypatch.setattr(processes, "_signal", lambda *_: None)
    monkeypatch.setattr(watch, "_PATIENCE_S", 0.1)
    code, _, err = run("stop", "try")
    assert code == 6
    assert err.splitlines()[-1] == f"error: {folder}: processes {pid} could not be ended; try kill -9 {pid}"
    assert exit_of(folder).reason.endswith(f"; processes {pid} could not be ended")


def test_a_wish_that_nobody_heard_does_not_end_the_next_attempt(lab: Lab) -> None:
    run = lab.prepare()
    files.ask_to_stop(run, with_checkpoint=True)
    starting.start(run)
    until(lambda: lab.processes() == [])
    assert exit_of(run).status == "completed"


# Going on ----------------------------------------------------------------------------------------------------------


def stopped(lab: Lab, run: Run, step: int = 3, **lengths: Any) -> Path:
    """A run that was stopped with a checkpoint."""
    folder = lab.detach(**{**LONG, **lengths})
    until(lambda: is_at(folder, step))
    assert run("stop", "try")[0] == 0
    return folder


def test_a_stopped_run_goes_on_from_its_checkpoint_and_completes(lab: Lab, run: Run) -> None:
    lab.faults(Faults(step_s=0.05), Faults())
    folder = stopped(lab, run, steps=80)
    (step,) = checkpoints_of(folder)
    assert step < 80
    code, out, _ = run("launch-simpletuner", "runs/try", "--resume")
    assert code == 0, out
    first, second = attempts_of(folder)
    assert (second.number, second.why, second.from_step, second.base_step) == (2, "resume", step, 0)
    assert second.metrics_from > 0
    assert second.learning_rate == first.learning_rate
    assert sorted(set(steps_of(folder)) | {step}) == list(range(1, 81))
    assert len(lab.starts()) == 2
    assert "status     completed, attempt 2 (resume)" in out
    assert "80 of 80 steps" in out


def test_steps_after_the_last_checkpoint_are_done_again(lab: Lab, run: Run) -> None:
    lab.faults(Faults(exit_at=(7, 1)), Faults())
    folder = lab.folder / "runs" / "try"
    assert run(*lab.words())[0] == 6
    assert run("launch-simpletuner", "try", "--resume")[0] == 0
    assert steps_of(folder) == [1, 2, 3, 4, 5, 6, 7, 5, 6, 7, 8]
    assert look(folder).progress.step == 8


def test_a_run_without_a_checkpoint_begins_again(lab: Lab, run: Run) -> None:
    lab.faults(Faults(exit_at=(2, 1)), Faults())
    folder = lab.folder / "runs" / "try"
    assert run(*lab.words())[0] == 6
    assert run("launch-simpletuner", "try", "--resume")[0] == 0
    assert [(one.why, one.from_step) for one in attempts_of(folder)] == [("start", 0), ("resume", 0)]
    assert steps_of(folder) == [1, 2, *range(1, 9)]


def test_an_unfinished_checkpoint_is_set_aside(lab: Lab, run: Run) -> None:
    lab.faults(Faults(exit_at=(7, 1)), Faults())
    folder = lab.folder / "runs" / "try"
    assert run(*lab.words())[0] == 6
    torn = folder / "output" / "checkpoint-6"
    torn.mkdir()
    (torn / "optimizer.bin").write_bytes(b"half")
    assert run("launch-simpletuner", "try", "--resume")[0] == 0
    (aside,) = (folder / "output").glob("unfinished-checkpoint-6-*")
    assert (aside / "optimizer.bin").read_bytes() == b"half"
    assert attempts_of(folder)[1].from_step == 4
    assert [one.step for one in events_of(folder) if isinstance(one, Checkpoint)] == [4, 8]


def test_what_cannot_be_gone_on_with_is_refused_in_one_line(lab: Lab, run: Run) -> None:
    folder = lab.prepare()
    supervise(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for options, says in (
        ((), "is complete; launch a new run under another --name"),
        (("--set", "lora.rank=8"), "--set cannot be had with --resume: a run goes on as it was launched"),
        (("--name", "other"), "--name cannot be had with --resume"),
        (("--dry-run",), "--dry-run cannot be had with --resume"),
        (("--trainer", "x"), "--trainer cannot be had with --resume"),
    ):
        code, out, err = run("launch-simpletuner", "try", "--resume", *options)
        assert (code, out) == (2, "")
        (line,) = err.splitlines()
        assert says in line
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_limit_that_is_used_up_is_refused_and_can_be_raised(lab: Lab, run: Run) -> None:
    lab.faults(Faults(step_s=0.05), Faults())
    code, out, _ = run(*lab.words("--max-hours", 1e-4, steps=100, every=50))
    folder = lab.folder / "runs" / "try"
    assert code == 7, out
    assert re.search(r"stopped at its limit: 0\.000\d+ of at most 0\.0001 hours are used; the last checkpoint", out)
    assert len(checkpoints_of(folder)) == 1
    code, _, err = run("launch-simpletuner", "try", "--resume")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "of at most 0.0001 hours are used; raise --max-hours or --max-usd" in err
    code, _, err = run("launch-simpletuner", "try", "--resume", "--max-usd", 3)
    assert code == 2
    code, _, err = run("launch-simpletuner", "try", "--resume", "--max-usd", 3, "--max-hours", 1)
    assert (code, err) == (2, f"error: {folder}: has no price; limit the hours with --max-hours\n")
    assert run("launch-simpletuner", "try", "--resume", "--max-hours", 1)[0] == 0


def test_what_runs_already_is_neither_resumed_nor_launched_again(lab: Lab, run: Run) -> None:
    folder = lab.detach(**LONG)
    code, _, err = run("launch-simpletuner", "try", "--resume")
    assert code == 6
    assert err == f"error: {folder}: a supervisor watches this run already; attach with kanjiprep monitor {folder}\n"
    code, _, err = run(*lab.words())
    assert code == 2
    assert "a run was launched here; look at it with kanjiprep monitor" in err.splitlines()[-1]
    with pytest.raises(TrainerError, match="a supervisor watches this run already"):
        starting.start(folder)
    with pytest.raises(TrainerError, match="a supervisor watches this run already"):
        supervisor.hold(folder)
    assert len(lab.starts()) == 1


# What cannot be begun ----------------------------------------------------------------------------------------------


def test_a_supervisor_that_fails_at_once_is_told_in_its_own_words(lab: Lab, run: Run) -> None:
    folder = lab.prepare()
    (folder / "launch.json").write_text("{}", "utf-8")
    with pytest.raises(TrainerError, match=r"launch\.json: is not understood: .*command") as caught:
        starting.start(folder)
    assert caught.value.exit_code == 6
    code, _, err = run("monitor", "try")
    assert code == 6
    assert "launch the run anew under another --name" in err
    assert lab.starts() == []


def test_a_supervisor_without_a_sign_of_life_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def spawn(run: Path) -> subprocess.Popen[bytes]:
        lab.children.append(subprocess.Popen(["/bin/sleep", "600"], start_new_session=True))
        return lab.children[-1]

    monkeypatch.setattr(starting, "_spawn", spawn)
    monkeypatch.setattr(starting, "_PATIENCE_S", 0.2)
    with pytest.raises(TrainerError, match=r"its supervisor gives no sign of life; look into supervisor\.log there"):
        starting.start(lab.prepare())


def test_a_supervisor_that_cannot_be_started_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    run = lab.prepare()
    (run / "supervisor.log").mkdir()
    monkeypatch.setattr(starting, "_spawn", lab.spawn)
    with pytest.raises(TrainerError, match="its supervisor cannot be started: is a directory"):
        starting.start(run)


def test_a_trainer_that_cannot_be_started_is_a_failed_attempt(lab: Lab, run: Run) -> None:
    lab.faults(Faults())
    folder = lab.prepare()
    lab.python.unlink()
    starting.start(folder)
    until(lambda: lab.processes() == [])
    assert exit_of(folder).status == "failed"
    assert "cannot be started: no such file or directory" in exit_of(folder).reason
    order = files.read_order(folder)
    with pytest.raises(TrainerError, match="cannot be started: no such file or directory; run kanjiprep"):
        attempts.begin(folder, order, attempts.afresh(folder), 1)
    code, out, _ = run("monitor", "try")
    assert code == 6, out


def test_there_is_nothing_to_take_over_or_to_watch_before_the_first_attempt(lab: Lab) -> None:
    run = lab.prepare()
    exit_ = Supervisor(run).run(None)
    assert (exit_.status, exit_.code) == ("failed", None)
    assert "no attempt is on record" in exit_.reason
    nobody = watch.Process(processes.Identity(1, 0, ""), None)
    with pytest.raises(ValueError, match="an attempt is watched after it has begun"):
        watch.Watch(run, files.read_order(run), Record(lab.prepare(name="other")), nobody)


def test_a_run_without_its_config_is_not_gone_on_with(lab: Lab, run: Run) -> None:
    lab.faults(Faults(exit_at=(2, 1)))
    folder = lab.prepare()
    supervise(folder)
    (folder / "config" / "config.json").unlink()
    code, _, err = run("launch-simpletuner", "try", "--resume")
    assert code == 2
    assert err == f"error: {folder}: its config cannot be read; launch a new run under another --name\n"


def test_a_folder_that_vanishes_is_told_to_who_looks_or_writes(lab: Lab) -> None:
    run = lab.prepare()
    window, pulse = (
        Window(run, lambda: ()),
        Pulse("running", 1, processes.Identity(1, 0, ""), None, moments.now()),
    )
    assert window.look().status == "not started"
    run.rename(run.with_name("moved"))
    with pytest.raises(TrainerError, match="is gone; look where it was moved to"):
        window.look()
    with pytest.raises(TrainerError, match=r"state\.json: cannot be written: no such file or directory"):
        files.write_pulse(run, pulse)


def test_a_folder_that_cannot_be_used_or_found_is_told(lab: Lab, run: Run) -> None:
    folder = lab.prepare()
    (folder / holding.LOCK).mkdir()
    with pytest.raises(TrainerError, match="cannot be used: is a directory; check its permissions"):
        supervisor.hold(folder)
    (lab.folder / "runs" / "empty").mkdir()
    code, _, err = run("monitor", "empty")
    assert (code, err) == (
        2, f"error: {lab.folder}/runs/empty: nothing was launched here; give a folder in which a run was launched\n"
    )  # fmt: skip
    code, _, err = run("monitor", "tyr")
    assert (code, err) == (2, "error: no run 'tyr'; there is try\n")


def test_a_rehearsal_that_goes_on_or_cannot_be_removed_makes_no_room(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = lab.detach(**LONG)
    starting.clear_rehearsal(folder)
    assert folder.is_dir(), "it is no rehearsal"
    (folder / starting.REHEARSAL).write_bytes(starting.rehearsal_notes({})[starting.REHEARSAL])
    with pytest.raises(UsageError, match="a rehearsal goes on here; stop it with kanjiprep stop"):
        starting.clear_rehearsal(folder)
    orphan(lab, folder)
    with pytest.raises(UsageError, match="a rehearsal goes on here"):
        starting.clear_rehearsal(folder)
    lab.end()

    def refuse(path: Path) -> None:
        raise OSError(16, "Device or resource busy", str(path))

    with (
        monkeypatch.context() as patched,
        pytest.raises(UsageError, match="cannot be removed: device or res"),
    ):
        patched.setattr(shutil, "rmtree", refuse)
        starting.clear_rehearsal(folder)
    starting.clear_rehearsal(folder)
    assert not folder.exists()


def test_a_rehearsal_is_watched_to_its_end_and_makes_room_for_the_next(lab: Lab, run: Run) -> None:
    words = ["rehearse", "tiny-cpu", "--dataset", lab.dataset, "--set", "training.batch=1"]
    assert run(*words)[0] == 0
    code, _, err = run(*words)
    assert code == 0, err
    assert "Your run will start. Next: kanjiprep launch-simpletuner tiny-cpu" in err
    assert len(lab.starts()) == 2
    lab.faults(Faults(raise_at=2))
    code, out, err = run(*words, "--json")
    assert (code, err) == (6, "")
    assert {"changes", "unproven", "status"} <= json.loads(out).keys()
