"""SimpleTuner's own judgement of rendered files, asked in a process of its own."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kanjiprep.errors import TrainerError
from kanjiprep.training import trainer as trainers
from kanjiprep.training.trainer import Trainer

TIMEOUT_S: Final = 600.0
"""Loading the trainer's libraries takes most of it: 21 s on two idle cores, more on a busy machine."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that the trainer would refuse, or silently read otherwise.

    Attributes:
        kind: Of a key of the config: ``unknown``, ``abbreviation``, ``value``, ``missing``, ``twice``, ``ignored``,
            ``dropped``, ``collapsed``, ``contradiction`` or ``flavour``. Of the dataloader file:
            ``backend_shape``, ``backend_id``, ``backend_key`` or ``backend``.
        key: The key; ``id.key`` in the dataloader file; perhaps empty.
        text: What is wrong, in words.
    """

    kind: str
    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key}: {self.text}" if self.key else self.text


@dataclass(frozen=True, slots=True)
class DeepCheck:
    """What the trainer says of a config and a dataloader file.

    Attributes:
        version: Of the trainer.
        problems: Everything that is wrong.
        arrived: Value by option as the trainer reads it, defaults included, where JSON can hold it.
        types: Name of the type by option, of all.
    """

    version: str
    problems: tuple[Problem, ...]
    arrived: Mapping[str, object]
    types: Mapping[str, str]


def check(
    trainer: Trainer,
    config: Mapping[str, object],
    backends: Sequence[Mapping[str, object]],
    timeout_s: float = TIMEOUT_S,
) -> DeepCheck:
    """What ``trainer`` says of a config.json and a dataloader file; needs no GPU, network or dataset.

    Args:
        trainer: Which one.
        config: What config.json holds.
        backends: What multidatabackend.json holds.
        timeout_s: Longest wait.

    Raises:
        TrainerError: If its process crashes, takes too long or answers nothing that is understood.
    """
    question = json.dumps({"config": config, "backends": backends}, ensure_ascii=True)
    with tempfile.TemporaryDirectory(prefix="kanjiprep-check-") as folder:  # the trainer empties ./debug.log
        place = Path(folder)
        arguments = ("check.py", "answer.json")
        trainers.inside(trainer, *arguments, timeout_s=timeout_s, cwd=place, stdin=question)
        return read(place / "answer.json", str(trainer.python))


def read(path: Path, where: str) -> DeepCheck:
    """The answer in ``path``.

    Raises:
        TrainerError: If there is none, or none that is understood.
    """
    try:
        told = json.loads(path.read_text("utf-8"))
        problems = tuple(Problem(str(one["kind"]), str(one["key"]), str(one["text"])) for one in told["problems"])
        return DeepCheck(str(told["version"]), problems, dict(told["arrived"]), dict(told["types"]))
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise TrainerError("its check gave no answer that is understood", where, trainers.REMEDY) from error
