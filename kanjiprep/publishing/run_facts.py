"""What a run folder tells of a training, in the words of a model card and freed of every path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kanjiprep import privacy
from kanjiprep.errors import HubError, TrainerError, UsageError
from kanjiprep.publishing import names
from kanjiprep.publishing.choice import Chosen
from kanjiprep.publishing.layouts import shortened
from kanjiprep.publishing.model_facts import Base, Sampling, Training, TrainingData
from kanjiprep.publishing.tuned import planned_alpha
from kanjiprep.training import models, presets, schedule
from kanjiprep.training.run_spec import CPU, RunSpec
from kanjiprep.training.running import files, run_source
from kanjiprep.training.running.events import Attempt
from kanjiprep.training.running.files import Order
from kanjiprep.training.running.run_source import Environment
from kanjiprep.training.running.run_state import RunState

MOST_ALERTS: Final = 20


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A training, as far as its run folder knows it.

    Attributes:
        base: What was trained.
        planned_rank: Of the adapter; its own file knows better.
        planned_alpha: The same.
        data: What it was trained on.
        training: How.
        sampling: How its validation pictures are painted.
    """

    base: Base
    planned_rank: int
    planned_alpha: float
    data: TrainingData
    training: Training
    sampling: Sampling


def read(run: Path, state: RunState, chosen: Chosen) -> RunFacts:
    """What ``run`` tells of itself and of its checkpoint ``chosen``.

    Raises:
        TrainerError: Naming the file that is missing or damaged.
    """
    spec, order, environment = run_source.spec(run), files.read_order(run), run_source.environment(run)
    asked = spec.validation
    return RunFacts(
        base=_base(run, spec),
        planned_rank=spec.lora.rank,
        planned_alpha=planned_alpha(spec),
        data=_data(run, environment),
        training=_training(run, state, chosen, spec, order, environment),
        sampling=Sampling(asked.inference_steps, asked.guidance, asked.size_px, asked.seed, asked.skip_layers),
    )


def _base(run: Path, spec: RunSpec) -> Base:
    """The base model; of a folder, whose path is private, the one that its flavour is of."""
    model = spec.model
    try:
        known = models.model_of(model.family, model.flavour)
    except UsageError as error:
        raise TrainerError(error.what, str(run / presets.SPEC), error.remedy) from error
    named = _repo(model.path)
    is_folder = model.path != "" and (not named or (run / named).exists())
    if named not in ("", known.repo) and not is_folder:
        return Base(named, named.rpartition("/")[2], model.family)
    return Base(known.repo, known.name, model.family, is_copy=is_folder and known.repo != "")


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


def _data(run: Path, environment: Environment) -> TrainingData:
    return TrainingData(
        pictures=environment.pictures,
        caption=shortened(run_source.first_caption(run)),
        is_kanji=environment.is_built,
        repo_id=_repo(environment.hub_dataset),
        revision=_revision(environment.hub_revision),
        digest=environment.digest,
    )


def _training(
    run: Path, state: RunState, chosen: Chosen, spec: RunSpec, order: Order, environment: Environment
) -> Training:
    portions, hours = schedule.portions_of(spec), state.spent_s / 3600
    known = tuple(_places(run, state, environment, order))
    return Training(
        step=chosen.step,
        total_steps=order.total_steps,
        epochs=chosen.step / order.steps_per_epoch,
        batch=portions.batch,
        accumulation=portions.accumulation,
        gpus=portions.gpus,
        pictures_a_step=portions.pictures_a_step,
        learning_rate=_rate(run, spec, chosen),
        schedule=_schedule(spec),
        optimizer=spec.optimizer.name,
        clip=_clip(spec),
        resolution_px=spec.training.resolution_px,
        caption_dropout=spec.training.caption_dropout,
        precision=spec.model.precision,
        seed=spec.training.seed,
        trainer=f"SimpleTuner {environment.simpletuner}, kanjiprep {environment.kanjiprep}",
        gpu=_gpu(spec, environment),
        hours=hours,
        usd=None if order.usd_per_hour is None else hours * order.usd_per_hour,
        ended=_ended(state, known),
        rollbacks=state.rollbacks,
        alerts=tuple(_alerts(state, known)),
    )


def _places(run: Path, state: RunState, environment: Environment, order: Order) -> Iterator[str]:
    """Paths of the machine that trained and of this one, as texts may name them."""
    output = state.attempt.output if state.attempt else "output"
    home = files.home(run, output)
    yield from (str(run), str(run.resolve()), str(run.parent), str(run.resolve().parent))
    yield from (environment.dataset, environment.trainer, *order.command)
    yield from (str(Path(home).parent), str(Path(home).parent.parent)) if home else ()


def _rate(run: Path, spec: RunSpec, chosen: Chosen) -> float:
    """The highest learning rate of the attempt that made ``chosen``."""
    output = chosen.path.parent.relative_to(run.resolve()).as_posix()
    attempts = [one for one in run_source.recorded(run) if isinstance(one, Attempt) and one.output == output]
    return attempts[-1].learning_rate if attempts else spec.optimizer.learning_rate


def _schedule(spec: RunSpec) -> str:
    """The trainer has no cosine after a climb, and runs a straight fall instead."""
    wanted = spec.schedule
    shape = "polynomial" if wanted.shape == "cosine" and wanted.warmup_steps else wanted.shape
    return f"{shape}, after a climb over {wanted.warmup_steps:,} steps" if wanted.warmup_steps else shape


def _clip(spec: RunSpec) -> str:
    optimizer = spec.optimizer
    return "none" if optimizer.clip == "off" else f"by {optimizer.clip}, at {optimizer.clip_at:g}"


def _gpu(spec: RunSpec, environment: Environment) -> str:
    """The first GPUs of the machine, which are those that a trainer takes; nothing if not all of them are known."""
    used = environment.gpus[: spec.machine.gpus]
    if spec.machine.gpu == CPU or len(used) < spec.machine.gpus:
        return ""
    return ", ".join(f"{count} x {name}" if len(used) > 1 else name for name, count in Counter(used).items())


def _ended(state: RunState, known: Collection[str]) -> str:
    ended = state.exit
    if ended is None:
        return f"not on record; the last step that is known is {state.step:,}"
    if ended.status == "completed":
        return ""
    return f"not completed, after step {ended.step:,}: {shortened(_told(ended.reason, known)) or ended.status}"


def _alerts(state: RunState, known: Collection[str]) -> Iterator[str]:
    found = [one for one in state.alerts if one.severity != "note"]
    yield from (f"Step {one.step:,}: {_told(one.text, known)}" for one in found[:MOST_ALERTS])
    if len(found) > MOST_ALERTS:
        yield f"And {len(found) - MOST_ALERTS:,} more."


def _told(text: str, known: Collection[str]) -> str:
    """``text`` on one line, without paths."""
    return " ".join(privacy.without_paths(text, known).split())
