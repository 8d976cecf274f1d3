"""Launches a run on a box: look at it, set it up, bring what the run needs, and have our own tool there start it."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from kanjiprep.errors import KanjiprepError, RemoteError, os_reason
from kanjiprep.progress import Progress
from kanjiprep.training import models, presets, run_folder
from kanjiprep.training.pictures import Dataset
from kanjiprep.training.plan import Plan
from kanjiprep.training.presets import Preset
from kanjiprep.training.remote import place as places
from kanjiprep.training.remote import wheel as wheels
from kanjiprep.training.remote.box import dataset as datasets
from kanjiprep.training.remote.box import far as tool
from kanjiprep.training.remote.box import preflight, scripts, secrets, setup, verdict
from kanjiprep.training.remote.box.over_ssh import OverSsh
from kanjiprep.training.remote.box.preflight import Question, Survey
from kanjiprep.training.remote.box.setup import Order
from kanjiprep.training.remote.box.verdict import Wish
from kanjiprep.training.remote.place import Place
from kanjiprep.training.run_spec import CPU, TINY, RunSpec

GIB: Final = 2**30
_TOKENS: Final[Mapping[str, tuple[str, ...]]] = {"wandb": ("HF_TOKEN", "WANDB_API_KEY")}


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be launched on a box.

    Attributes:
        preset: What is asked for, limits and settings included.
        dataset: What it is trained on, here.
        hub: ``REPO_ID@COMMIT``, if the box is to fetch the dataset from the Hub itself; else it is sent.
        planned: What the run will be and take.
        name: Of the run.
        run: Folder of its copy here.
        allow_arm: Whether an ARM machine is tried.
        until: When it has to have ended, for a box that is rented.
        environ: Ours, for tokens and addresses.
    """

    preset: Preset
    dataset: Dataset
    hub: str
    planned: Plan
    name: str
    run: Path
    allow_arm: bool = False
    until: datetime | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: MappingProxyType(os.environ), repr=False)


def launch(far: OverSsh, place: Place, job: Job, progress: Progress, say: Callable[[str], None]) -> dict[str, Any]:
    """What the tool on the box says of the run that it has started.

    Can be called again after whatever went wrong: what is done is not done twice.

    Args:
        far: The box.
        place: Of the run.
        job: What is to be launched.
        progress: Hears of each step.
        say: Hears of warnings and of what is done.

    Raises:
        KanjiprepError: What the tool there says.
        RemoteError: If the box is not fit or cannot be reached, or there is a run of that name.
    """
    with tempfile.TemporaryDirectory(prefix="kanjiprep-") as aside:
        wheel = wheels.build(Path(aside))
        digest = wheels.digest_of(wheel)
        if _look(far, place, job, digest, say):
            return {"run": place.run, "attempt": None}
        ready = setup.setup(far, Order(wheel, _accelerator(job), place.root), progress)
    _show_life(far, place)
    say(f"box: {ready.version}, SimpleTuner at {ready.trainer}")
    dataset = job.hub or datasets.send_dataset(far, job.dataset.folder, job.dataset.digest, progress, place.root)
    _send_preset(far, place, job, progress)
    places.write(job.run, place)
    words = launch_words(job, dataset)
    far.again(partial(secrets.write, far, _tokens(job), place.secrets, place.root))
    try:
        step, hear = place.step("launch"), partial(_hear, progress)
        return dict(tool.carried_out(far, step, words, hear, secrets=place.secrets, root=place.root))
    except KanjiprepError:
        with suppress(RemoteError):  # what went wrong is told, and nothing that ran there needs them again
            secrets.remove(far, place.secrets, place.root)
        raise


def launch_words(job: Job, dataset: str) -> list[str]:
    """The command there; the limits stand in its run.toml."""
    return [
        "launch-simpletuner", f"presets/{job.name}", "--dataset", dataset, "--name", job.name, "--detach", "--json",
    ]  # fmt: skip


def refuse_unfit(survey: Survey, wish: Wish, name: str) -> tuple[str, ...]:
    """What is to be known of a box that is fit.

    Raises:
        RemoteError: With all that forbids it.
    """
    judged = verdict.judge(survey, wish)
    if judged.problems:
        raise RemoteError(f"is not fit: {'; '.join(judged.problems)}", name, "mend that, or take another box")
    return judged.warnings


def wish_of(job: Job, digest: str) -> Wish:
    """What the box must be."""
    machine, costs = job.preset.spec.machine, job.planned.costs
    on_gpu = machine.gpu != CPU
    return Wish(
        accelerator=_accelerator(job),
        gpus=machine.gpus if on_gpu else 0,
        gpu_bytes=costs.memory.peak.low * GIB if on_gpu else None,
        disk_bytes=costs.disk.total.value if on_gpu else 0.0,
        allow_arm=job.allow_arm,
        repo_id=_repo(job),
        has_token=bool(_tokens(job).get("HF_TOKEN")),
        wheel=digest,
    )


def _look(far: OverSsh, place: Place, job: Job, digest: str, say: Callable[[str], None]) -> bool:
    """Whether the run goes on there already, from a launch that was cut off here."""
    question = Question(_repo(job), _tokens(job).get("HF_TOKEN", ""), job.environ.get("HF_ENDPOINT") or preflight.HUB)
    found = far.again(partial(preflight.survey, far, question, place.root))
    if job.until is not None and (found.clock_off_s is None or abs(found.clock_off_s) > verdict.MOST_OFF_S):
        off = "cannot be read" if found.clock_off_s is None else f"is {found.clock_off_s:+.0f} s off ours"
        raise RemoteError(f"its clock {off}, so its end would not be ours", far.name, "set the clock of this machine")
    for warning in refuse_unfit(found, wish_of(job, digest), far.name):
        say(f"warning: {warning}")
    is_there = job.name in found.runs
    if is_there and not _was_cut_off(place, job):
        remedy = f"look at it with kanjiprep monitor, or give the new run another --name than {shlex.quote(job.name)}"
        raise RemoteError(f"a run {job.name!r} was launched there", far.name, remedy)
    return is_there


def _was_cut_off(place: Place, job: Job) -> bool:
    """Whether we were about to launch that very run, and never saw what became of it."""
    return places.read(job.run) == place and not (job.run / run_folder.ORDER).exists()


def _accelerator(job: Job) -> Literal["cpu", "cuda"]:
    return "cpu" if job.preset.spec.machine.gpu == CPU else "cuda"


def _repo(job: Job) -> str:
    """The gated repository that the box will fetch the model from; empty if it fetches none."""
    model = job.preset.spec.model
    if model.path or model.flavour == TINY:
        return "" if model.path.startswith((".", "/")) else model.path
    return models.model_of(model.family, model.flavour).repo


def _show_life(far: OverSsh, place: Place) -> None:
    """Let the heartbeat of the run be the sign of life that keeps a rented box: templates/skypilot_task.yaml.j2."""
    body = 'ln -sfn "work/runs/$run/state.json" "$root/alive"'
    said = far.again(partial(scripts.ask, far, body, {"root": place.root, "run": place.name}))
    scripts.refuse(far, said, "our folder cannot be written there", "look at its disk and permissions")


def _tokens(job: Job) -> dict[str, str]:
    return tokens(job.preset.spec.tracker.service, job.environ)


def tokens(service: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Those of the user that a run with this tracker needs on its box, by name of the variable."""
    return secrets.wished(_TOKENS.get(service, ("HF_TOKEN",)), environ, secrets.stored_token)


def limited(spec: RunSpec, until: datetime | None, now: datetime) -> RunSpec:
    """``spec`` as it goes to a box: one that is rented has its end in hours from now, whatever its price.

    Raises:
        RemoteError: If no time is left.
    """
    if until is None:
        return spec
    hours = (until - now).total_seconds() / 3600
    if hours <= 0:
        raise RemoteError("no time is left to train in: setting up took all of it", "", "allow more hours or dollars")
    least = min(hours, spec.guard.max_hours or hours)
    return replace(spec, guard=replace(spec.guard, max_hours=least, max_usd=None))


def _send_preset(far: OverSsh, place: Place, job: Job, progress: Progress) -> None:
    spec = limited(job.preset.resolved_spec(), job.until, datetime.now(UTC))
    with tempfile.TemporaryDirectory(prefix="kanjiprep-") as aside:
        folder = Path(aside)
        try:
            (folder / presets.SPEC).write_bytes(presets.to_toml(spec))
            for name, text in job.preset.own_templates().items():
                (folder / name).write_text(text, "utf-8")
        except OSError as error:
            raise RemoteError(f"cannot be written: {os_reason(error)}", str(folder), "free some space") from error
        far.again(partial(far.send, folder, f"{place.root}/work/presets/{job.name}", progress))


def _hear(progress: Progress, line: str) -> None:
    if not line.startswith("error: "):  # which is told as what it is
        progress(scripts.last_line(line)[:60] or "launch it there", 0, None)
