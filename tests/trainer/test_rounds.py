"""How often the trainer makes the pictures of each round: its own decision, and a whole tiny run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from kanjiprep.training.rules import rounds
from kanjiprep.training.trainer import Trainer

pytestmark = pytest.mark.trainer

SCRIPT: Final = """
import json, logging, os, sys
from types import SimpleNamespace as Some
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
logging.disable(logging.CRITICAL)
import torch
from accelerate import Accelerator
from simpletuner.helpers.training.state_tracker import StateTracker
from simpletuner.helpers.training.validation import Validation

def made(batches, accumulation, total, interval):
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=accumulation)
    model = torch.nn.Linear(1, 1)
    steps = -(-batches // accumulation)
    judge = object.__new__(Validation)
    judge.config = Some(validation_step_interval=interval, gradient_accumulation_steps=accumulation,
                        num_update_steps_per_epoch=steps)
    judge.accelerator, judge.deepspeed, judge.validation_prompt_metadata = accelerator, False, {"a": "b"}
    judge._use_distributed_validation = lambda: False
    judge._pending_epoch_validation, judge._epoch_validations_completed = None, set()
    StateTracker.set_global_step(0)
    StateTracker.set_global_resume_step(0)
    found, step, global_step, epoch = {}, 0, 0, 0  # from here on, what Trainer.train does
    while global_step < total:
        epoch += 1
        StateTracker.set_epoch(epoch)
        for taken in range(batches + 1):
            step += 1
            if taken == batches:  # the iterator says False
                if judge.would_validate(step=step, epoch_end=True):
                    found["end"] = epoch
                break
            with accelerator.accumulate(model):
                pass
            if accelerator.sync_gradients:
                global_step += 1
                StateTracker.set_global_step(global_step)
            if judge.would_validate(step=step):
                found[global_step] = found.get(global_step, 0) + 1
            if global_step >= total:
                break
    return found

print(json.dumps([made(*one) for one in json.load(sys.stdin)]), file=answers, flush=True)
"""

CASES: Final = [
    (batches, accumulation, total, interval)
    for batches in (4, 5, 6, 7, 12)
    for accumulation in (1, 2, 3, 4)
    for total in (9, 24, 36)
    for interval in (1, 2, 3, 4, 6, 7)
]

PICTURES, BATCH, ACCUMULATION, REPEATS, STEPS, EVERY = 20, 6, 2, 1, 8, 2


def asked(trainer: Trainer, folder: Path, cases: Sequence[tuple[int, ...]]) -> list[dict[str, int]]:
    environ = {**os.environ, "SIMPLETUNER_LOG_LEVEL": "ERROR"}
    done = subprocess.run(
        [str(trainer.python), "-c", SCRIPT],
        input=json.dumps(cases),
        cwd=folder,
        env=environ,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[dict[str, int]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_rounds_are_made_where_the_trainers_own_judgement_has_them_made(trainer: Trainer, tmp_path: Path) -> None:
    users = [(1069, 2, 16_050, 535), (356, 2, 5340, 178), (356, 2, 5340, 177), (357, 4, 2700, 90)]
    cases = [*CASES, *users]
    for case, theirs in zip(cases, asked(trainer, tmp_path, cases), strict=True):
        ours = {str(step): times for step, times in rounds.paintings(*case).items() if times}
        assert ours == theirs, case


def kanjiprep(folder: Path, trainer: Trainer, *arguments: str) -> str:
    environ = {**os.environ, "KANJIPREP_SIMPLETUNER": str(trainer.python)}
    line = [sys.executable, "-m", "kanjiprep", *arguments]
    done = subprocess.run(line, cwd=folder, env=environ, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def run(trainer: Trainer, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """What was planned of a run whose epochs end with its rounds, and the output of the real one."""
    folder = tmp_path_factory.mktemp("rounds")
    kanjiprep(folder, trainer, "build", "--limit", str(PICTURES), "--size-px", "256")
    changes = {
        "training.accumulation": ACCUMULATION,
        "training.repeats": REPEATS,
        "training.steps": STEPS,
        "checkpoints.every_steps": EVERY,
    }
    preset = ["tiny-cpu", *(word for key, value in changes.items() for word in ("--set", f"{key}={value}"))]
    planned = json.loads(kanjiprep(folder, trainer, "plan", *preset, "--json"))
    line = kanjiprep(folder, trainer, "launch-simpletuner", *preset, "--dry-run")
    environ = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        ["/bin/sh", "-c", line], cwd=folder, env=environ, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return planned, folder / "runs" / "tiny-cpu" / "output"


def test_rounds_of_a_real_run_are_made_twice_or_never_as_foreseen(run: tuple[dict[str, Any], Path]) -> None:
    planned, output = run
    lines = (output / "validation_media.jsonl").read_text("utf-8").splitlines()
    made = Counter(one["step"] for one in map(json.loads, lines) if one["label"] == "pikachu")
    batches = rounds.batches_an_epoch({"1.0": PICTURES}, BATCH, repeats=REPEATS)
    assert batches == 8, "each repeat fills up its last batch: 40 samples in one go would be 7"
    assert rounds.paintings(batches, ACCUMULATION, STEPS, EVERY) == {2: 1, 4: 2, 6: 1, 8: 0}
    assert made == {2: 1, 4: 2, 6: 1}
    (finding,) = (one for one in planned["findings"] if one["rule"] == "rounds-left-out")
    assert "never makes 1, the last one among them (step 8), and makes 1 twice (step 4)" in finding["what"]


def test_every_step_has_its_checkpoint_whether_it_has_pictures_or_not(run: tuple[dict[str, Any], Path]) -> None:
    _, output = run
    assert {path.name for path in output.glob("checkpoint-*")} == {f"checkpoint-{step}" for step in (2, 4, 6, 8)}
