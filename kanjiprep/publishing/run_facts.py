"""The facts of a training, read from its run folder and freed of every path."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kanjiprep.errors import HubError, TrainerError, UsageError, os_reason
from kanjiprep.publishing import names, privacy, run_source
from kanjiprep.publishing.choice import Chosen
from kanjiprep.publishing.facts import Adapter, Base, Course, Machine, Pictures, Recipe, RunFacts, Validated, Warned
from kanjiprep.training import configs, models, presets, run_folder, schedule
from kanjiprep.training.run_spec import CPU, RunSpec
from kanjiprep.training.running import files
from kanjiprep.training.running.events import Attempt
from kanjiprep.training.running.files import Order
from kanjiprep.training.running.run_state import RunState

CAPTIONS: Final = 3
_RESTORE: Final = "copy the run folder anew from where it was made"


@dataclass(frozen=True, slots=True)
class _Environment:
    """What of environment.json is told."""

    kanjiprep: str
    simpletuner: str
    trainer: str
    packages: Mapping[str, str]
    gpus: tuple[str, ...]
    dataset: str
    digest: str
    pictures: int
    hub_dataset: str = ""
    hub_revision: str = ""


def read(run: Path, state: RunState, chosen: Chosen) -> RunFacts:
    """What ``run`` tells of itself and of its checkpoint ``chosen``.

    Raises:
        TrainerError: Naming the file that is missing or damaged.
    """
    spec, order, environment = run_source.spec(run), files.read_order(run), _environment(run)
    known = tuple(_places(run, state, environment, order))
    return RunFacts(
        name=run.resolve().name,
        title=_told(spec.title, known),
        base=_base(run, spec),
        adapter=Adapter(spec.lora.rank, spec.lora.alpha or float(spec.lora.rank), spec.lora.targets),
        pictures=_pictures(run, environment),
        recipe=_recipe(spec, order, _rate(run, spec, chosen)),
        machine=_machine(spec, environment),
        course=_course(state, order, known),
        validation=_validated(spec),
    )


def _environment(run: Path) -> _Environment:
    path = run / files.ENVIRONMENT
    found = run_source.table(path)
    ours = {name: found[name] for name in _Environment.__slots__ if name in found}
    return run_source.understood(_Environment, ours, path)


def _places(run: Path, state: RunState, environment: _Environment, order: Order) -> Iterator[str]:
    """Paths of the machine that trained and of this one, as texts may name them."""
    output = state.attempt.output if state.attempt else "output"
    home = files.home(run, output)
    yield from (str(run), str(run.resolve()), str(run.parent), str(run.resolve().parent))
    yield from (environment.dataset, environment.trainer, *order.command)
    yield from (str(Path(home).parent), str(Path(home).parent.parent)) if home else ()


def _base(run: Path, spec: RunSpec) -> Base:
    """The base model; of a folder, whose path is private, the one that its flavour is of."""
    model = spec.model
    named = _repo(model.path)
    if named and not (run / named).exists():
        return Base(model.family, model.flavour, named, False, model.precision)
    try:
        repo = models.model_of(model.family, model.flavour).repo
    except UsageError as error:
        raise TrainerError(error.what, str(run / presets.SPEC), error.remedy) from error
    return Base(model.family, model.flavour, repo, bool(repo and model.path), model.precision)


def _repo(text: str) -> str:
    """``text`` if it is the full name of a repository on the Hub; nothing if it may be a path."""
    try:
        names.refuse_repo(text)
    except HubError:
        return ""
    return text if "/" in text else ""


def _revision(text: str) -> str:
    """``text`` if it is a name of a revision, else nothing."""
    try:
        names.refuse_revision(text, "a revision")
    except HubError:
        return ""
    return text


def _pictures(run: Path, environment: _Environment) -> Pictures:
    return Pictures(
        digest=environment.digest,
        count=environment.pictures,
        hub_dataset=_repo(environment.hub_dataset),
        hub_revision=_revision(environment.hub_revision),
        captions=_captions(run / run_folder.CONFIG / configs.CAPTIONS),
    )


def _captions(path: Path) -> tuple[str, ...]:
    try:
        with path.open("rb") as stream:
            tables = [run_source.parsed(line, str(path)) for line in itertools.islice(stream, CAPTIONS)]
    except OSError as error:
        raise TrainerError(f"cannot be read: {os_reason(error)}", str(path), _RESTORE) from error
    texts = [table.get("text") for table in tables]
    if not all(isinstance(text, str) for text in texts):
        raise TrainerError("has a line without a caption", str(path), _RESTORE)
    return tuple(map(str, texts))


def _rate(run: Path, spec: RunSpec, chosen: Chosen) -> float:
    """The highest learning rate of the attempt that made ``chosen``."""
    output = chosen.path.parent.relative_to(run.resolve()).as_posix()
    attempts = [one for one in run_source.recorded(run) if isinstance(one, Attempt) and one.output == output]
    return attempts[-1].learning_rate if attempts else spec.optimizer.learning_rate


def _recipe(spec: RunSpec, order: Order, rate: float) -> Recipe:
    training = spec.training
    return Recipe(
        total_steps=order.total_steps,
        steps_per_epoch=order.steps_per_epoch,
        batch=training.batch,
        accumulation=training.accumulation,
        pictures_a_step=schedule.portions_of(spec).pictures_a_step,
        planned_rate=spec.optimizer.learning_rate,
        learning_rate=rate,
        shape=_shape(spec),
        warmup_steps=spec.schedule.warmup_steps,
        optimizer=spec.optimizer.name,
        clip=spec.optimizer.clip,
        clip_at=spec.optimizer.clip_at,
        resolution_px=training.resolution_px,
        caption_dropout=training.caption_dropout,
        seed=training.seed,
    )


def _shape(spec: RunSpec) -> str:
    """The trainer has no cosine after a climb, and runs a straight fall instead."""
    wanted = spec.schedule
    return "polynomial" if wanted.shape == "cosine" and wanted.warmup_steps else wanted.shape


def _validated(spec: RunSpec) -> Validated:
    asked = spec.validation
    return Validated(asked.inference_steps, asked.guidance, asked.size_px, asked.seed, asked.skip_layers)


def _machine(spec: RunSpec, environment: _Environment) -> Machine:
    used = 0 if spec.machine.gpu == CPU else spec.machine.gpus
    return Machine(environment.gpus[:used], environment.kanjiprep, environment.simpletuner, environment.packages)


def _course(state: RunState, order: Order, known: Collection[str]) -> Course:
    hours, ended = state.spent_s / 3600, state.exit
    return Course(
        steps=state.step,
        hours=hours,
        usd=None if order.usd_per_hour is None else hours * order.usd_per_hour,
        alerts=tuple(Warned(_told(one.text, known), one.step) for one in state.alerts if one.severity != "note"),
        rollbacks=state.rollbacks,
        ended=ended.status if ended else "",
        reason=_told(ended.reason, known) if ended else "",
    )


def _told(text: str, known: Collection[str]) -> str:
    """``text`` on one line, without paths."""
    return " ".join(privacy.without_paths(text, known).split())
