"""What a trainer leaves behind as it works, told as events."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from kanjiprep.errors import TrainerError
from kanjiprep.training.running import files, picture_file, picture_health, trainer_log
from kanjiprep.training.running.events import Alert, Attempt, Checkpoint, Event, Stage, Step, Validation
from kanjiprep.training.running.picture_health import Look
from kanjiprep.training.running.run_state import RunState
from kanjiprep.training.running.tail import Tail
from kanjiprep.training.running.trainer_log import StageSeen

GUARD: Final = ".guard"
"""The last file of a checkpoint. Source: SimpleTuner 4.10.1 helpers/utils/checkpoint_manager.py."""
_CHECKPOINT: Final = re.compile(r"checkpoint-(\d+)")
_STEP_KEYS: Final = frozenset({"train_loss", "learning_rate", "epoch"})
"""A line with one of these is of a step; others are of the system. Source: SimpleTuner 4.10.1 trainer.py."""
_CACHING: Final = trainer_log.Stage.PICTURES
_LOOKS: Final = 30
"""So often a picture that cannot be read yet is looked at again."""
_STRIDE: Final = 0.02
"""A stage is told again when so much more of it is done."""


class Observer:
    """Looks at the output folder, the metrics and the log of one attempt, again and again."""

    def __init__(self, run: Path, attempt: Attempt, known: RunState) -> None:
        self._run = run
        self._attempt = attempt
        self._output = run / attempt.output
        self._metrics = Tail(self._output / files.METRICS, attempt.metrics_from)
        self._log = Tail(run / files.LOG, attempt.log_from)
        self._reader = trainer_log.Reader()
        self._seen: StageSeen | None = None
        self._stage = known.stage
        if known.stage is not None:
            self._catch_up()
        self._last = max(known.step, attempt.from_step)
        self._checkpoints = {one.path: self._guarded(run / one.path) for one in known.checkpoints}
        self._pictures = {one.path for one in known.validations}
        self._unreadable: dict[Path, int] = {}
        good = {one.prompt: one for one in known.validations if not one.faults}
        self._good = {prompt: self._look_again(last) for prompt, last in good.items()}
        self.unreadable_lines = 0
        self.seen_bytes = 0

    def _look_again(self, picture: Validation) -> Look | None:
        try:
            look = picture_health.look(self._run / picture.path)
        except TrainerError:  # it was removed since
            return None
        return None if picture_health.faults(look) else look

    def look(self) -> list[Event]:
        """What is new since the last look, in the order: stage, steps, checkpoints, pictures."""
        return [*self._stages(), *self._steps(), *self._new_checkpoints(), *self._new_pictures()]

    def _stages(self) -> Iterator[Event]:
        while data := self._log.data():
            self.seen_bytes += len(data)
            for seen in self._reader.feed(data):
                yield from self._uncached(seen)
                stage = Stage(str(seen.stage), seen.done, seen.total)
                if self._is_news(stage):
                    self._stage = stage
                    yield stage

    def _catch_up(self) -> None:
        """Read what an earlier observer has told of the log already; what it has not is told by the next stage."""
        while data := self._log.data():
            self._reader.feed(data)
        self._seen = self._reader.seen

    def _uncached(self, seen: StageSeen) -> Iterator[Event]:
        """Pictures that are left out of the cache: the trainer goes on, and dies at the first batch with one."""
        before, self._seen = self._seen, seen
        is_over = before is not None and before.stage is _CACHING and seen.stage is not _CACHING
        if is_over and before is not None and before.total and (before.done or 0) < before.total:
            text = f"{before.total - (before.done or 0):,} of {before.total:,} pictures could not be cached"
            yield Alert("cache", "warning", self._last, f"{text}; training will end at the first of them", self._last)

    def _is_news(self, stage: Stage) -> bool:
        before = self._stage
        if before is None or before.stage != stage.stage:
            return True
        if stage.stage == trainer_log.Stage.TRAINING or not stage.total or stage.done is None:
            return False
        is_far = abs(stage.done - (before.done or 0)) >= _STRIDE * stage.total
        return stage.total != before.total or is_far or (stage.done == stage.total != before.done)

    def _steps(self) -> Iterator[Event]:
        for line in self._metrics.lines():
            self.seen_bytes += len(line)
            step = step_of(line, self._attempt.base_step)
            if step is None:
                self.unreadable_lines += 1
            elif step is not _NO_STEP and step.step > self._last:
                self._last = step.step
                yield step

    def _new_checkpoints(self) -> Iterator[Event]:
        for number, folder in whole_checkpoints(self._output):
            path, made = str(folder.relative_to(self._run)), self._guarded(folder)
            if made is not None and self._checkpoints.get(path) != made:
                self._checkpoints[path] = made
                self.seen_bytes += 1
                yield Checkpoint(self._attempt.base_step + number, path, _bytes(folder))

    @staticmethod
    def _guarded(folder: Path) -> int | None:
        try:
            return (folder / GUARD).stat().st_mtime_ns
        except (FileNotFoundError, NotADirectoryError, ValueError):  # unfinished, just removed, an impossible name
            return None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:  # on record, but never made
                return None
            raise

    def _new_pictures(self) -> Iterator[Event]:
        found = (self._output / "validation_images").glob("step_*")
        named = [(match, path) for path in found if (match := picture_file.NAME.fullmatch(path.name))]
        for match, path in sorted(named, key=lambda pair: (int(pair[0][1]), pair[0][2], int(pair[0][3]))):
            inside = str(path.relative_to(self._run))
            if inside not in self._pictures:
                faults = self._faults(path, match[2])
                if faults is not None:
                    self._pictures.add(inside)
                    self.seen_bytes += 1
                    yield Validation(self._attempt.base_step + int(match[1]), match[2], inside, faults)

    def _faults(self, path: Path, prompt: str) -> tuple[str, ...] | None:
        """What is wrong with a picture; None while it may still be written."""
        try:
            look = picture_health.look(path)
        except TrainerError:
            self._unreadable[path] = self._unreadable.get(path, 0) + 1
            return None if self._unreadable[path] < _LOOKS else ("unreadable",)
        if not picture_health.faults(look):
            self._good[prompt] = look
        return picture_health.gone_bad(self._good.get(prompt), look)


_LARGEST: Final = 1e300
"""More is not finite, as a whole number of hundreds of digits is not either."""
_MOST_STEPS: Final = 10**15
_NO_STEP: Final = Step(0, None, None, None, None, None)


def step_of(line: bytes, base_step: int) -> Step | None:
    """The step that a line of training_metrics.jsonl tells of.

    None for a line that is torn or none of the trainer's, ``_NO_STEP`` for one about something else.
    What was not finite is left out by the trainer, and None here.
    """
    try:
        table = json.loads(line)
        number, metrics = table["step"], table["metrics"]
        if not isinstance(number, int) or not isinstance(metrics, dict) or abs(number) > _MOST_STEPS:
            return None
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if not _STEP_KEYS & metrics.keys():
        return _NO_STEP
    gradient = metrics.get("grad_norm", metrics.get("grad_absmax"))
    loss, seconds = metrics.get("train_loss"), metrics.get("step_speed_seconds")
    numbers = (loss, gradient, metrics.get("learning_rate"), seconds, metrics.get("epoch"))
    return Step(base_step + number, *(_number(one) for one in numbers))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and abs(value) <= _LARGEST else None


def whole_checkpoints(output: Path) -> list[tuple[int, Path]]:
    """Steps and folders of the checkpoints in ``output`` that are complete, ascending."""
    found = ((_CHECKPOINT.fullmatch(path.name), path) for path in output.glob("checkpoint-*"))
    return sorted((int(match[1]), path) for match, path in found if match and (path / GUARD).exists())


def _bytes(folder: Path) -> int:
    """Of all files in ``folder``; 0 if they vanish meanwhile, as the oldest checkpoints may."""
    try:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    except FileNotFoundError:
        return 0
