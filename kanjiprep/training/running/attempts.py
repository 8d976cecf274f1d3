"""How an attempt begins: what the trainer reads, where it goes on, and its process."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from kanjiprep.errors import TrainerError, os_reason
from kanjiprep.training import configs, curve, pictures, presets, run_folder, schedule
from kanjiprep.training import trainer as trainers
from kanjiprep.training.configs import Places
from kanjiprep.training.run_spec import RunSpec
from kanjiprep.training.running import ending, files, guard, observe, picture_file, processes, tail
from kanjiprep.training.running.events import Attempt, Why
from kanjiprep.training.running.files import Order
from kanjiprep.training.running.processes import Identity
from kanjiprep.training.running.record import Record
from kanjiprep.training.running.run_state import RunState

WEIGHTS: Final = "pytorch_lora_weights.safetensors"
LEAST_RATE: Final = 1e-12
"""Nothing moves at that; the trainer refuses a rate of 0, which is what the end of a cosine is cut down to."""
_UNWANTED: Final = ("LAMBDA_API_KEY",)
"""Secrets that a trainer has no use for."""


@dataclass(frozen=True, slots=True)
class Start:
    """How the next attempt begins.

    Attributes:
        why: Its reason.
        base_step: Steps of the run before the trainer's own count.
        from_step: The last step that is not done again.
        folder: Of its config and output, inside the run folder; empty for the run folder itself.
        from_checkpoint: Whose weights it starts with, inside the run folder; empty for none.
        learning_rate: At its peak.
    """

    why: Why
    base_step: int
    from_step: int
    folder: str
    from_checkpoint: str
    learning_rate: float

    @property
    def output(self) -> str:
        """The trainer's output folder, inside the run folder."""
        return str(Path(self.folder) / "output")


def afresh(run: Path) -> Start:
    """The first attempt of all."""
    return Start("start", 0, 0, "", "", _rate(run))


def _rate(run: Path) -> float:
    return presets.load(str(run)).spec.optimizer.learning_rate


def resumed(run: Path, state: RunState) -> Start:
    """Going on from the latest whole checkpoint of the last attempt, or from its beginning if there is none.

    What is left of an unfinished checkpoint is moved aside: the trainer would take the highest number. So are
    pictures of steps that will be taken again, for they will be painted again under the same names.

    Raises:
        TrainerError: If something cannot be moved aside.
    """
    last = state.attempt or Attempt(0, "start", 0, 0, 0, "output", Identity(0, 0, ""), 0, 0, "", _rate(run))
    folder = str(Path(last.output).parent)
    whole = observe.whole_checkpoints(run / last.output)
    try:
        _set_unfinished_aside(run / last.output)
        _set_undone_aside(run / last.output, whole[-1][0] if whole else 0)
    except OSError as error:
        place = str(error.filename or run)
        raise TrainerError(f"cannot be moved aside: {os_reason(error)}", place, "check its permissions") from error
    done = last.base_step + (whole[-1][0] if whole else 0)
    checkpoint = str(whole[-1][1].relative_to(run)) if whole else last.from_checkpoint
    return Start("resume", last.base_step, done, "" if folder == "." else folder, checkpoint, last.learning_rate)


def _set_unfinished_aside(output: Path) -> None:
    for path in output.glob("checkpoint-*"):
        if not (path / observe.GUARD).exists():
            path.rename(path.with_name(f"unfinished-{path.name}-{os.urandom(3).hex()}"))


def _set_undone_aside(output: Path, last: int) -> None:
    """Move the pictures of steps after ``last``, as the trainer counts."""
    for path in sorted((output / "validation_images").glob("step_*")):
        match = picture_file.NAME.fullmatch(path.name)
        if match and int(match[1]) > last:
            path.rename(path.with_name(f"undone-{os.urandom(3).hex()}-{path.name}"))


def rolled_back(run: Path, state: RunState, order: Order, before: int, number: int) -> Start:
    """Going on from the weights of the last checkpoint before step ``before``, at a lower rate.

    A trainer that resumes takes its learning rate from the checkpoint, whatever its config says; so the
    attempt starts anew from the adapter alone, with the steps that remain and files of its own.

    Raises:
        TrainerError: If the run is no LoRA, or its new files cannot be written.
    """
    preset = presets.load(str(run))
    if preset.spec.model.train != "lora":
        raise TrainerError("only a LoRA can be rolled back", str(run), "use the policy stop for a full fine-tune")
    base, checkpoint = _last_good(run, state, before)
    spec = lowered(preset.spec, base, order, order.guard.rate_factor ** (state.rollbacks + 1))
    start = Start("rollback", base, base, f"attempt-{number}", checkpoint, spec.optimizer.learning_rate)
    weights = str(run / checkpoint / WEIGHTS) if checkpoint else ""
    _render(run, spec, preset, start.folder, weights)
    return start


def _last_good(run: Path, state: RunState, before: int) -> tuple[int, str]:
    """Step and path of the last checkpoint before step ``before``; 0 and an empty path for none.

    One that a rollback has begun with already, and made nothing better of, is passed over.
    """
    last = state.attempt
    has_made_none = last is not None and last.from_step == last.base_step
    tried = last.from_checkpoint if last is not None and has_made_none else ""
    kept = [
        one
        for one in state.checkpoints
        if one.step < before and one.path != tried and (run / one.path / WEIGHTS).is_file()
    ]
    return (kept[-1].step, kept[-1].path) if kept else (0, "")


def lowered(spec: RunSpec, base_step: int, order: Order, factor: float) -> RunSpec:
    """``spec`` for the steps after ``base_step``, at the share ``factor`` of the rates that were planned for them.

    Its rate is at most ``factor`` times the highest that was planned from there on. Adam begins without its
    averages, so a climb is kept where there was one, of at most a tenth of what remains.
    """
    planned = curve.rates(curve.scheduler_of(spec, order.total_steps))[base_step:]
    left = order.total_steps - base_step
    peak = max(factor * max(planned), LEAST_RATE)
    end = factor * spec.schedule.end_learning_rate
    steps = replace(spec.training, epochs=None, steps=left, steps_by_hand=None)
    shape = replace(
        spec.schedule,
        warmup_steps=min(spec.schedule.warmup_steps, left // 10),
        end_learning_rate=end if end < peak else peak / 2,
    )
    every = schedule.checkpoint_interval(spec.checkpoints, order.steps_per_epoch)
    kept = replace(spec.checkpoints, every_epochs=None, every_steps=every)
    optimizer = replace(spec.optimizer, learning_rate=peak)
    return replace(spec, optimizer=optimizer, schedule=shape, training=steps, checkpoints=kept)


def _render(run: Path, spec: RunSpec, preset: presets.Preset, folder: str, weights: str) -> None:
    places = Places(run, _tiny_models(run), run / folder)
    known = pictures.read_captions(run / run_folder.CONFIG / configs.CAPTIONS)
    steps = schedule.count(spec, pictures.buckets(known, spec.training.resolution_px))
    rendered = configs.render(spec, steps, preset.prompts, places, preset.templates)
    if weights:
        beginning = {"init_lora": weights, "init_lora_step": 0}
        rendered = replace(rendered, config={**rendered.config, **beginning})
    config = run / folder / run_folder.CONFIG
    try:
        config.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainerError(f"cannot be made: {os_reason(error)}", str(config), "free some space") from error
    files.replace(run / folder / presets.SPEC, presets.to_toml(replace(preset, spec=spec).resolved_spec()))
    for name, data in rendered.files().items():
        files.replace(config / name, data)


def _tiny_models(run: Path) -> Path:
    """The folder of random models that the run's own config was rendered with; of no matter for others."""
    path = run / run_folder.CONFIG / configs.CONFIG
    try:
        return Path(json.loads(path.read_bytes()).get("pretrained_model_name_or_path", "none")).parent
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise TrainerError("is not as it was written", str(path), "launch the run anew") from error


def next_start(run: Path) -> Start | None:
    """How ``run`` goes on by its order; None if its trainer is there, or was done while nobody watched.

    Raises:
        TrainerError: If the order cannot be read, or what it wants cannot be done.
    """
    order, state = files.read_order(run), Record(run).state
    last = state.attempt
    if last is None:  # with checkpoints all the same, its record is lost
        return resumed(run, state) if observe.whole_checkpoints(run / "output") else afresh(run)
    is_there = processes.is_alive(last.trainer, processes.run_id(run))
    if is_there or (state.exit is None and ending.is_complete(run, last)):
        return None
    was_going_back = state.exit is not None and state.exit.status == "rolled back"
    if order.way == "rollback" or was_going_back:
        before = guard.began(state.alerts, state.step + 1)
        return rolled_back(run, state, order, before, last.number + 1)
    return resumed(run, state)


def begin(run: Path, order: Order, start: Start, number: int) -> tuple[Attempt, subprocess.Popen[bytes]]:
    """The attempt that ``start`` describes, and its process.

    Raises:
        TrainerError: If the trainer cannot be started.
    """
    files.replace(run / files.SIGNAL, json.dumps({"manual_checkpoint": 0, "manual_validation": 0}).encode())
    metrics = tail.size(run / start.output / files.METRICS)
    log = tail.size(run / files.LOG)
    process = _spawn(run, order, start)
    identity = processes.identify(process.pid) or processes.Identity(process.pid, 0, "")
    attempt = Attempt(
        number=number,
        why=start.why,
        base_step=start.base_step,
        from_step=start.from_step,
        total_steps=order.total_steps,
        output=start.output,
        trainer=identity,
        metrics_from=metrics,
        log_from=log,
        from_checkpoint=start.from_checkpoint,
        learning_rate=start.learning_rate,
    )
    return attempt, process


def _spawn(run: Path, order: Order, start: Start) -> subprocess.Popen[bytes]:
    """The trainer, in a session of its own, writing straight into the log: nobody's death is its."""
    try:
        with (run / files.LOG).open("ab") as log:
            return subprocess.Popen(  # noqa: S603
                order.command,
                cwd=run,
                env=environment(run, order, start, os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        what = f"cannot be started: {os_reason(error)}"
        raise TrainerError(what, str(order.command[0]), trainers.REMEDY) from error


def environment(run: Path, order: Order, start: Start, ours: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of the trainer's process."""
    passed = {name: value for name, value in ours.items() if name not in (*trainers.MISLEADING, *_UNWANTED)}
    return {
        **passed,
        **order.environment,
        "CONFIG_PATH": str(run / start.folder / run_folder.CONFIG),
        processes.RUN_VARIABLE: processes.run_id(run),
        "SIMPLETUNER_ACCELERATE_SIGNAL_FILE": str(run / files.SIGNAL),
    }
