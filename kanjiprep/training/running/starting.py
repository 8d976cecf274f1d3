"""A supervisor of its own for a run: started, heard of, and asked to end it."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from kanjiprep.errors import TrainerError, UsageError, os_reason
from kanjiprep.progress import Progress
from kanjiprep.training import run_folder
from kanjiprep.training.running import files, guard, holding, processes, standing, supervisor, tail
from kanjiprep.training.running.events import Exit
from kanjiprep.training.running.files import Pulse
from kanjiprep.training.running.record import Record
from kanjiprep.training.running.run_state import RunState
from kanjiprep.training.trainer import last_line

REHEARSAL: Final = "rehearsal.json"
_PATIENCE_S: Final = 120.0
_END_S: Final = 10.0
_POLL_S: Final = 0.1
_SILENCE_S: Final = 60.0
"""A supervisor gives a sign of life every few seconds; one that is silent for so long does not listen."""
_SAID_BYTES: Final = 4_000


def start(run: Path) -> Pulse:
    """The first sign of life of a supervisor that starts or goes on with ``run``, in a session of its own.

    Raises:
        TrainerError: If there is one already, or it fails at once.
    """
    _refuse_watched(run)
    said_before = tail.size(run / files.SUPERVISOR_LOG)
    process = _spawn(run)
    its = processes.identify(process.pid)
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        code = process.poll()
        pulse = files.read_pulse(run)
        is_its = pulse is not None and pulse.supervisor == its
        if pulse is not None and is_its and pulse.status != "starting":
            return pulse
        if code is not None:
            said = _last_words(run, said_before) or "its supervisor ended at once"
            raise TrainerError(said, "" if said.startswith(str(run)) else str(run))
        time.sleep(_POLL_S)
    raise TrainerError("its supervisor gives no sign of life", str(run), f"look into {files.SUPERVISOR_LOG} there")


def _refuse_watched(run: Path) -> None:
    if _is_watched(run):
        raise TrainerError(
            "a supervisor watches this run already",
            str(run),
            f"attach with kanjiprep monitor {shlex.quote(str(run))}",
        )


def _is_watched(run: Path) -> bool:
    """Whether ``run`` has a supervisor; one that is done with it is gone in a moment, for which this waits."""
    deadline = time.monotonic() + _END_S
    while holding.is_held(run):
        pulse = files.read_pulse(run)
        if pulse is None or pulse.status != "over" or time.monotonic() >= deadline:
            return True
        time.sleep(_POLL_S)
    return False


def _spawn(run: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-P", "-m", supervisor.__name__, str(run)]
    try:
        with (run / files.SUPERVISOR_LOG).open("ab") as log:
            return subprocess.Popen(  # noqa: S603
                words, cwd=run, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
    except OSError as error:
        what = f"its supervisor cannot be started: {os_reason(error)}"
        raise TrainerError(what, str(run), "check its permissions") from error


def _last_words(run: Path, said_before: int) -> str:
    log = run / files.SUPERVISOR_LOG
    count = min(_SAID_BYTES, max(0, tail.size(log) - said_before))
    return last_line(tail.last_bytes(log, count).decode("utf-8", "replace"))


def order_again(run: Path, changes: dict[str, Any]) -> None:
    """Have the next supervisor of ``run`` go on with it, with ``changes`` to its guard.

    With the policy ``rollback`` a run that the guard stopped for its weights goes on from before the trouble.

    Raises:
        UsageError: If it is complete, a limit is used up, or its files are for another place.
        TrainerError: If a supervisor is there, or the order cannot be read or written.
    """
    _refuse_watched(run)
    order, state = files.read_order(run), Record(run).state
    _refuse_moved(run, state)
    limits = replace(order.guard, **changes)
    if state.exit is not None and state.exit.status == "completed":
        raise UsageError("is complete", str(run), "launch a new run under another --name")
    for share, text in guard.shares(limits, state.spent_s, order.usd_per_hour):
        if share >= 1:
            raise UsageError(text, str(run), "raise --max-hours or --max-usd")
    if limits.max_usd is not None and order.usd_per_hour is None:
        raise UsageError("has no price", str(run), "limit the hours with --max-hours")
    if limits.policy == "rollback" and not order.can_roll_back:
        raise UsageError("a full fine-tune cannot be rolled back", str(run), "use --guard stop")
    goes_back = limits.policy == "rollback" and standing.ended_by_its_weights(state)
    again = replace(order, guard=limits, way="rollback" if goes_back else "resume")
    files.replace(run / run_folder.ORDER, files.order_bytes(again))


def _refuse_moved(run: Path, state: RunState) -> None:
    """Refuse a folder that was moved or copied: the trainer's files name the place where it was."""
    output = state.attempt.output if state.attempt else "output"
    place = files.home(run, output)
    if not place:
        raise UsageError("its config cannot be read", str(run), "launch a new run under another --name")
    if place != str(run / output):
        raise UsageError(f"its files are for {place}", str(run), "move it back, or launch a new run")


def rehearsal_notes(notes: Mapping[str, object]) -> dict[str, bytes]:
    """The file that marks a run folder as a rehearsal's, which the next one may replace."""
    return {REHEARSAL: (json.dumps(notes, ensure_ascii=False, indent=2) + "\n").encode()}


def clear_rehearsal(run: Path) -> None:
    """Remove an earlier rehearsal from ``run``; anything else stays.

    Raises:
        UsageError: If it is still going on, or cannot be removed.
    """
    if not (run / REHEARSAL).is_file():
        return
    if _is_watched(run) or processes.members(processes.run_id(run)):
        raise UsageError("a rehearsal goes on here", str(run), f"stop it with kanjiprep stop {shlex.quote(str(run))}")
    try:
        shutil.rmtree(run)
    except OSError as error:
        raise UsageError(f"cannot be removed: {os_reason(error)}", str(run), "remove it yourself") from error


def stop(run: Path, progress: Progress, *, with_checkpoint: bool) -> Exit | None:
    """How ``run`` ended, now that it is stopped and nothing of it is left; None if nothing was running.

    Its supervisor does it. If that is gone and the trainer is not, this process takes its place.

    Raises:
        TrainerError: If the supervisor does not listen, or something is left.
    """
    if holding.is_held(run):
        files.ask_to_stop(run, with_checkpoint=with_checkpoint)
        _wait_for_supervisor(run, progress)
        is_left = processes.members(processes.run_id(run))  # it was killed while it was waited for
        exit_ = _stop_ourselves(run, with_checkpoint) if is_left else Record(run).state.exit
    else:
        exit_ = _stop_ourselves(run, with_checkpoint)
    left = processes.members(processes.run_id(run))
    if left:
        pids = ", ".join(map(str, left))
        raise TrainerError(f"processes {pids} could not be ended", str(run), f"try kill -9 {pids}")
    return exit_


def _wait_for_supervisor(run: Path, progress: Progress) -> None:
    began = time.monotonic()
    silent_since, beat = began, ""
    while holding.is_held(run):
        pulse = files.read_pulse(run)
        if pulse is not None and pulse.beat.at != beat:
            beat, silent_since = pulse.beat.at, time.monotonic()
        if time.monotonic() - silent_since > _SILENCE_S:
            pid = pulse.supervisor.pid if pulse else 0
            raise TrainerError(
                "its supervisor does not listen", str(run), f"end it with kill -9 {pid}, then stop the run again"
            )
        progress("seconds waited for its checkpoint and end", round(time.monotonic() - began), None)
        time.sleep(_POLL_S)


def _stop_ourselves(run: Path, with_checkpoint: bool) -> Exit | None:
    """What a dead trainer has left running, or one that nobody put on record, ends as well."""
    held, name = supervisor.hold(run), processes.run_id(run)
    try:
        if Record(run).state.attempt is None or not processes.members(name):
            processes.end(name, _END_S)
            return None
        files.ask_to_stop(run, with_checkpoint=with_checkpoint)
        return supervisor.supervise(run, None)
    finally:
        held.release()
