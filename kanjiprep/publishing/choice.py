"""Which checkpoint of a run is published, and what should be known of it before it is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kanjiprep.errors import TrainerError, UsageError
from kanjiprep.evaluation import history, score_table
from kanjiprep.evaluation.score_table import Scores
from kanjiprep.training.running import phases, run_source
from kanjiprep.training.running.attempts import WEIGHTS
from kanjiprep.training.running.events import Checkpoint
from kanjiprep.training.running.phases import Phase
from kanjiprep.training.running.run_state import RunState

BEST: Final = "best"
LAST: Final = ("last", "latest")
_FLAGS: Final = "flags"
"""The column of the scores with what speaks against a checkpoint."""
_STEP: Final = re.compile(r"[0-9]{1,9}")
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Chosen:
    """A checkpoint to be published.

    Attributes:
        step: Of the run.
        path: Its folder, absolute.
        how: Why this one, in words.
        warnings: What speaks against it, a sentence each.
    """

    step: int
    path: Path
    how: str
    warnings: tuple[str, ...] = ()

    @property
    def weights(self) -> Path:
        """The adapter's file."""
        return self.path / WEIGHTS


def choose(run: Path, state: RunState, wanted: str | None, found: Scores | None) -> Chosen:
    """The checkpoint of ``run`` that is ``wanted``, to be published.

    Args:
        run: The run folder; it may be a copy from elsewhere.
        state: Its state.
        wanted: A step, ``best``, ``last`` or ``latest``; None for the best if one is known, else the last.
        found: Its scores, if it has any.

    Raises:
        UsageError: If the run is a full fine-tune, or ``wanted`` is none of these.
        TrainerError: If there is no such checkpoint, its files are not there, or nobody can tell which is best.
    """
    _refuse_full(run, state)
    return pick(run, state, wanted, found)


def pick(run: Path, state: RunState, wanted: str | None, found: Scores | None, file: str = WEIGHTS) -> Chosen:
    """``choose`` for any kind of training.

    Args:
        run: The run folder; it may be a copy from elsewhere.
        state: Its state.
        wanted: A step, ``best``, ``last`` or ``latest``; None for the best if one is known, else the last.
        found: Its scores, if it has any.
        file: What must be in the folder of a checkpoint.

    Raises:
        UsageError: If ``wanted`` is none of these.
        TrainerError: If there is no such checkpoint, its files are not there, or nobody can tell which is best.
    """
    if not state.checkpoints:
        remedy = "let it train until its first one; kanjiprep monitor tells what it has made"
        raise TrainerError("has no whole checkpoint", str(run), remedy)
    step, how = _wanted(run, state, wanted, found, file)
    folder = _folder(run, next(one for one in state.checkpoints if one.step == step), state, file)
    told = phases.phases(run_source.recorded(run))
    return Chosen(step, folder, how, (*_warnings(step, told), *_judged(step, found), *_behind(state, found)))


def _refuse_full(run: Path, state: RunState) -> None:
    if run_source.spec(run).model.train == "full":
        folder = shlex.quote(str(run / state.checkpoints[-1].path)) if state.checkpoints else "CHECKPOINT"
        remedy = f"upload the folder of a checkpoint yourself: hf upload REPO_ID {folder}"
        raise UsageError("is a full fine-tune, and publish sends LoRAs", str(run), remedy)


def _wanted(run: Path, state: RunState, wanted: str | None, found: Scores | None, file: str) -> tuple[int, str]:
    """The step of a checkpoint, and why that one."""
    last = state.checkpoints[-1].step
    if wanted == BEST or (wanted is None and found is not None and found.chosen is not None):
        return _best(run, state, found, file), f"the best by {score_table.NAME}"
    if wanted is None:
        return last, f"the last one, since {score_table.NAME} {'chooses none' if found else 'is not there'}"
    if wanted in LAST:
        return last, "the last one, as asked for"
    if not _STEP.fullmatch(wanted):
        raise UsageError(f"{wanted!r:.40} is no checkpoint", "--checkpoint", f"give a step, {BEST} or {LAST[0]}")
    if not _has(state, int(wanted)):
        raise TrainerError(f"has no checkpoint of step {int(wanted)}", str(run), _others(run, state, file))
    return int(wanted), "as asked for"


def _best(run: Path, state: RunState, found: Scores | None, file: str) -> int:
    where, remedy = str(run / score_table.NAME), f"give --checkpoint with a step, or {LAST[0]}"
    if found is None:
        raise TrainerError("is not there, so nobody can tell which checkpoint is best", where, remedy)
    if found.chosen is None:
        raise TrainerError("cannot tell which checkpoint is best: it chooses none", where, remedy)
    if not _has(state, found.chosen):
        what = f"chooses step {found.chosen}, of which the run has no checkpoint"
        raise TrainerError(what, where, _others(run, state, file))
    return found.chosen


def _has(state: RunState, step: int) -> bool:
    return any(one.step == step for one in state.checkpoints)


def _folder(run: Path, checkpoint: Checkpoint, state: RunState, file: str) -> Path:
    """The folder of ``checkpoint``, if its weights are there and inside the run folder."""
    try:
        folder = run_source.within(run, checkpoint.path)
        is_whole = run_source.within(run, f"{checkpoint.path}/{file}").is_file()
        why = "" if is_whole else f"{file} is no file"
    except TrainerError as error:
        why = f"{error.where} {error.what}"
    if why:
        what = f"the checkpoint of step {checkpoint.step} cannot be used: {why}"
        raise TrainerError(what, str(run), _others(run, state, file))
    return folder


def _others(run: Path, state: RunState, file: str) -> str:
    """A remedy that names the steps of which there are weights."""
    there = [str(one.step) for one in state.checkpoints if has_weights(run, one, file)]
    if not there:
        return "none has its weights; copy the run folder anew from where it was made"
    shown = there if len(there) <= 2 * _SHOWN else [*there[:_SHOWN], "...", *there[-_SHOWN:]]
    return f"give --checkpoint with one of {', '.join(shown)}"


def has_weights(run: Path, checkpoint: Checkpoint, file: str = WEIGHTS) -> bool:
    """Whether ``file`` is in the folder of ``checkpoint``, inside the run folder."""
    try:
        return run_source.within(run, f"{checkpoint.path}/{file}").is_file()
    except TrainerError:
        return False


def _warnings(step: int, known: Sequence[Phase]) -> tuple[str, ...]:
    near = [one for one in known if one.start <= step and _after(step, one) <= history.NEAR_STEPS]
    return tuple(_warning(step, one) for one in near)


def _judged(step: int, found: Scores | None) -> tuple[str, ...]:
    """What the scores hold against the checkpoint of ``step``."""
    flags = [one.more.get(_FLAGS, "") for one in found.rows if one.step == step] if found else []
    told = f"{score_table.NAME} flags the checkpoint of step {step:,} for its"
    return tuple(f"{told} {flag}; look at its pictures first" for flag in flags if flag)


def _behind(state: RunState, found: Scores | None) -> tuple[str, ...]:
    """That the scores are older than the last checkpoint."""
    last = state.checkpoints[-1].step
    if found is None or any(one.step >= last for one in found.rows):
        return ()
    known = max(one.step for one in found.rows)
    return (f"{score_table.NAME} says nothing of checkpoints after step {known:,}, and the last is of step {last:,}",)


def _after(step: int, phase: Phase) -> int:
    """Steps from the end of ``phase`` to ``step``; 0 or less within it."""
    return 0 if phase.end is None else step - phase.end


def _warning(step: int, phase: Phase) -> str:
    after = _after(step, phase)
    where = f"{after:,} {'step' if after == 1 else 'steps'} after" if after > 0 else "within"
    return f"the checkpoint of step {step:,} is {where} an explosion ({phase.text}); look at its pictures first"
