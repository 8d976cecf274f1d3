"""What a training has made, to paint with: an adapter or a whole model, and the model that it belongs to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from kanjiprep.errors import TrainerError, UsageError
from kanjiprep.evaluation import score_table
from kanjiprep.evaluation.weights import lora
from kanjiprep.paths import portable
from kanjiprep.publishing import choice
from kanjiprep.training import configs, models, presets, run_folder
from kanjiprep.training.run_spec import FLAVOURS, RunSpec, Validation
from kanjiprep.training.running import files, run_source
from kanjiprep.training.running.attempts import WEIGHTS

PARTS: Final = {"sd3": "transformer", "sd1x": "unet"}
"""The folder of a pipeline that a full fine-tune trains, by family."""
_INDEX: Final = "config.json"
_FILE: Final = re.compile(r"\.[A-Za-z][A-Za-z0-9]*")
"""The suffix of a file; a run may be named for a version, as in my-sd3.5-run."""
_STRANGE: Final = re.compile(r"[^\w.-]+")
_MOST_BYTES: Final = 120
_MARK: Final = 6
"""Of a name, so that the names of files which it begins are short enough too."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """One outcome of a training.

    Attributes:
        kind: An adapter, or all weights of a model's main part.
        path: The adapter's file, or the folder of the trained part, which has a config.json.
        name: Short and fit for a part of a file name.
        step: Of its run; None where there is no run.
        how: Why this one, in words.
        family: ``sd3`` or ``sd1x``; empty if its file does not tell.
        flavour: As in a spec; empty if its file does not tell.
        base: The model that it belongs to, a repository of the Hub or a folder; empty if nobody knows.
        run: The run folder, if it is of one.
        asked: How its run paints validation pictures.
        alpha: That an adapter was trained with; None where there is no run.
        warnings: What speaks against it, a sentence each.
    """

    kind: Literal["lora", "full"]
    path: Path
    name: str
    step: int | None
    how: str
    family: str
    flavour: str
    base: str
    run: Path | None = None
    asked: Validation | None = None
    alpha: float | None = None
    warnings: tuple[str, ...] = ()


def find(wanted: str, checkpoint: str | None = None) -> Tuned:
    """What ``wanted`` names: a run, an adapter's file, or a folder that holds an adapter or a trained part.

    Args:
        wanted: A path, or the name of a run in runs/.
        checkpoint: Of a run: a step, ``best`` or ``last``; None for the best if one is known, else the last.

    Raises:
        UsageError: If there is no such thing, or a checkpoint is wanted of something else than a run.
        TrainerError: If the run has no such checkpoint, or a file cannot be read.
    """
    path = Path(wanted)
    found = None if _is_run(path) else _file(path) or _folder(path)
    if found is None:
        return _of_run(_run(wanted), checkpoint)
    if checkpoint is not None:
        raise UsageError("is one checkpoint alone", wanted, "leave --checkpoint out, or give the folder of its run")
    return found


def every(run: str) -> tuple[Tuned, ...]:
    """All checkpoints of a run whose weights are there, by step.

    Raises:
        UsageError: If there is no such run, or it is one checkpoint alone.
        TrainerError: If it has none, or its record cannot be read.
    """
    if not _is_run(Path(run)) and _weights_at(Path(run)) is not None:
        raise UsageError("is one checkpoint alone", run, "give the folder of its run")
    folder = _run(run)
    state, spec, scores = run_source.state(folder), run_source.spec(folder), score_table.read(folder)
    file = _weights(spec)
    steps = sorted({one.step for one in state.checkpoints if choice.has_weights(folder, one, file)})
    if not steps:
        raise TrainerError(
            "has no checkpoint whose weights are there", str(folder), "let it train until its first one"
        )
    return tuple(_tuned(folder, spec, choice.pick(folder, state, str(step), scores, file)) for step in steps)


def planned_alpha(spec: RunSpec) -> float:
    """The alpha of the adapter that ``spec`` asks for: the rank where it says none."""
    return float(spec.lora.rank) if spec.lora.alpha is None else spec.lora.alpha


def _run(wanted: str) -> Path:
    try:
        return files.find(wanted)
    except UsageError as error:
        if _FILE.fullmatch(Path(wanted).suffix):
            raise UsageError("there is no such file", wanted, "check its path") from error
        remedy = f"{error.remedy}, or give the file of a LoRA"
        raise UsageError(error.what, error.where, remedy) from error


def _is_run(path: Path) -> bool:
    with suppress(OSError, ValueError):
        return (path / files.ORDER).is_file()
    return False


def _of_run(run: Path, checkpoint: str | None) -> Tuned:
    state, spec = run_source.state(run), run_source.spec(run)
    return _tuned(run, spec, choice.pick(run, state, checkpoint, score_table.read(run), _weights(spec)))


def _weights(spec: RunSpec) -> str:
    return WEIGHTS if spec.model.train == "lora" else f"{PARTS[spec.model.family]}/{_INDEX}"


def _tuned(run: Path, spec: RunSpec, chosen: choice.Chosen) -> Tuned:
    file = chosen.path / _weights(spec)
    return Tuned(
        kind=spec.model.train,
        path=file if spec.model.train == "lora" else file.parent,
        name=_named([run.name]),
        step=chosen.step,
        how=chosen.how,
        family=spec.model.family,
        flavour=spec.model.flavour,
        base=_base(run, spec),
        run=run,
        asked=spec.validation,
        alpha=planned_alpha(spec),
        warnings=chosen.warnings,
    )


def _base(run: Path, spec: RunSpec) -> str:
    """The model that the trainer was told to load; of a folder on another machine, the one that its flavour is of."""
    told = run_source.table(run / run_folder.CONFIG / configs.CONFIG).get("pretrained_model_name_or_path")
    if isinstance(told, str) and told and (Path(told).exists() or not Path(told).is_absolute()):
        return told
    try:
        return models.model_of(spec.model.family, spec.model.flavour).repo
    except UsageError as error:
        raise TrainerError(error.what, str(run / presets.SPEC), error.remedy) from error


def _file(path: Path) -> Tuned | None:
    file = _weights_at(path)
    if file is None:
        return None
    return _of_checkpoint(file) or _of_file(file, [path.stem if file == path else path.resolve().name])


def _weights_at(path: Path) -> Path | None:
    """A file itself, or the adapter in a folder."""
    with suppress(OSError, ValueError):
        return next((one for one in (path, path / WEIGHTS) if one.is_file()), None)
    return None


def _of_checkpoint(file: Path) -> Tuned | None:
    """A file where a run has put it."""
    folder = file.resolve().parent
    run = folder.parent.parent
    if file.name != WEIGHTS or not _is_run(run):
        return None
    state, spec = run_source.state(run), run_source.spec(run)
    steps = (one.step for one in state.checkpoints if run / one.path == folder)
    step = next(steps, None)
    if step is None or spec.model.train != "lora":
        return None
    chosen = choice.pick(run, state, str(step), score_table.read(run), WEIGHTS)
    return replace(_tuned(run, spec, chosen), path=file, how="the checkpoint that was given")


def _of_file(path: Path, words: Iterable[str]) -> Tuned:
    family, _, flavour = lora.family_of(path).partition(" ")
    if family not in FLAVOURS:
        family = flavour = ""
    elif not flavour:
        flavour = FLAVOURS[family][0]
    base = models.model_of(family, flavour).repo if family else ""
    return Tuned("lora", path, _named(words), None, "the file that was given", family, flavour, base)


def _folder(path: Path) -> Tuned | None:
    for family, part in PARTS.items():
        with suppress(OSError, ValueError):
            if (path / part / _INDEX).is_file():
                flavour = models.flavour_of(family, run_source.table(path / part / _INDEX))
                base = models.model_of(family, flavour).repo if flavour else ""
                name = _named([path.resolve().name])
                return Tuned("full", path / part, name, None, "the folder that was given", family, flavour, base)
    return None


def _named(words: Iterable[str]) -> str:
    whole = _STRANGE.sub("-", "-".join(words))
    if len(whole.encode()) <= _MOST_BYTES:
        return portable(whole, "lora", _MOST_BYTES)
    mark = hashlib.sha256(whole.encode()).hexdigest()[:_MARK]  # names that differ behind the cut stay apart
    return f"{portable(whole, 'lora', _MOST_BYTES - _MARK - 1)}-{mark}"
