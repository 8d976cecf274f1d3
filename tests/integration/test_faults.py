"""Runs that go wrong, and what is left of them, with a small program in the trainer's place."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.errors import UsageError
from kanjiprep.training.running import ending, files, holding, moments, processes, starting
from kanjiprep.training.running.events import Alert, Checkpoint, Entry, Exit, line
from kanjiprep.training.running.processes import Identity
from tests.conftest import Run
from tests.fake_trainer import Faults
from tests.integration.test_running import (
    LONG,
    PATIENCE_S,
    QUICK,
    Lab,
    attempts_of,
    checkpoints_of,
    events_of,
    exit_of,
    is_at,
    kanji,
    lab,
    look,
    orphan,
    pulse_of,
    send,
    steps_of,
    supervise,
    trainer_of,
    until,
)

pytestmark = pytest.mark.slow

__all__ = ["kanji", "lab"]

# Killed and signalled ----------------------------------------------------------------------------------------------


def test_a_killed_supervisor_is_told_and_its_trainer_taken_over(lab: Lab, run: Run) -> None:
    lab.faults(Faults(step_s=0.03))
    folder = lab.detach(steps=100, every=50)
    until(lambda: is_at(folder, 3))
    orphan(lab, folder)
    code, out, err = run("monitor", "try")
    again = f"kanjiprep launch-simpletuner {folder} --resume"
    assert code == 6, "nobody can tell how it will end"
    assert "status     the supervisor is gone, and the trainer goes on without it" in out.splitlines()
    assert err.splitlines()[-1] == f"Next: take it over with {again}, or end it with kanjiprep stop {folder}"
    step = look(folder).progress.step
    until(lambda: look(folder).progress.step > step, "steps that nobody but we have seen")
    assert run(*lab.words(steps=100))[0] == 2
    code, out, err = run("launch-simpletuner", "try", "--resume")
    assert code == 0, out
    assert [(one.number, one.why) for one in attempts_of(folder)] == [(1, "start"), (1, "adopt")]
    assert steps_of(folder) == list(range(1, 101))
    assert len(lab.starts()) == 1
    assert exit_of(folder) == Exit("completed", None, "", 100)


def test_a_run_that_completes_while_nobody_watches_is_complete(lab: Lab, run: Run) -> None:
    lab.faults(Faults(step_s=0.03))
    folder = lab.detach(steps=30, every=10)
    until(lambda: is_at(folder, 3))
    orphan(lab, folder)
    until(lambda: lab.processes() == [])
    code, out, _ = run("monitor", "try")
    assert code == 0
    assert "progress   30 of 30 steps (100.0%)" in out
    assert run("launch-simpletuner", "try", "--resume")[0] == 0
    assert exit_of(folder) == Exit("completed", None, "", 30)
    assert steps_of(folder) == list(range(1, 31))
    assert len(lab.starts()) == 1


def test_when_both_are_killed_nobody_saw_the_end_and_the_run_can_go_on(lab: Lab, run: Run) -> None:
    lab.faults(Faults(step_s=0.03, child=True, says="the last words"), Faults())
    folder = lab.detach(steps=60, every=5)
    until(lambda: checkpoints_of(folder))
    orphan(lab, folder)
    send(trainer_of(folder), signal.SIGKILL)
    until(lambda: len(lab.processes()) == 1)
    code, out, err = run("monitor", "try")
    assert code == 6
    assert "status     supervisor and trainer are gone, and nobody saw the end" in out
    assert "log        the last words" in out.splitlines()
    assert err.splitlines()[-1] == f"Next: go on with kanjiprep launch-simpletuner {folder} --resume"
    assert run("launch-simpletuner", "try", "--resume")[0] == 0
    assert lab.has_nothing_left(folder), "what the first trainer had started is gone too"
    assert [one.why for one in attempts_of(folder)] == ["start", "resume"]
    assert exit_of(folder).status == "completed"


def test_a_killed_trainer_is_told_with_its_last_lines(lab: Lab, run: Run) -> None:
    lab.faults(Faults(says="the last words", child=True))
    folder = lab.detach(**LONG)
    until(lambda: is_at(folder, 3))
    send(trainer_of(folder), signal.SIGKILL)
    code, out, _ = run("monitor", "try")
    assert code == 6
    assert "status     failed: the trainer was ended by SIGKILL" in out
    assert "log        the last words" in out.splitlines()
    assert exit_of(folder).code == -signal.SIGKILL
    assert lab.has_nothing_left(folder)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_to_the_supervisor_is_a_wish_and_no_end(lab: Lab, number: signal.Signals) -> None:
    run = lab.detach(**LONG)
    until(lambda: is_at(run, 3))
    send(pulse_of(run).supervisor.pid, number)
    if number == signal.SIGHUP:
        step = look(run).progress.step
        until(lambda: is_at(run, step + 5))
        assert look(run).status == "running"
        return
    until(lambda: lab.processes() == [])
    assert exit_of(run).status == "stopped"
    assert exit_of(run).reason.startswith(
        f"the supervisor was asked to end by {number.name}; the last checkpoint is of"
    )
    assert len(checkpoints_of(run)) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_to_the_trainer_is_a_failure_or_is_not_heard(lab: Lab, number: signal.Signals) -> None:
    run = lab.detach(**LONG)
    until(lambda: is_at(run, 3))
    send(trainer_of(run), number)
    if number == signal.SIGHUP:
        step = look(run).progress.step
        until(lambda: is_at(run, step + 5))
        assert look(run).status == "running"
        return
    until(lambda: lab.processes() == [])
    says = {
        signal.SIGTERM: (-15, "the trainer was ended by SIGTERM"),
        signal.SIGINT: (0, "the trainer left with code 0 before its last step"),
    }
    assert (exit_of(run).code, exit_of(run).reason) == says[number]
    assert exit_of(run).status == "failed"
    assert checkpoints_of(run) == []


def test_a_killed_monitor_changes_nothing(lab: Lab) -> None:
    run = lab.detach(**LONG)
    with lab.command("monitor", "try") as monitor:
        assert monitor.stderr is not None
        assert monitor.stderr.readline() == f"attempt 1 (start) of {run}\n"
        monitor.kill()
        monitor.communicate()
    step = look(run).progress.step
    until(lambda: is_at(run, step + 5))
    assert look(run).status == "running"


def test_a_launch_whose_process_is_killed_or_loses_its_terminal_leaves_the_run_alone(lab: Lab) -> None:
    with lab.command(*lab.words(**LONG), start_new_session=True) as launched:
        until(lab.starts)
        send(launched.pid, signal.SIGHUP)
        launched.communicate(timeout=PATIENCE_S)
    run = lab.folder / "runs" / "try"
    until(lambda: is_at(run, 5))
    assert look(run).status == "running"


# Two at once -------------------------------------------------------------------------------------------------------


def at_once(lab: Lab, times: int, *words: object) -> list[tuple[int | None, list[str]]]:
    """Exit codes and errors of the same command line, given so many times at the same time."""
    started = [lab.command(*words) for _ in range(times)]
    told = []
    for one in started:
        with one:
            _, err = one.communicate(timeout=PATIENCE_S)
        told.append((one.returncode, [text for text in err.splitlines() if text.startswith("error: ")]))
    return sorted(told)


def test_of_several_launches_at_once_one_starts(lab: Lab) -> None:
    first, *others = at_once(lab, 3, *lab.words("--detach", **LONG))
    assert first == (0, [])
    for code, errors in others:
        assert code in (2, 6)
        assert len(errors) == 1
    run = lab.folder / "runs" / "try"
    until(lambda: is_at(run, 3))
    assert len(lab.starts()) == 1
    assert [path.name for path in run.parent.iterdir()] == ["try"]


def test_of_several_resumes_at_once_one_starts(lab: Lab) -> None:
    lab.faults(Faults(exit_at=(7, 1)), Faults())
    run = lab.prepare(**LONG)
    assert supervise(run).status == "failed"
    first, *others = at_once(lab, 2, "launch-simpletuner", "try", "--resume", "--detach")
    assert first == (0, [])
    for code, errors in others:
        assert code == 6
        assert "a supervisor watches this run already" in errors[0]
        assert errors[0].count(str(run)) == 2, "the same thing is not said twice"
    until(lambda: is_at(run, 8))
    assert len(lab.starts()) == 2
    assert [one.number for one in attempts_of(run)] == [1, 2]


def test_a_number_that_another_process_has_by_now_fools_nobody(lab: Lab, run: Run) -> None:
    lab.faults(Faults(exit_at=(5, 1)), Faults())
    folder = lab.prepare()
    supervise(folder)
    with subprocess.Popen(["/bin/sleep", "600"]) as stranger:
        theirs = processes.identify(stranger.pid)
        assert theirs is not None
        for identity in (theirs, Identity(stranger.pid, 1, moments.boot_id())):
            pretend_to_be(folder, identity)
            assert not holding.is_held(folder)
            assert look(folder).status == "lost"
            assert run("stop", "try")[0] == 0
            assert stranger.poll() is None, "it is none of ours"
        assert run("launch-simpletuner", "try", "--resume")[0] == 0
        assert stranger.poll() is None
        stranger.kill()
    assert [one.why for one in attempts_of(folder)] == ["start", "resume"]


def pretend_to_be(run: Path, identity: Identity) -> None:
    """Write down ``identity`` as supervisor and trainer of an attempt without an end."""
    first = replace(attempts_of(run)[0], trainer=identity)
    others = [one for one in events_of(run)[1:] if not isinstance(one, Exit)]
    lines = [line(Entry(moments.now(), one)) for one in (first, *others)]
    (run / files.EVENTS).write_bytes(b"".join(lines))
    files.write_pulse(run, replace(pulse_of(run), status="running", supervisor=identity, trainer=identity))


# Clocks, folders and disks -----------------------------------------------------------------------------------------


def test_a_clock_that_was_set_back_does_not_silence_the_wish_for_a_checkpoint(lab: Lab, run: Run) -> None:
    folder = lab.detach(**LONG)
    until(lambda: is_at(folder, 3))
    tomorrow_s = time.time() + 86_400
    os.utime(folder / files.SIGNAL, (tomorrow_s, tomorrow_s))
    step = look(folder).progress.step
    until(lambda: is_at(folder, step + 3), "the trainer to have seen that file")
    assert run("stop", "try")[0] == 0
    assert len(checkpoints_of(folder)) == 1


def test_a_clock_that_was_set_back_falsifies_no_duration(lab: Lab) -> None:
    run = lab.prepare()
    supervise(run)
    lines = [json.loads(one) for one in (run / files.EVENTS).read_text("utf-8").splitlines()]
    for number, one in enumerate(lines):
        one["at"] = f"20{50 - number:02d}-01-01T00:00:00.000Z"
    (run / files.EVENTS).write_text("".join(json.dumps(one) + "\n" for one in lines), "utf-8")
    assert 0 < look(run).money.spent_h < 60 / 3600


def test_a_run_whose_folder_is_removed_ends_and_leaves_no_process(lab: Lab, run: Run) -> None:
    folder = lab.detach(**LONG)
    until(lambda: is_at(folder, 3))
    trash = folder.rename(folder.with_name("trash"))
    shutil.rmtree(trash)
    until(lambda: lab.processes() == [])
    assert lab.children[0].wait() == 0, "the supervisor has not failed"
    assert not (folder / files.ORDER).exists()


def test_a_run_whose_folder_is_moved_ends_and_can_go_on_where_it_was(lab: Lab, run: Run) -> None:
    folder = lab.detach(**LONG)
    until(lambda: is_at(folder, 3))
    moved = folder.rename(folder.with_name("moved"))
    until(lambda: lab.processes() == [])
    assert lab.children[0].wait() == 0
    assert b"Traceback" not in (moved / files.SUPERVISOR_LOG).read_bytes()
    assert look(moved).status == "copy"
    assert run("stop", "moved")[0] == 0
    assert run("launch-simpletuner", "moved", "--resume")[0] == 2, "its files are for another place"
    assert not (folder / files.ORDER).exists()
    shutil.rmtree(folder)  # what the trainer made anew
    moved.rename(folder)
    lab.faults(Faults(exit_at=(50, 0)))
    assert run("launch-simpletuner", "try", "--resume")[0] == 6
    assert len(lab.starts()) == 2


@pytest.fixture
def on_small_disk(lab: Lab) -> Callable[[str], Path]:
    """A function that calls one of this module's where runs/ is a disk of 1 MB, and gives what was on it."""

    def call(function: str) -> Path:
        run, kept = lab.folder / "runs" / "try", lab.folder / "kept"
        seed = run.rename(lab.folder / "seed")
        code = f"from tests.integration import test_faults as t; t.{function}(t.Path({str(run)!r}))"
        script = (
            'mount -t tmpfs -o size=1m tmpfs "$1" && cp -a "$2" "$1/try" && { "$3" -c "$4"; code=$?; '
            'cp -a "$1/try" "$5"; exit $code; }'
        )
        words = [script, "sh", run.parent, seed, sys.executable, code, kept]
        line = ["unshare", "-rm", "/bin/sh", "-c", *map(str, words)]
        done = subprocess.run(line, cwd=lab.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        return kept

    return call


def fill(disk: Path, leave: int = 0) -> Path:
    """A file that takes all the room on ``disk`` but ``leave`` bytes."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(b"\\0" * 4096)
        except OSError:
            stream.truncate(max(0, stream.tell() - leave))
    return filler


def run_out_of_room(run: Path) -> None:
    """The second checkpoint finds no room; once there is some, the run goes on."""
    fill(run.parent, leave=500_000)
    assert supervise(run).status == "failed"
    assert len(list((run / "output").glob("checkpoint-8/*"))) > 0
    assert checkpoints_of(run) == [4]
    seen = look(run)
    assert (seen.exit_code, seen.made.free_bytes) == (6, 0)
    (run.parent / "filler").unlink()
    starting.order_again(run, {})
    assert supervise(run).status == "completed"


def test_a_checkpoint_that_finds_no_room_fails_and_the_run_goes_on_once_there_is_some(
    lab: Lab, on_small_disk: Callable[[str], Path]
) -> None:
    lab.faults(Faults(weigh_bytes=300_000), Faults(weigh_bytes=1_000))
    lab.prepare("guard.policy=warn", steps=12)
    run = on_small_disk("run_out_of_room")
    assert [one.why for one in attempts_of(run)] == ["start", "resume"]
    assert [one.from_step for one in attempts_of(run)] == [0, 4]
    assert {one.about for one in events_of(run) if isinstance(one, Alert)} == {"disk"}
    assert checkpoints_of(run) == [4, 8, 12]
    assert len(list((run / "output").glob("unfinished-checkpoint-8-*"))) == 1


def keep_no_record_for_a_while(run: Path) -> None:
    """Nothing can be written for some steps; then it can."""
    with subprocess.Popen([sys.executable, "-c", QUICK, str(run)]) as supervised:
        until(lambda: is_at(run, 10))
        filler = fill(run.parent)
        time.sleep(0.5)
        filler.unlink()
        assert supervised.wait(PATIENCE_S) == 0


def test_a_record_that_finds_no_room_is_written_as_soon_as_it_does(
    lab: Lab, on_small_disk: Callable[[str], Path]
) -> None:
    lab.faults(Faults(step_s=0.02, weigh_bytes=1_000))
    lab.prepare("guard.policy=off", steps=80, every=40)
    run = on_small_disk("keep_no_record_for_a_while")
    assert exit_of(run).status == "completed"
    steps = steps_of(run)
    assert steps == sorted(set(steps))
    assert (steps[:10], steps[-10:]) == (list(range(1, 11)), list(range(71, 81)))


def test_the_guard_ends_a_run_before_the_disk_is_full(lab: Lab, on_small_disk: Callable[[str], Path]) -> None:
    lab.faults(Faults(weigh_bytes=150_000, step_s=0.1))
    lab.prepare(steps=400)
    run = on_small_disk("be_guarded_on_a_full_disk")
    assert alerts_of(run, "error") == [("disk", "error")]
    assert exit_of(run).status == "guard"
    assert "are free on the disk, and a checkpoint takes" in exit_of(run).reason
    assert len(checkpoints_of(run)) >= 2
    assert len(checkpoints_of(run)) == len(list((run / "output").glob("checkpoint-*"))), "all are whole"


def be_guarded_on_a_full_disk(run: Path) -> None:
    """Room for two checkpoints, and not for three."""
    fill(run.parent, leave=450_000)
    supervise(run)


def stop_on_a_full_disk(run: Path) -> None:
    """End a run where not even the wish for a checkpoint can be put down."""
    with subprocess.Popen([sys.executable, "-c", QUICK, str(run)]) as supervised:
        until(lambda: is_at(run, 10))
        filler = fill(run.parent)
        supervised.terminate()
        time.sleep(0.5)
        filler.unlink()
        assert supervised.wait(PATIENCE_S) == 0


def test_a_run_can_be_stopped_on_a_full_disk(lab: Lab, on_small_disk: Callable[[str], Path]) -> None:
    lab.prepare("guard.policy=off", **LONG)
    run = on_small_disk("stop_on_a_full_disk")
    assert lab.processes() == []
    assert checkpoints_of(run) == []
    assert look(run).exit_code is not None


# The guard ---------------------------------------------------------------------------------------------------------

CALM_STEPS = 44
"""Enough for a baseline. What follows is a thousand times as high."""
LAST_STEP = 63
"""By then it is known as an explosion; a trainer that waits there gives a slow machine its time."""
EXPLODES: dict[str, Any] = {"steps": 100, "every": 10}


def alerts_of(run: Path, *severities: str) -> list[tuple[str, str]]:
    """What was told, of these severities or of all."""
    alerts = [one for one in events_of(run) if isinstance(one, Alert)]
    return [(one.about, one.severity) for one in alerts if not severities or one.severity in severities]


def fast(**faults: Any) -> Faults:
    """Steps as quick as they can be."""
    return Faults(**{"step_s": 0.003, **faults})


def config_of(folder: Path) -> Any:
    return json.loads((folder / "config" / "config.json").read_text("utf-8"))


def test_an_explosion_ends_the_run_with_a_checkpoint_first(lab: Lab, run: Run) -> None:
    lab.faults(fast(calm_to=CALM_STEPS))
    code, out, err = run(*lab.words("--guard", "stop", steps=5_000, every=1_000))
    assert code == 8
    folder = lab.folder / "runs" / "try"
    (step,) = checkpoints_of(folder)
    assert step > CALM_STEPS
    assert "status     stopped by the guard: the gradient is up to 1," in out
    assert f"since step {CALM_STEPS + 1}, at a learning rate of 0.0001; the last checkpoint is of step {step}" in out
    found = re.search(r"^error: explosion at step (\d+): the gradient is up to 1,", err, re.MULTILINE)
    assert found is not None
    assert CALM_STEPS + 5 <= int(found[1]) <= LAST_STEP
    assert f"Next: go back before it and on at a lower rate with kanjiprep launch-simpletuner {folder}" in err
    assert lab.has_nothing_left(folder)


def test_a_rolled_back_run_goes_on_from_before_the_explosion_at_half_the_rate_and_completes(lab: Lab) -> None:
    lab.faults(fast(calm_to=CALM_STEPS, hang_at=LAST_STEP + 1), fast())
    run = lab.prepare("guard.policy=rollback", **EXPLODES)
    assert supervise(run) == Exit("completed", 0, "", 100)
    first, second = attempts_of(run)
    assert (second.number, second.why, second.output) == (2, "rollback", "attempt-2/output")
    assert (second.base_step, second.from_step, second.total_steps) == (40, 40, 100)
    assert second.from_checkpoint == "output/checkpoint-40"
    before, after = config_of(run), config_of(run / "attempt-2")
    assert after["init_lora"] == str(run / "output" / "checkpoint-40" / "pytorch_lora_weights.safetensors")
    assert (after["init_lora_step"], after["max_train_steps"]) == (0, 60)
    assert after["output_dir"] == str(run / "attempt-2" / "output")
    planned = 1e-6 + (1e-4 - 1e-6) * (100 - 40) / (100 - 2)
    assert after["learning_rate"] == second.learning_rate == pytest.approx(planned / 2, rel=1e-6)
    assert before["learning_rate"] == first.learning_rate == 1e-4
    assert after["checkpoint_step_interval"] == 10
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {
        "learning_rate", "lr_end", "max_train_steps", "checkpoints_total_limit",
        "output_dir", "data_backend_config", "user_prompt_library",
    }  # fmt: skip
    last = len(steps_of(run)) - 60
    assert CALM_STEPS + 5 <= last <= LAST_STEP
    assert steps_of(run) == [*range(1, last + 1), *range(41, 101)], "the true steps"
    exits = [one for one in events_of(run) if isinstance(one, Exit)]
    assert [one.status for one in exits] == ["rolled back", "completed"]
    made = [(one.step, one.path) for one in events_of(run) if isinstance(one, Checkpoint)]
    assert made[-1] == (100, "attempt-2/output/checkpoint-60")
    seen = look(run)
    assert (seen.rollbacks, seen.attempt, seen.progress.step, seen.exit_code) == (1, 2, 100, 0)
    assert alerts_of(run, "error") == [("explosion", "error")]
    assert len(lab.starts()) == 2


def test_after_the_last_rollback_the_guard_ends_the_run(lab: Lab) -> None:
    lab.faults(fast(calm_to=CALM_STEPS, hang_at=LAST_STEP + 1))
    run = lab.prepare("guard.policy=rollback", "guard.most_rollbacks=1", steps=200, every=10)
    with short_patience():
        exit_ = supervise(run)
    assert exit_.status == "guard"
    assert [one.why for one in attempts_of(run)] == ["start", "rollback"]
    assert look(run).exit_code == 8
    assert lab.has_nothing_left(run)


@contextmanager
def short_patience() -> Iterator[None]:
    """A trainer that hangs is not waited for as long as a real one."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ending, "_LEAST_PATIENCE_S", 0.2)
        yield


def test_every_further_rollback_halves_the_rate_again_and_begins_earlier_if_it_made_nothing(lab: Lab) -> None:
    lab.faults(
        fast(calm_to=CALM_STEPS, hang_at=LAST_STEP + 1),
        fast(gradients=[None] * 30, hang_at=25),
        fast(),
    )
    run = lab.prepare("guard.policy=rollback", "guard.most_rollbacks=2", "checkpoints.keep=9", **EXPLODES)
    assert supervise(run).status == "completed"
    _, second, third = attempts_of(run)
    assert (second.base_step, third.base_step) == (40, 30)
    assert third.from_checkpoint == "output/checkpoint-30"
    rate = [config_of(run / f"attempt-{number}")["learning_rate"] for number in (2, 3)]
    assert rate[1] < 0.6 * rate[0]
    assert steps_of(run)[-70:] == list(range(31, 101))


def test_warn_tells_and_goes_on(lab: Lab) -> None:
    lab.faults(fast(calm_to=CALM_STEPS))
    run = lab.prepare("guard.policy=warn", **EXPLODES)
    assert supervise(run).status == "completed"
    assert ("explosion", "error") in alerts_of(run)


def test_off_looks_at_nothing(lab: Lab) -> None:
    lab.faults(fast(calm_to=CALM_STEPS, black_from=50))
    run = lab.prepare("guard.policy=off", "guard.stall_minutes=0.0001", **EXPLODES)
    assert supervise(run).status == "completed"
    assert alerts_of(run) == []


def test_one_gradient_that_was_dropped_ends_nothing_and_many_do(lab: Lab) -> None:
    calm: list[float | None] = [0.006] * 60
    lab.faults(fast(gradients=[*calm[:20], None, *calm]), fast(gradients=[*calm, *[None] * 100]))
    run = lab.prepare(**EXPLODES)
    assert supervise(run).status == "completed"
    assert alerts_of(run) == [("spike", "note")]
    other = lab.prepare(name="other", **LONG)
    assert supervise(other).status == "guard"
    assert exit_of(other).reason.startswith("the gradient is not finite since step 61")


def test_a_loss_that_is_not_finite_is_rolled_back(lab: Lab) -> None:
    lab.faults(fast(nan_at=35), fast())
    run = lab.prepare("guard.policy=rollback", **EXPLODES)
    assert supervise(run).status == "completed"
    assert [(one.why, one.base_step) for one in attempts_of(run)] == [("start", 0), ("rollback", 30)]
    (alert,) = (one for one in events_of(run) if isinstance(one, Alert))
    assert (alert.about, alert.severity, alert.step, alert.since_step) == ("non-finite", "error", 34, 35)
    assert alert.text == "Non-finite training loss detected: loss nan at 亜.png of kanji"


def test_without_a_checkpoint_a_rollback_begins_again(lab: Lab) -> None:
    lab.faults(fast(nan_at=3), fast())
    run = lab.prepare("guard.policy=rollback")
    assert supervise(run).status == "completed"
    second = attempts_of(run)[1]
    assert (second.base_step, second.from_checkpoint, second.learning_rate) == (0, "", 5e-5)
    assert "init_lora" not in config_of(run / "attempt-2")


def test_a_loss_that_is_not_finite_fails_with_the_pictures_of_its_batch(lab: Lab, run: Run) -> None:
    lab.faults(fast(nan_at=35), fast())
    code, out, _ = run(*lab.words("--guard", "stop", **EXPLODES))
    assert code == 6
    assert "status     failed: Non-finite training loss detected: loss nan at 亜.png of kanji" in out
    assert run("launch-simpletuner", "try", "--resume", "--guard", "rollback")[0] == 0
    second = attempts_of(lab.folder / "runs" / "try")[1]
    assert (second.why, second.base_step) == ("rollback", 30)


def test_a_run_that_the_guard_has_ended_can_be_rolled_back_by_hand(lab: Lab, run: Run) -> None:
    lab.faults(fast(calm_to=CALM_STEPS), fast())
    folder = lab.prepare("checkpoints.keep=9", steps=5_000, every=20)
    assert supervise(folder).status == "guard"
    lab.faults(fast(exit_at=(10, 1)))
    assert run("launch-simpletuner", "try", "--resume", "--guard", "rollback")[0] == 6
    second = attempts_of(folder)[1]
    assert (second.why, second.base_step, second.from_checkpoint) == ("rollback", 40, "output/checkpoint-40")
    assert steps_of(folder)[-10:] == list(range(41, 51))


def test_a_rolled_back_attempt_that_fails_goes_on_in_its_own_folder(lab: Lab, run: Run) -> None:
    lab.faults(fast(nan_at=35), fast(exit_at=(25, 1)), fast())
    folder = lab.prepare("guard.policy=rollback", **EXPLODES)
    assert supervise(folder).status == "failed"
    assert run("launch-simpletuner", "try", "--resume")[0] == 0
    third = attempts_of(folder)[2]
    assert (third.why, third.output, third.base_step, third.from_step) == ("resume", "attempt-2/output", 30, 50)
    assert steps_of(folder)[-50:] == list(range(51, 101))
    assert exit_of(folder) == Exit("completed", 0, "", 100)


def test_pictures_that_all_turn_black_end_the_run(lab: Lab) -> None:
    lab.faults(fast(black_from=8))
    run = lab.prepare(steps=5_000, every=4)
    assert supervise(run).status == "guard"
    assert exit_of(run).reason.startswith("2 of 2 pictures have gone bad: mountains (black), pikachu (black)")
    assert set(alerts_of(run)) == {("picture", "error")}


@pytest.mark.parametrize("hang_at", [0, 20])
def test_a_run_without_a_sign_of_life_is_ended(lab: Lab, hang_at: int) -> None:
    lab.faults(fast(hang_at=hang_at, child=True))
    run = lab.prepare("guard.stall_minutes=0.01")
    with short_patience():
        exit_ = (
            supervise(run) if hang_at == 0 else supervise(lab.prepare("guard.stall_minutes=0.01", name="b", steps=40))
        )
    assert exit_.status == "guard"
    assert exit_.reason.startswith("no sign of life for 1 seconds: no step, no file, no line in the log; ")
    assert lab.processes() == []


def test_a_full_fine_tune_cannot_be_rolled_back(lab: Lab, run: Run) -> None:
    lab.faults(fast(nan_at=6))
    folder = lab.prepare("model.train=full")
    assert supervise(folder).status == "failed"
    code, _, err = run("launch-simpletuner", "try", "--resume", "--guard", "rollback")
    assert (code, err) == (2, f"error: {folder}: a full fine-tune cannot be rolled back; use --guard stop\n")
    assert files.read_order(folder).guard.policy == "stop", "what was refused is not kept"
    assert len(lab.starts()) == 1


def test_a_rollback_whose_files_cannot_be_written_fails_in_one_line(lab: Lab) -> None:
    lab.faults(fast(nan_at=6))
    run = lab.prepare("guard.policy=rollback")
    (run / "attempt-2").write_text("in the way", "utf-8")
    exit_ = supervise(run)
    assert exit_.status == "failed"
    assert "attempt-2/config: cannot be made: not a directory; free some space" in exit_.reason


def test_at_its_limit_a_run_ends_with_a_checkpoint(lab: Lab) -> None:
    lab.faults(Faults(step_s=0.02))
    run = lab.prepare("guard.policy=off", "guard.max_hours=0.0002", **LONG)
    exit_ = supervise(run)
    assert exit_.status == "limit"
    assert " of at most 0.0002 hours are used; the last checkpoint is of step " in exit_.reason
    assert len(checkpoints_of(run)) == 1
    assert alerts_of(run, "error") == [("budget", "error")]
    assert look(run).exit_code == 7
    with pytest.raises(UsageError, match="hours are used; raise --max-hours or --max-usd"):
        starting.order_again(run, {})
